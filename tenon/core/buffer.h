// Buffer: a reference-counted block of memory on one device.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "tenon/base/ref.h"
#include "tenon/core/dtype.h"

namespace tenon {

class Completion;
class Device;

inline constexpr size_t kAlignment = 64;      // of our own memory
inline constexpr size_t kLentAlignment = 16;  // at least, of memory that somebody lends

// Anything that a resource or variant tensor element refers to: a variable, a table, a TensorList.
// Derived classes say in their header what they are safe for.
class Object : public RefCounted {
 public:
  // "Variable", "TensorList": tells types apart, also in messages. Classes have it as kTypeName
  // too.
  virtual std::string_view type_name() const = 0;
};

// The object as a T; null when it is something else, or none.
template <class T>
T* object_cast(Object* object) {
  if constexpr (std::is_same_v<T, Object>) {
    return object;
  } else {
    return object && object->type_name() == T::kTypeName ? static_cast<T*>(object) : nullptr;
  }
}

class StringBuffer;

class Buffer : public RefCounted {
 public:
  void* data() const { return data_; }
  size_t size() const { return size_; }

  // The device whose memory this is; null for host memory.
  Device* device() const { return device_; }

  // Memory that the next step or run overwrites (an arena): a tensor that must outlive the step
  // that reads it has to be copied. See Tensor::keep().
  bool transient() const { return transient_; }

  // Memory that somebody lent: it is read and never written, and whoever keeps a value beyond the
  // run that was given it makes a copy, for its owner may change it later.
  bool read_only() const { return read_only_; }

  // This buffer where its elements are strings of their own; else null.
  virtual const StringBuffer* as_strings() const { return nullptr; }

  // The holder of the only reference may write here.
  bool writable() const { return unique() && !read_only_; }

  // The run on a device that computes the content; null when it is known to be there. Set by that
  // run before anybody else has the buffer.
  const std::shared_ptr<Completion>& completion() const { return completion_; }
  void set_completion(std::shared_ptr<Completion> completion) {
    completion_ = std::move(completion);
  }

  // 64-byte-aligned, uninitialised host memory. RESOURCE_EXHAUSTED is reported by a null Ref.
  static Ref<Buffer> host(size_t bytes);

  // Read-only memory of the host, or of `device`, that belongs to somebody else, who gets it back
  // by `release`, called on any thread, when nothing here uses it any more.
  static Ref<Buffer> lent(const void* data, size_t bytes, std::function<void()> release,
                          Device* device = nullptr);

 protected:
  Buffer(void* data, size_t size, Device* device, bool transient, bool read_only = false);
  ~Buffer() override;

 private:
  void* data_;
  size_t size_;
  Device* device_;
  bool transient_;
  bool read_only_;
  std::shared_ptr<Completion> completion_;
};

// Elements of kString (std::string_view) and the blocks that their characters live in. Throws
// std::bad_alloc as containers do (throw_out_of_memory()).
class StringBuffer final : public Buffer {
 public:
  explicit StringBuffer(int64_t count);
  ~StringBuffer() override;

  const StringBuffer* as_strings() const override { return this; }
  std::string_view* views() const { return static_cast<std::string_view*>(data()); }

  // Keeps `block` alive as long as this buffer; views may point into it.
  void hold(Ref<Buffer> block) { blocks_.push_back(std::move(block)); }
  const std::vector<Ref<Buffer>>& blocks() const { return blocks_; }

 private:
  std::vector<Ref<Buffer>> blocks_;
};

// Elements of kResource and kVariant (Ref<Object>), all null at first. Throws std::bad_alloc.
class ObjectBuffer final : public Buffer {
 public:
  explicit ObjectBuffer(int64_t count);
  ~ObjectBuffer() override;
  Ref<Object>* objects() const { return static_cast<Ref<Object>*>(data()); }

 private:
  int64_t count_;
};

}  // namespace tenon
