// Intrusive reference counting: Ref<T> shares ownership of a T derived from RefCounted.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace tenon {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  // True when the caller's reference is the only one: the object may then be changed in place.
  bool unique() const { return count_.load(std::memory_order_acquire) == 1; }

 protected:
  virtual ~RefCounted() = default;

 private:
  template <class T>
  friend class Ref;
  void destroy() const { delete this; }
  mutable std::atomic<int32_t> count_{0};
};

// Copying is thread-safe as for std::shared_ptr: distinct Refs may be used from distinct threads.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(T* object) : object_(object) { acquire(); }  // NOLINT: implicit, Ref<T>(new T) is the idiom
  Ref(const Ref& other) : object_(other.object_) { acquire(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& other)
      : object_(other.get()) {  // NOLINT: implicit upcast
    acquire();
  }
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { release(); }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

 private:
  void acquire() {
    if (object_)
      static_cast<const RefCounted*>(object_)->count_.fetch_add(1, std::memory_order_relaxed);
  }
  void release() {
    if (!object_) return;
    const RefCounted* counted = object_;
    if (counted->count_.fetch_sub(1, std::memory_order_acq_rel) == 1) counted->destroy();
  }
  T* object_ = nullptr;
};

template <class T, class... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

}  // namespace tenon
