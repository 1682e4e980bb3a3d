#include "plugins/cuda/device.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace plugin::cuda {
namespace {

constexpr size_t kSmallSegment = size_t{2} << 20, kSegment = size_t{32} << 20;

std::string megabytes(size_t bytes) { return std::to_string(bytes >> 20) + " MB"; }

// TENON_GPU_MEMORY_LIMIT: how many MB of a GPU's memory are taken at most; not set: all there are.
TenonStatus* read_memory_limit(size_t* bytes) {
  const char* text = std::getenv("TENON_GPU_MEMORY_LIMIT");
  if (!text || !*text) return nullptr;
  const std::string_view digits(text);
  size_t limit = 0;
  const auto [end, failed] = std::from_chars(text, text + digits.size(), limit);
  if (failed != std::errc() || end != text + digits.size() || limit == 0 ||
      limit > SIZE_MAX >> 20) {
    return error(kInvalidArgument, "TENON_GPU_MEMORY_LIMIT is '" + std::string(digits) +
                                       "', expected a number of MB");
  }
  *bytes = limit << 20;
  return nullptr;
}

}  // namespace

TenonStatus* status_of(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return nullptr;
  const std::string message = std::string(what) + ": " + cudaGetErrorString(code);
  return error(code == cudaErrorMemoryAllocation ? kResourceExhausted : kInternal, message);
}

Point::Point() { cudaEventCreateWithFlags(&event, cudaEventDisableTiming); }
Point::~Point() { cudaEventDestroy(event); }
bool Point::done() const { return cudaEventQuery(event) != cudaErrorNotReady; }

// --- Stream ---

TenonStatus* Stream::create(Device* device, Stream** stream) {
  device->use();
  cudaStream_t made = nullptr;
  if (TenonStatus* status = status_of(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking),
                                      "a stream cannot be made")) {
    return status;
  }
  *stream = new Stream(device, made);
  device->add(*stream);
  return nullptr;
}

Stream::~Stream() {
  device_->use();
  host->free_status(synchronize());
  device_->remove(this);
  staged_.release(device_->pinned());
  if (cudnn_) cudnn().Destroy(cudnn_);
  cudaStreamDestroy(stream_);
}

TenonStatus* Stream::cudnn_handle(cudnnHandle_t* handle) {
  if (!cudnn_) {
    if (cudnn().Create(&cudnn_) != CUDNN_STATUS_SUCCESS ||
        cudnn().SetStream(cudnn_, stream_) != CUDNN_STATUS_SUCCESS) {
      return error(kInternal, "cuDNN gives no handle");
    }
  }
  *handle = cudnn_;
  return nullptr;
}

TenonStatus* Stream::copy_from_host(void* to, const void* from, size_t bytes) {
  device_->use();
  enqueue();
  return status_of(staged_.from_host(device_->pinned(), to, from, bytes), "a copy to the device");
}

TenonStatus* Stream::copy_to_host(void* to, const void* from, size_t bytes) {
  device_->use();
  enqueue();
  return status_of(staged_.to_host(device_->pinned(), to, from, bytes), "a copy to the host");
}

TenonStatus* Stream::synchronize() {
  device_->use();
  const cudaError_t failed = cudaStreamSynchronize(stream_);
  staged_.finish();
  return status_of(failed, "work on the device failed");
}

std::shared_ptr<const Point> Stream::point_now() {
  const uint64_t enqueued = enqueued_.load(std::memory_order_relaxed);
  if (!root_ && enqueued != point_covers_) {
    auto point = std::make_shared<Point>();
    cudaEventRecord(point->event, stream_);
    point_ = std::move(point);
    point_covers_ = enqueued;
  }
  if (point_ && point_->done()) point_.reset();
  return point_;
}

std::shared_ptr<const Point> Stream::last_point() {
  std::lock_guard lock(mutex_);
  return point_now();
}

cudaError_t Stream::update(const AdamUpdate& one) {
  device_->use();
  if (!root_) return keras_adam(enqueue(), &one, 1);
  const auto is_same = [&](const AdamUpdate& other) { return other.w == one.w; };
  if (std::any_of(updates_.begin(), updates_.end(), is_same)) launch_updates();
  updates_.push_back(one);
  return cudaSuccess;
}

void Stream::launch_updates() {
  const cudaError_t failed = keras_adam(stream_, updates_.data(), updates_.size());
  if (failed != cudaSuccess) updates_failed_ = failed;
  updates_.clear();
}

void Stream::join_capture(Stream* root) {
  if (root == this) return;
  {
    std::lock_guard lock(mutex_);
    if (root_ == root) return;
    point_now();
    root_ = root;
  }
  std::lock_guard lock(root->mutex_);
  root->joined_.push_back(this);
}

TenonStatus* Stream::begin_capture() {
  device_->use();
  std::lock_guard lock(mutex_);
  if (root_) return error(kFailedPrecondition, "the stream is being captured already");
  point_now();
  // Relaxed: other threads go on allocating meanwhile.
  TenonStatus* status = status_of(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed),
                                  "a capture cannot begin");
  if (!status) root_ = this;
  return status;
}

