#include "plugins/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace plugin::cuda {

PinnedPiece* PinnedMemory::take() {
  std::lock_guard lock(mutex_);
  const auto ready = std::find_if(idle_.begin(), idle_.end(), [](const PinnedPiece* piece) {
    return cudaEventQuery(piece->done) == cudaSuccess;
  });
  PinnedPiece* taken = nullptr;
  if (ready != idle_.end()) {
    taken = *ready;
    idle_.erase(ready);
    return taken;
  }
  if (pieces_.size() >= kMostPieces && !idle_.empty()) {
    taken = idle_.front();
    idle_.erase(idle_.begin());
    cudaEventSynchronize(taken->done);
    return taken;
  }
  auto made = std::make_unique<PinnedPiece>();
  void* data = nullptr;
  if (cudaHostAlloc(&data, PinnedPiece::kBytes, cudaHostAllocPortable) != cudaSuccess) {
    return nullptr;
  }
  made->data = static_cast<char*>(data);
  if (cudaEventCreateWithFlags(&made->done, cudaEventDisableTiming) != cudaSuccess) {
    cudaFreeHost(data);
    return nullptr;
  }
  pieces_.push_back(std::move(made));
  return pieces_.back().get();
}

void PinnedMemory::give_back(PinnedPiece* piece) {
  std::lock_guard lock(mutex_);
  idle_.push_back(piece);
}

// Small copies share a piece; one that does not fit into its rest begins the next.
cudaError_t StagedCopies::make_room(PinnedMemory& memory, Fill& fill, size_t bytes) {
  constexpr size_t kAlignment = 64;
  fill.used = (fill.used + kAlignment - 1) / kAlignment * kAlignment;
  if (fill.piece && fill.used + bytes <= PinnedPiece::kBytes) return cudaSuccess;
  if (fill.piece) {
    if (const cudaError_t failed = cudaEventRecord(fill.piece->done, stream_)) return failed;
    memory.give_back(fill.piece);
  }
  fill = {memory.take(), 0};
  return fill.piece ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t StagedCopies::from_host(PinnedMemory& memory, void* to, const void* from,
                                    size_t bytes) {
  for (size_t at = 0; at < bytes; at += PinnedPiece::kBytes) {
    const size_t part = std::min(bytes - at, PinnedPiece::kBytes);
    if (const cudaError_t failed = make_room(memory, out_, part)) return failed;
    char* staged = out_.piece->data + out_.used;
    std::memcpy(staged, static_cast<const char*>(from) + at, part);
    out_.used += part;
    if (const cudaError_t failed = cudaMemcpyAsync(static_cast<char*>(to) + at, staged, part,
                                                   cudaMemcpyHostToDevice, stream_)) {
      return failed;
    }
  }
  return cudaSuccess;
}

cudaError_t StagedCopies::to_host(PinnedMemory& memory, void* to, const void* from, size_t bytes) {
  // What waits to arrive keeps its piece: a second one would need a wait as well.
  const bool fits = in_.used + bytes + 64 <= PinnedPiece::kBytes;
  if (!fits) return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_);
  if (const cudaError_t failed = make_room(memory, in_, bytes)) return failed;
  char* staged = in_.piece->data + in_.used;
  in_.used += bytes;
  arrivals_.push_back({to, staged, bytes});
  return cudaMemcpyAsync(staged, from, bytes, cudaMemcpyDeviceToHost, stream_);
}

void StagedCopies::finish() {
  for (const Arrival& one : arrivals_) std::memcpy(one.to, one.from, one.bytes);
  arrivals_.clear();
  in_.used = 0;
}

void StagedCopies::release(PinnedMemory& memory) {
  for (Fill* fill : {&out_, &in_}) {
    if (fill->piece) memory.give_back(fill->piece);
    *fill = {};
  }
}

}  // namespace plugin::cuda
