// NumPy broadcasting: shapes collapsed to the fewest dimensions, and drivers over them.
#pragma once

#include <span>

#include "tenon/base/function_ref.h"
#include "tenon/core/shape.h"
#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {

inline constexpr int kMaxBroadcastInputs = 4;

// Collapsed dimensions with each input's stride in elements (0 where it is broadcast). Dimensions
// of one are dropped and neighbours that all inputs walk alike are merged; dims is never empty.
struct BroadcastPlan {
  Shape shape;  // of the result, not collapsed
  Dims dims;
  int inputs = 0;
  Dims strides[kMaxBroadcastInputs];
  int64_t count = 0;  // elements of the result
};

// The shape that `shapes` broadcast to. INVALID_ARGUMENT "Incompatible shapes: [2] vs. [3]".
StatusOr<Shape> broadcast_shape(std::span<const Shape> shapes);

StatusOr<BroadcastPlan> plan_broadcast(std::span<const Shape> shapes);

// Calls body(offsets, steps, y_offset, count) for runs of the innermost dimension, in parallel:
// input i's elements are offsets[i] + j * steps[i], j < count; the result's y_offset + j.
using BroadcastBody = FunctionRef<void(const int64_t* offsets, const int64_t* steps,
                                       int64_t y_offset, int64_t count)>;
void for_each_run(const BroadcastPlan& plan, BroadcastBody body);

// y = kernel(a, b) over a plan of two inputs. Sizes are of one element, in bytes.
void run_binary(const BroadcastPlan& plan, BinaryKernel kernel, size_t input_size, const void* a,
                const void* b, size_t output_size, void* y);

// y = condition ? a : b over a plan of three inputs.
void run_select(const BroadcastPlan& plan, size_t element_size, const bool* condition,
                const void* a, const void* b, void* y);

// BroadcastTo, Tile by whole repeats of dimensions of one: copies `x` (input 0 of the plan).
void run_broadcast_copy(const BroadcastPlan& plan, size_t element_size, const void* x, void* y);

}  // namespace tenon::kernels