TenonStatus* Stream::end_capture(cudaGraph_t* graph) {
  device_->use();
  std::vector<Stream*> joined;
  TenonStatus* status = nullptr;
  enqueue();
  {
    std::lock_guard lock(mutex_);
    const cudaError_t ended = cudaStreamEndCapture(stream_, graph);
    const cudaError_t failed = std::exchange(updates_failed_, cudaSuccess);
    status = status_of(failed != cudaSuccess ? failed : ended, "work cannot be captured");
    root_ = nullptr;
    joined.swap(joined_);
  }
  for (Stream* each : joined) {
    std::lock_guard lock(each->mutex_);
    each->root_ = nullptr;
  }
  return status;
}

// --- Device ---

TenonStatus* Device::open(int ordinal, Device** device) {
  cudaDeviceProp properties{};
  if (TenonStatus* status =
          status_of(cudaGetDeviceProperties(&properties, ordinal), "the GPU does not answer")) {
    return status;
  }
  std::unique_ptr<Device> made(new Device(ordinal));
  if (TenonStatus* status = read_memory_limit(&made->most_bytes_)) return status;
  made->use();
  const std::string capability =
      std::to_string(properties.major) + "." + std::to_string(properties.minor);
  if (properties.major < 8) {
    return error(kFailedPrecondition, std::string(properties.name) + " has compute capability " +
                                          capability + ", this plug-in needs 8.0 or later");
  }
  made->description_ = std::string(properties.name) + ", compute capability " + capability;
  made->architecture_ = "sm_" + std::to_string(properties.major) + std::to_string(properties.minor);
  made->multiprocessors_ = properties.multiProcessorCount;
  const cublasStatus_t created = plugin::cuda::cublas_lt().Create(&made->cublas_lt_);
  if (created != CUBLAS_STATUS_SUCCESS) {
    return error(kInternal, std::string("cuBLASLt does not start: ") +
                                plugin::cuda::cublas_lt().GetStatusString(created));
  }
  *device = made.release();
  return nullptr;
}

void Device::use() const { cudaSetDevice(ordinal_); }

void Device::memory(uint64_t* total_bytes, uint64_t* free_bytes) {
  use();
  size_t total = 0, left = 0;
  cudaMemGetInfo(&left, &total);
  std::lock_guard lock(mutex_);
  *total_bytes = total;
  *free_bytes = left + pool_.reserved_bytes() - pool_.used_bytes();
}

// Gives back what enqueued work no longer uses; `wait`: all of it.
void Device::collect(bool wait) {
  while (!freed_.empty()) {
    for (const std::shared_ptr<const Point>& point : freed_.front().after) {
      if (wait) cudaEventSynchronize(point->event);
      if (!point->done()) return;
    }
    pool_.give_back(freed_.front().memory);
    freed_.pop_front();
  }
}

bool Device::grow(size_t bytes) {
  const size_t wanted = MemoryPool::rounded(bytes);
  const size_t least = wanted <= kSmallSegment / 2 ? kSmallSegment : std::max(kSegment, wanted);
  for (const size_t size : {least, wanted}) {
    if (size > most_bytes_ - std::min(most_bytes_, pool_.reserved_bytes())) continue;
    void* base = nullptr;
    if (cudaMalloc(&base, size) == cudaSuccess) {
      pool_.add_segment(base, size);
      return true;
    }
    cudaGetLastError();
  }
  return false;
}

TenonStatus* Device::allocate(size_t bytes, void** memory) {
  use();
  std::lock_guard lock(mutex_);
  collect(false);
  *memory = pool_.take(bytes);
  if (!*memory && grow(bytes)) *memory = pool_.take(bytes);
  if (!*memory) {
    collect(true);
    *memory = pool_.take(bytes);
  }
  if (!*memory) {
    for (const auto& [base, size] : pool_.remove_idle_segments()) cudaFree(base);
    if (grow(bytes)) *memory = pool_.take(bytes);
  }
  if (*memory) return nullptr;
  size_t total = 0, left = 0;
  cudaMemGetInfo(&left, &total);
  return error(kResourceExhausted,
               "there are no " + megabytes(bytes) + " (" + std::to_string(bytes) +
                   " bytes) of GPU memory: " + megabytes(pool_.used_bytes()) + " are in use, " +
                   megabytes(pool_.reserved_bytes() - pool_.used_bytes()) +
                   " are free in pieces of at most " + megabytes(pool_.largest_free()) + ", " +
                   megabytes(left) + " of " + megabytes(total) + " are left on the device" +
                   (most_bytes_ == SIZE_MAX
                        ? ""
                        : ", and TENON_GPU_MEMORY_LIMIT allows " + megabytes(most_bytes_)));
}

void Device::free(void* memory) {
  use();
  std::lock_guard lock(mutex_);
  Freed freed{memory, {}};
  for (Stream* stream : streams_) {
    if (auto point = stream->last_point()) freed.after.push_back(std::move(point));
  }
  freed_.push_back(std::move(freed));
  collect(false);
}

void Device::add(Stream* stream) {
  std::lock_guard lock(mutex_);
  streams_.push_back(stream);
}

void Device::remove(Stream* stream) {
  std::lock_guard lock(mutex_);
  std::erase(streams_, stream);
}

}  // namespace plugin::cuda
