#include "tenon/dist/cluster/pieces.h"

#include <cstring>

#include "tenon/base/fnv1a.h"

namespace tenon::dist {
namespace {

constexpr size_t kPieceAlignment = 8;

// Its lowest byte first.
uint64_t mix_in(uint64_t hash, uint64_t value) {
  char bytes[8];
  for (int byte = 0; byte < 8; ++byte) bytes[byte] = static_cast<char>(value >> (8 * byte));
  return fnv1a({bytes, sizeof(bytes)}, hash);
}

}  // namespace

Pieces::Pieces(std::span<const Tensor> like, int workers, bool whole)
    : workers_(workers), whole_(whole), signature_(kFnv1aStart) {
  for (const Tensor& tensor : like) {
    values_.push_back({tensor.num_elements(), size_of(tensor.dtype())});
    signature_ = mix_in(signature_, static_cast<uint64_t>(tensor.dtype()));
    signature_ = mix_in(signature_, static_cast<uint64_t>(tensor.rank()));
    for (int axis = 0; axis < tensor.rank(); ++axis) {
      signature_ = mix_in(signature_, static_cast<uint64_t>(tensor.dim(axis)));
    }
  }
}

std::vector<Pieces::Range> Pieces::ranges(int worker) const {
  std::vector<Range> made;
  size_t offset = 0;
  for (const Value& value : values_) {
    // Not n * r / workers as such, which could overflow.
    const int64_t each = value.elements / workers_, rest = value.elements % workers_;
    const auto at = [&](int64_t r) { return each * r + rest * r / workers_; };
    Range range;
    range.offset = offset;
    range.begin = whole_ ? 0 : at(worker);
    range.count = (whole_ ? value.elements : at(worker + 1)) - range.begin;
    range.first_byte = static_cast<size_t>(range.begin) * value.element_bytes;
    range.bytes = static_cast<size_t>(range.count) * value.element_bytes;
    offset += (range.bytes + kPieceAlignment - 1) / kPieceAlignment * kPieceAlignment;
    made.push_back(range);
  }
  return made;
}

size_t Pieces::bytes(int worker) const {
  const std::vector<Range> all = ranges(worker);
  return all.empty() ? 0 : all.back().offset + all.back().bytes;
}

Body Pieces::pack(std::span<const Tensor> values, int worker) const {
  Body body = Body::allocate(bytes(worker));
  const std::vector<Range> all = ranges(worker);
  size_t end = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const Range& range = all[i];
    std::memset(body.data.get() + end, 0, range.offset - end);  // what lies between is sent, too
    if (range.bytes > 0) {
      std::memcpy(body.data.get() + range.offset,
                  static_cast<const char*>(values[i].raw()) + range.first_byte, range.bytes);
    }
    end = range.offset + range.bytes;
  }
  return body;
}

void Pieces::unpack(const Body& body, int worker, std::span<Tensor> values) const {
  const std::vector<Range> all = ranges(worker);
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].bytes == 0) continue;
    std::memcpy(static_cast<char*>(values[i].mutable_raw()) + all[i].first_byte,
                body.data.get() + all[i].offset, all[i].bytes);
  }
}

}  // namespace tenon::dist
