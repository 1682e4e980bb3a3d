#include "plugins/cuda/staging.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

namespace plugin::cuda {
namespace {

constexpr size_t kLargeCopy = size_t{16} << 20, kCopiers = 4;

}  // namespace

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

cudaError_t StagedCopies::from_host_by(PinnedMemory& memory, Fill& fill, char* to, const char* from,
                                       size_t bytes) {
  for (size_t at = 0; at < bytes; at += PinnedPiece::kBytes) {
    const size_t part = std::min(bytes - at, PinnedPiece::kBytes);
    if (const cudaError_t failed = make_room(memory, fill, part)) return failed;
    char* staged = fill.piece->data + fill.used;
    std::memcpy(staged, from + at, part);
    fill.used += part;
    if (const cudaError_t failed =
            cudaMemcpyAsync(to + at, staged, part, cudaMemcpyHostToDevice, stream_)) {
      return failed;
    }
  }
  return cudaSuccess;
}

cudaError_t StagedCopies::from_host(PinnedMemory& memory, void* to, const void* from,
                                    size_t bytes) {
  auto* first = static_cast<char*>(to);
  const auto* source = static_cast<const char*>(from);
  if (bytes < kLargeCopy) return from_host_by(memory, out_, first, source, bytes);
  // One thread's copies into pinned memory are slower than the bus.
  int device = 0;
  if (const cudaError_t failed = cudaGetDevice(&device)) return failed;
  const size_t share = (bytes / kCopiers / PinnedPiece::kBytes + 1) * PinnedPiece::kBytes;
  std::array<cudaError_t, kCopiers> failures{};
  const auto copy_share = [&](size_t copier) {
    const size_t begin = std::min(bytes, copier * share), end = std::min(bytes, begin + share);
    Fill own;
    cudaError_t failed = cudaSetDevice(device);
    if (!failed) failed = from_host_by(memory, own, first + begin, source + begin, end - begin);
    if (own.piece) {
      const cudaError_t unmarked = cudaEventRecord(own.piece->done, stream_);
      if (!failed) failed = unmarked;
      memory.give_back(own.piece);
    }
    failures[copier] = failed;
  };
  std::vector<std::thread> copiers;
  for (size_t i = 1; i < kCopiers; ++i) copiers.emplace_back(copy_share, i);
  copy_share(0);
  for (std::thread& copier : copiers) copier.join();
  const auto failed = std::find_if(failures.begin(), failures.end(), [](auto f) { return f != 0; });
  return failed == failures.end() ? cudaSuccess : *failed;
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
