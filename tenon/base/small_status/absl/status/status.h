// What Tenon uses of absl::Status, for programs that must be small (cmake/TenonLite.cmake):
// Abseil's own brings its Cord, Mutex and symbolizer along. Names and meaning are Abseil's
// (https://abseil.io/docs/cpp/guides/status); base/status.h says how Tenon uses them.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace absl {

using string_view = std::string_view;

class Cord {
 public:
  Cord() = default;
  explicit Cord(string_view text) : text_(text) {}
  explicit operator std::string() const { return text_; }

 private:
  std::string text_;
};

enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, string_view message) {
    if (code != StatusCode::kOk) failure_.reset(new Failure{code, std::string(message), {}});
  }
  Status(const Status& other) { *this = other; }
  Status& operator=(const Status& other) {
    if (this != &other) failure_.reset(other.failure_ ? new Failure(*other.failure_) : nullptr);
    return *this;
  }
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return !failure_; }
  void IgnoreError() const {}
  StatusCode code() const { return failure_ ? failure_->code : StatusCode::kOk; }
  string_view message() const { return failure_ ? string_view(failure_->message) : string_view(); }
  void Update(const Status& other) {
    if (ok()) *this = other;
  }

  std::optional<Cord> GetPayload(string_view url) const {
    if (!failure_) return std::nullopt;
    for (const auto& [key, payload] : failure_->payloads) {
      if (key == url) return payload;
    }
    return std::nullopt;
  }
  void SetPayload(string_view url, Cord payload) {
    if (!failure_) return;
    for (auto& [key, old] : failure_->payloads) {
      if (key == url) return void(old = std::move(payload));
    }
    failure_->payloads.emplace_back(std::string(url), std::move(payload));
  }
  template <class Visitor>
  void ForEachPayload(Visitor visit) const {
    if (!failure_) return;
    for (const auto& [key, payload] : failure_->payloads) visit(string_view(key), payload);
  }

 private:
  struct Failure {
    StatusCode code;
    std::string message;
    std::vector<std::pair<std::string, Cord>> payloads;
  };
  std::unique_ptr<Failure> failure_;
};

inline Status OkStatus() { return Status(); }
inline bool IsAborted(const Status& status) { return status.code() == StatusCode::kAborted; }
inline bool IsAlreadyExists(const Status& status) {
  return status.code() == StatusCode::kAlreadyExists;
}
inline bool IsInvalidArgument(const Status& status) {
  return status.code() == StatusCode::kInvalidArgument;
}
inline bool IsNotFound(const Status& status) { return status.code() == StatusCode::kNotFound; }
inline bool IsUnimplemented(const Status& status) {
  return status.code() == StatusCode::kUnimplemented;
}

}  // namespace absl
