#include "tenon/runtime/bump_arena.h"

#include <algorithm>

namespace tenon {

StatusOr<Tensor> BumpArena::allocate(DType dtype, const Shape& shape) {
  if (is_object(dtype)) return Tensor::allocate(dtype, shape);
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims()).status());
  const size_t bytes = shape.num_bytes(size_of(dtype));
  if (bytes > SIZE_MAX / 2) return Tensor::allocate(dtype, shape);  // says what it needs
  const size_t aligned = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  while (current_ < chunks_.size() && chunks_[current_]->size() - used_ < aligned) {
    ++current_;
    used_ = 0;
  }
  if (current_ == chunks_.size()) {
    TENON_ASSIGN_OR_RETURN(Ref<Buffer> chunk, chunk_of(std::max(least_chunk_, aligned)));
    chunks_.push_back(std::move(chunk));
    used_ = 0;
  }
  void* data = static_cast<char*>(chunks_[current_]->data()) + used_;
  used_ += aligned;
  given_ += aligned;
  return Tensor(dtype, shape, chunks_[current_], data);
}

StatusOr<Ref<Buffer>> BumpArena::chunk_of(size_t bytes) {
  const auto free = std::find_if(held_.begin(), held_.end(), [&](const Ref<Buffer>& chunk) {
    return chunk->unique() && chunk->size() >= bytes;
  });
  if (free == held_.end()) return device_->allocate(bytes, false);
  Ref<Buffer> chunk = std::move(*free);
  held_.erase(free);
  return chunk;
}

void BumpArena::reset() {
  if (given_ == 0) return;
  for (const Ref<Buffer>& chunk : chunks_) {
    if (chunk->unique()) continue;
    if (held_.size() == kMostHeld) held_.erase(held_.begin());
    held_.push_back(chunk);
  }
  std::erase_if(chunks_, [](const Ref<Buffer>& chunk) { return !chunk->unique(); });
  least_chunk_ = kChunk;
  if (chunks_.size() > 1) {
    chunks_.clear();
    least_chunk_ = std::max(kChunk, given_);
  }
  current_ = 0;
  used_ = 0;
  given_ = 0;
}

size_t BumpArena::bytes() const {
  size_t total = 0;
  for (const Ref<Buffer>& chunk : chunks_) total += chunk->size();
  for (const Ref<Buffer>& chunk : held_) total += chunk->size();
  return total;
}

}  // namespace tenon
