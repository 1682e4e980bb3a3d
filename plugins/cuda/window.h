// Sizes of 2-D windows over channels-last data.
#pragma once

#include <array>

#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {

struct Window2d {
  std::array<int64_t, 2> stride{1, 1}, dilation{1, 1}, pad_before{0, 0}, pad_after{0, 0};
};

// From strides, dilations, padding and explicit_paddings, for windows of `size` over inputs of
// `in` that give `out`. UNIMPLEMENTED for channels-first data and windows over batch or channels.
TenonStatus* read_window(const TenonPrepare* prepare, const std::array<int64_t, 2>& size,
                         const std::array<int64_t, 2>& in, const std::array<int64_t, 2>& out,
                         Window2d& window);
// The same for images x and y of rank 4.
TenonStatus* read_window_shape(const TenonPrepare* prepare, const std::array<int64_t, 2>& size,
                               const TenonType& x, const TenonType& y, WindowShape& shape);

}  // namespace plugin::cuda
