#include "tenon/core/buffer.h"

#include <cstdlib>
#include <new>

#include "tenon/base/log.h"

namespace tenon {
namespace {

void* allocate_aligned(size_t bytes) {
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (rounded < bytes) return nullptr;
  return std::aligned_alloc(kAlignment, rounded == 0 ? kAlignment : rounded);
}

class HostBuffer final : public Buffer {
 public:
  HostBuffer(void* data, size_t size) : Buffer(data, size, nullptr, false) {}
  ~HostBuffer() override { std::free(data()); }
};

class ExternalBuffer final : public Buffer {
 public:
  ExternalBuffer(void* data, size_t size, std::function<void()> release)
      : Buffer(data, size, nullptr, false), release_(std::move(release)) {}
  ~ExternalBuffer() override {
    if (release_) release_();
  }

 private:
  std::function<void()> release_;
};

void* allocate_elements(int64_t count, size_t size) {
  void* data = allocate_aligned(static_cast<size_t>(count) * size);
  TENON_CHECK(data != nullptr);
  return data;
}

}  // namespace

Ref<Buffer> Buffer::host(size_t bytes) {
  void* data = allocate_aligned(bytes);
  if (!data) return {};
  return Ref<Buffer>(new HostBuffer(data, bytes));
}

Ref<Buffer> Buffer::external(void* data, size_t bytes, std::function<void()> release) {
  return Ref<Buffer>(new ExternalBuffer(data, bytes, std::move(release)));
}

StringBuffer::StringBuffer(int64_t count)
    : Buffer(allocate_elements(count, sizeof(std::string_view)),
             static_cast<size_t>(count) * sizeof(std::string_view), nullptr, false) {
  std::uninitialized_value_construct_n(views(), count);
}

StringBuffer::~StringBuffer() { std::free(data()); }

ObjectBuffer::ObjectBuffer(int64_t count)
    : Buffer(allocate_elements(count, sizeof(Ref<Object>)),
             static_cast<size_t>(count) * sizeof(Ref<Object>), nullptr, false),
      count_(count) {
  std::uninitialized_value_construct_n(objects(), count);
}

ObjectBuffer::~ObjectBuffer() {
  std::destroy_n(objects(), count_);
  std::free(data());
}

}  // namespace tenon
