#include "tenon/core/buffer.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/core/device.h"
#include "tenon/core/host_memory.h"

namespace tenon {
namespace {

class HostBuffer final : public Buffer {
 public:
  HostBuffer(void* data, size_t size) : Buffer(data, size, nullptr, false) {}
  ~HostBuffer() override { free_host_memory(data(), size()); }
};

class LentBuffer final : public Buffer {
 public:
  LentBuffer(void* data, size_t size, Device* device, std::function<void()> release)
      : Buffer(data, size, device, false, true), release_(std::move(release)) {}
  ~LentBuffer() override {
    if (release_) release_();
  }

 private:
  std::function<void()> release_;
};

void* allocate_elements(int64_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) throw_out_of_memory();
  void* data = allocate_host_memory(bytes);
  if (!data) throw_out_of_memory();
  return data;
}

}  // namespace

Buffer::Buffer(void* data, size_t size, Device* device, bool transient, bool read_only)
    : data_(data), size_(size), device_(device), transient_(transient), read_only_(read_only) {}

Buffer::~Buffer() = default;

Ref<Buffer> Buffer::host(size_t bytes) {
  void* data = allocate_host_memory(bytes);
  if (!data) return {};
  return Ref<Buffer>(new HostBuffer(data, bytes));
}

Ref<Buffer> Buffer::lent(const void* data, size_t bytes, std::function<void()> release,
                         Device* device) {
  return Ref<Buffer>(new LentBuffer(const_cast<void*>(data), bytes, device, std::move(release)));
}

StringBuffer::StringBuffer(int64_t count)
    : Buffer(allocate_elements(count, sizeof(std::string_view)),
             static_cast<size_t>(count) * sizeof(std::string_view), nullptr, false) {
  std::uninitialized_value_construct_n(views(), count);
}

StringBuffer::~StringBuffer() { free_host_memory(data(), size()); }

ObjectBuffer::ObjectBuffer(int64_t count)
    : Buffer(allocate_elements(count, sizeof(Ref<Object>)),
             static_cast<size_t>(count) * sizeof(Ref<Object>), nullptr, false),
      count_(count) {
  std::uninitialized_value_construct_n(objects(), count);
}

ObjectBuffer::~ObjectBuffer() {
  std::destroy_n(objects(), count_);
  free_host_memory(data(), size());
}

}  // namespace tenon
