// What the products of levels share: convolutions, transposed ones, fully connected layers.
//
// Filters lie as in TensorFlow Lite. Sums are in 32 bits that wrap; with 16-bit activations and a
// 64-bit bias in 64.
#pragma once

#include "tenon/kernels/levels/level_conv.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon::lite {

// INVALID_ARGUMENT where the factors are neither one nor one for each of `out` channels, or a zero
// point is no level of its tensor.
Status check_conv(const ShapeContext& c, int64_t out);
// Input 2 is a vector of `out` values.
Status check_bias(const ShapeContext& c, int64_t out);
// INVALID_ARGUMENT where the dimensions of one output channel's filter do not fit in int64.
Status check_filter_size(const PartialShape& w);
// An attribute of two positive numbers.
StatusOr<std::pair<int64_t, int64_t>> pair_of(const AttrMap& attrs, std::string_view name);
// Sets strides, dilations and paddings of `spec`, and `output`, -1 where it is not known.
Status window_of(const AttrMap& attrs, const PartialShape& x, const PartialShape& w,
                 kernels::LevelConvSpec& spec, int64_t (&output)[2]);

// Sets dtypes, factors, zero points and range, from the node: inputs are x, filter and bias.
// UNIMPLEMENTED where the dtypes do not go together.
Status set_levels(const Prepare& p, kernels::LevelConvSpec& spec);

// The kernel of a whole spec. A filter that is frozen is packed once a Plan, another in each run.
StatusOr<Kernel> make_level_conv(Prepare& p, const kernels::LevelConvSpec& spec);

}  // namespace tenon::lite
