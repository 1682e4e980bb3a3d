// Copies between host and device by way of pinned memory, so that the host need not wait for them.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <vector>

namespace plugin::cuda {

// A piece of pinned memory. Whoever takes it may write to it when `done` has happened.
struct PinnedPiece {
  static constexpr size_t kBytes = size_t{1} << 20;
  char* data = nullptr;
  cudaEvent_t done = nullptr;
};

// The pieces of one device, which stay allocated. Thread-safe.
class PinnedMemory {
 public:
  // One that no copy uses any more; waits for one where there are many. Null when the host has no
  // memory left.
  PinnedPiece* take();
  void give_back(PinnedPiece* piece);

 private:
  static constexpr size_t kMostPieces = 64;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PinnedPiece>> pieces_;
  std::vector<PinnedPiece*> idle_;  // the longest idle first
};

// What one stream copies. Copies to the host arrive in finish().
class StagedCopies {
 public:
  explicit StagedCopies(cudaStream_t stream) : stream_(stream) {}
  // Of the current device; large ones by several threads.
  cudaError_t from_host(PinnedMemory& memory, void* to, const void* from, size_t bytes);
  cudaError_t to_host(PinnedMemory& memory, void* to, const void* from, size_t bytes);
  // The stream has been waited for.
  void finish();
  // Gives all pieces back.
  void release(PinnedMemory& memory);

 private:
  struct Arrival {
    void* to;
    const char* from;
    size_t bytes;
  };
  struct Fill {
    PinnedPiece* piece = nullptr;
    size_t used = 0;
  };
  cudaError_t make_room(PinnedMemory& memory, Fill& fill, size_t bytes);
  cudaError_t from_host_by(PinnedMemory& memory, Fill& fill, char* to, const char* from,
                           size_t bytes);

  const cudaStream_t stream_;
  Fill out_, in_;  // to the device, to the host
  std::vector<Arrival> arrivals_;
};

}  // namespace plugin::cuda
