// As status.h beside it: what Tenon uses of absl::StatusOr.
#pragma once

#include <cstdlib>

#include "absl/status/status.h"

namespace absl {

template <class T>
class [[nodiscard]] StatusOr {
 public:
  using value_type = T;

  StatusOr() : status_(StatusCode::kUnknown, "") {}
  StatusOr(const Status& status) : status_(status) {}        // NOLINT: implicit
  StatusOr(Status&& status) : status_(std::move(status)) {}  // NOLINT: implicit
  StatusOr(const T& value) : value_(value) {}                // NOLINT: implicit
  StatusOr(T&& value) : value_(std::move(value)) {}          // NOLINT: implicit
  template <class U>
  requires(std::is_constructible_v<T, U>&& std::is_convertible_v<U, T> &&
           !std::is_convertible_v<U, Status> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
           !std::is_same_v<std::remove_cvref_t<U>, StatusOr>) StatusOr(U&& value)
      : value_(std::forward<U>(value)) {}  // NOLINT: implicit
  template <class U>
  requires(!std::is_same_v<U, T> && std::is_convertible_v<U, T>)
      StatusOr(StatusOr<U>&& other) {  // NOLINT: implicit
    if (other.ok()) {
      value_.emplace(*std::move(other));
    } else {
      status_ = std::move(other).status();
    }
  }

  bool ok() const { return status_.ok(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  const T& operator*() const& { return get(); }
  T& operator*() & { return get(); }
  T&& operator*() && { return std::move(get()); }
  const T* operator->() const { return &get(); }
  T* operator->() { return &get(); }
  template <class U>
  T value_or(U&& other) const {
    return ok() ? *value_ : static_cast<T>(std::forward<U>(other));
  }
  const T& value() const& { return get(); }
  T& value() & { return get(); }
  T&& value() && { return std::move(get()); }

 private:
  T& get() {
    if (!value_) std::abort();
    return *value_;
  }
  const T& get() const { return const_cast<StatusOr*>(this)->get(); }

  Status status_;
  std::optional<T> value_;
};

}  // namespace absl
