// A GPU, its streams and events, behind TenonBackend. All classes are thread-safe where the
// contract of tenon/plugin.h asks for it: a Stream is used by one run at a time, a Device by all.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/libraries.h"
#include "plugins/cuda/memory_pool.h"
#include "plugins/cuda/staging.h"

namespace plugin::cuda {

// Null for success; else INTERNAL, or RESOURCE_EXHAUSTED where memory was lacking.
TenonStatus* status_of(cudaError_t code, const char* what);

class Device;

// A point in a stream's work; shared by all memory that waits for it.
struct Point {
  Point();
  ~Point();
  Point(const Point&) = delete;
  Point& operator=(const Point&) = delete;
  bool done() const;
  cudaEvent_t event = nullptr;
};

class Stream {
 public:
  static TenonStatus* create(Device* device, Stream** stream);
  ~Stream();  // waits for its work
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device* device() const { return device_; }
  // For work that is enqueued now.
  cudaStream_t enqueue() {
    enqueued_.fetch_add(1, std::memory_order_relaxed);
    if (!updates_.empty()) launch_updates();
    return stream_;
  }
  // Enqueues an optimizer's step. Those that follow one another while work is captured, which are
  // of different variables, become one launch.
  cudaError_t update(const AdamUpdate& one);
  // A cuDNN handle for work on this stream, made when first asked for.
  TenonStatus* cudnn_handle(cudnnHandle_t* handle);

  TenonStatus* copy_from_host(void* to, const void* from, size_t bytes);
  TenonStatus* copy_to_host(void* to, const void* from, size_t bytes);
  TenonStatus* synchronize();

  // When all that is enqueued now is done; null when it is. What a captured graph will do when it
  // is launched is not enqueued.
  std::shared_ptr<const Point> last_point();

  // Marks the stream as one whose work joins the capture of `root`.
  void join_capture(Stream* root);
  TenonStatus* begin_capture();
  TenonStatus* end_capture(cudaGraph_t* graph);
  Stream* capture_root() const { return root_; }

 private:
  Stream(Device* device, cudaStream_t stream) : device_(device), stream_(stream), staged_(stream) {}
  std::shared_ptr<const Point> point_now();  // mutex_ is held
  void launch_updates();

  Device* const device_;
  const cudaStream_t stream_;
  std::atomic<uint64_t> enqueued_{0};
  StagedCopies staged_;
  cudnnHandle_t cudnn_ = nullptr;
  std::vector<AdamUpdate> updates_;  // that wait for more of them, in the capture under way
  cudaError_t updates_failed_ = cudaSuccess;

  std::mutex mutex_;
  Stream* root_ = nullptr;       // of the capture under way
  std::vector<Stream*> joined_;  // of the capture that begins here
  uint64_t point_covers_ = 0;    // what was enqueued when point_ was recorded
  std::shared_ptr<const Point> point_;
};

class Device {
 public:
  static TenonStatus* open(int ordinal, Device** device);

  // Before calls into CUDA: the thread may have used another device, by way of other libraries too.
  void use() const;
  int ordinal() const { return ordinal_; }
  const char* description() const { return description_.c_str(); }
  // "sm_90"
  const std::string& architecture() const { return architecture_; }
  int multiprocessors() const { return multiprocessors_; }
  cublasLtHandle_t cublas_lt() const { return cublas_lt_; }
  PinnedMemory& pinned() { return pinned_; }

  void memory(uint64_t* total_bytes, uint64_t* free_bytes);
  TenonStatus* allocate(size_t bytes, void** memory);
  void free(void* memory);

  void add(Stream* stream);
  void remove(Stream* stream);

 private:
  struct Freed {
    void* memory;
    std::vector<std::shared_ptr<const Point>> after;
  };
  explicit Device(int ordinal) : ordinal_(ordinal) {}
  // Of these mutex_ is held.
  void collect(bool wait);
  bool grow(size_t bytes);

  const int ordinal_;
  std::string description_, architecture_;
  int multiprocessors_ = 1;
  cublasLtHandle_t cublas_lt_ = nullptr;
  size_t most_bytes_ = SIZE_MAX;  // of memory that is taken
  PinnedMemory pinned_;

  std::mutex mutex_;
  MemoryPool pool_;
  std::deque<Freed> freed_;
  std::vector<Stream*> streams_;
};

struct Event {
  cudaEvent_t event = nullptr;
  Stream* root = nullptr;  // of the capture in which it was recorded
};

struct Graph {
  cudaGraphExec_t exec = nullptr;
  cudaEvent_t launched = nullptr;  // behind its last launch
  const Device* device = nullptr;
};

}  // namespace plugin::cuda
