// Convolutions of levels (quantised integers): y = finish(bias + sum of (x - zero_x) * (w -
// zero_w)).
//
// x [batch, rows, columns, in], y [batch, out_rows, out_columns, out], of one dtype: int8, uint8 or
// int16. w [out, kernel_rows, kernel_columns, in / groups], or [1, kernel_rows, kernel_columns,
// out] where `depthwise` (output channel o reads input channel o / (out / in)), of int8 or uint8. A
// fully connected layer is a convolution of one cell. Any size may be 0; what lies outside x counts
// as zero_x.
//
// Sums are in 32 bits that wrap; with a bias of 64 bits, which x of int16 may have, in 64.
// Finishing is TensorFlow Lite's MultiplyByQuantizedMultiplier, bit for bit: sum * multiplier *
// 2^(shift - 31) with its two roundings (with one where `once`), plus zero_y, which wraps, within
// [low, high]. So bits depend on nothing but the operands.
//
// A LevelConv is immutable: threads may run one object at the same time, each with scratch of its
// own. It must run on a thread whose team_size() is the one it was made under.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

struct LevelConvSpec {
  DType x = DType::kInt8, w = DType::kInt8, bias = DType::kInt32;
  int64_t batch = 0, rows = 0, columns = 0, in = 0;
  int64_t out = 0, out_rows = 0, out_columns = 0;
  int64_t kernel_rows = 1, kernel_columns = 1, groups = 1;
  bool depthwise = false;
  // Transposed: tap i of row r reads row (r + before - i) / stride where that is whole, instead of
  // r * stride - before + i * dilation.
  bool transposed = false;
  int64_t stride[2]{1, 1}, dilation[2]{1, 1}, before[2]{0, 0};
  int32_t zero_x = 0, zero_w = 0, zero_y = 0, low = 0, high = 0;
  std::vector<int32_t> multipliers, shifts;  // one of each, or one for each output channel
  bool once = false;
};

class LevelConv {
 public:
  // The sizes fit each other, zero points are levels of their operands, multipliers are not
  // negative, shifts are from -31 to 30, and low and high are levels of y.
  explicit LevelConv(const LevelConvSpec& spec);
  LevelConv(LevelConv&&) noexcept;
  LevelConv& operator=(LevelConv&&) noexcept;
  ~LevelConv();

  // A filter as run() reads it. Equal names: interchangeable bytes.
  std::string packed_name() const;
  size_t packed_bytes() const;
  void pack(const void* filter, void* packed) const;

  // Bytes of 64-byte-aligned memory that run() needs for its own use.
  size_t scratch_bytes() const;
  // `bias`: int32 or int64, as the spec says.
  void run(const void* x, const void* packed, const void* bias, void* y, void* scratch) const;

  class Way;  // private to levels/

 private:
  std::unique_ptr<const Way> way_;
};

}  // namespace tenon::kernels
