// The ways to compute a convolution of levels, and what they share. Private to this folder.
#pragma once

#include "tenon/kernels/levels/level_conv.h"
#include "tenon/kernels/simd/level_loops.h"

namespace tenon::kernels {

class LevelConv::Way {
 public:
  virtual ~Way() = default;
  virtual std::string packed_name() const = 0;
  virtual size_t packed_bytes() const = 0;
  virtual void pack(const void* filter, void* packed) const = 0;
  virtual size_t scratch_bytes() const = 0;
  virtual void run(const void* x, const void* packed, const void* bias, void* y,
                   void* scratch) const = 0;
};

// Filters of one channel each, as many as input channels; a bias of 32 bits.
std::unique_ptr<const LevelConv::Way> depthwise_way(const LevelConvSpec& spec);
// All others, as products of rows that are collected first.
std::unique_ptr<const LevelConv::Way> product_way(const LevelConvSpec& spec);

inline size_t bytes_of_level(DType dtype) { return dtype == DType::kInt16 ? 2 : 1; }

// The factors of a spec as LevelFinish wants them: column i has those of channel channels[i];
// columns with channel -1 are not stored.
class ColumnFactors {
 public:
  ColumnFactors(const LevelConvSpec& spec, const std::vector<int64_t>& channels);
  LevelFinish from(int64_t column) const;

 private:
  std::vector<int32_t> multiplier_, left_, right_, mask_;
  LevelFinish finish_;
};

// bias[c] - offset * sum[c] of channels[c], 0 where that is -1.
void fold_offset(const std::vector<int64_t>& channels, const void* bias, DType bias_dtype,
                 int64_t offset, const int64_t* sums, void* folded);

}  // namespace tenon::kernels
