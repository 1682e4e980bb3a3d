#include "tenon/kernels/levels/level_conv.h"

#include <algorithm>

#include "tenon/kernels/levels/level_way.h"

namespace tenon::kernels {

LevelConv::LevelConv(const LevelConvSpec& spec) {
  const bool by_channel =
      spec.depthwise && spec.in == spec.out && spec.bias == DType::kInt32 && spec.out > 0;
  way_ = by_channel ? depthwise_way(spec) : product_way(spec);
}
LevelConv::LevelConv(LevelConv&&) noexcept = default;
LevelConv& LevelConv::operator=(LevelConv&&) noexcept = default;
LevelConv::~LevelConv() = default;

std::string LevelConv::packed_name() const { return way_->packed_name(); }
size_t LevelConv::packed_bytes() const { return way_->packed_bytes(); }
void LevelConv::pack(const void* filter, void* packed) const { way_->pack(filter, packed); }
size_t LevelConv::scratch_bytes() const { return way_->scratch_bytes(); }
void LevelConv::run(const void* x, const void* packed, const void* bias, void* y,
                    void* scratch) const {
  way_->run(x, packed, bias, y, scratch);
}

ColumnFactors::ColumnFactors(const LevelConvSpec& spec, const std::vector<int64_t>& channels) {
  bool any_left = false, halves = !spec.once;
  for (const int64_t channel : channels) {
    const size_t i =
        spec.multipliers.size() == 1 ? 0 : static_cast<size_t>(std::max<int64_t>(channel, 0));
    const int32_t shift = spec.shifts[i];
    const int32_t right = spec.once ? 31 - shift : std::max(-shift, 0);
    multiplier_.push_back(spec.multipliers[i]);
    left_.push_back(std::max(shift, 0));
    right_.push_back(right);
    mask_.push_back(spec.once ? 0 : static_cast<int32_t>((int64_t{1} << right) - 1));
    any_left = any_left || shift > 0;
    halves = halves && shift < 0;
  }
  finish_ = {.multiplier = multiplier_.data(),
             .left = any_left ? left_.data() : nullptr,
             .right = right_.data(),
             .mask = mask_.data(),
             .once = spec.once,
             .halves = halves,
             .zero = spec.zero_y,
             .low = spec.low,
             .high = spec.high};
}

LevelFinish ColumnFactors::from(int64_t column) const {
  LevelFinish f = finish_;
  f.multiplier += column;
  if (f.left) f.left += column;
  f.right += column;
  f.mask += column;
  return f;
}

namespace {

template <class Sum>
void fold_into(const std::vector<int64_t>& channels, const Sum* bias, int64_t offset,
               const int64_t* sums, Sum* folded) {
  for (size_t i = 0; i < channels.size(); ++i) {
    const int64_t channel = channels[i];
    const uint64_t taken = static_cast<uint64_t>(offset) * static_cast<uint64_t>(sums[i]);
    folded[i] = channel < 0
                    ? Sum{0}
                    : static_cast<Sum>(static_cast<uint64_t>(int64_t{bias[channel]}) - taken);
  }
}

}  // namespace

void fold_offset(const std::vector<int64_t>& channels, const void* bias, DType bias_dtype,
                 int64_t offset, const int64_t* sums, void* folded) {
  if (bias_dtype == DType::kInt32) {
    fold_into(channels, static_cast<const int32_t*>(bias), offset, sums,
              static_cast<int32_t*>(folded));
  } else {
    fold_into(channels, static_cast<const int64_t*>(bias), offset, sums,
              static_cast<int64_t*>(folded));
  }
}

}  // namespace tenon::kernels
