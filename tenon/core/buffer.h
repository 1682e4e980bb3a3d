// Buffer: a reference-counted block of memory on one device.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "tenon/base/ref.h"
#include "tenon/core/dtype.h"

namespace tenon {

class Device;

inline constexpr size_t kAlignment = 64;

// Anything that a resource or variant tensor element refers to: a variable, a table, a TensorList.
// Derived classes say in their header what they are safe for.
class Object : public RefCounted {
 public:
  // "Variable", "TensorList": used in messages.
  virtual std::string_view type_name() const = 0;
};

class Buffer : public RefCounted {
 public:
  void* data() const { return data_; }
  size_t size() const { return size_; }

  // The device whose memory this is; null for host memory.
  Device* device() const { return device_; }

  // Memory that the next step or run overwrites (an arena): a tensor that must outlive the step
  // that reads it has to be copied. See Tensor::keep().
  bool transient() const { return transient_; }

  // 64-byte-aligned, uninitialised host memory. RESOURCE_EXHAUSTED is reported by a null Ref.
  static Ref<Buffer> host(size_t bytes);

  // Host memory owned by somebody else until `release` is called, on any thread.
  static Ref<Buffer> external(void* data, size_t bytes, std::function<void()> release);

 protected:
  Buffer(void* data, size_t size, Device* device, bool transient)
      : data_(data), size_(size), device_(device), transient_(transient) {}

 private:
  void* data_;
  size_t size_;
  Device* device_;
  bool transient_;
};

// Elements of kString (std::string_view) and the blocks that their characters live in. Throws
// std::bad_alloc as containers do.
class StringBuffer final : public Buffer {
 public:
  explicit StringBuffer(int64_t count);
  ~StringBuffer() override;

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
