#include "tenon/kernels/broadcast.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"

namespace tenon::kernels {
namespace {

// Elements that one thread should at least have.

// Size of axis `axis` of the result (counted in `rank` axes) in `shape`, 1 where it has none.
int64_t size_at(const Shape& shape, int axis, int rank) {
  const int own = axis - (rank - shape.rank());
  return own < 0 ? 1 : shape[own];
}

std::string listed(std::span<const Shape> shapes) { return join(shapes, " vs. "); }

}  // namespace

StatusOr<Shape> broadcast_shape(std::span<const Shape> shapes) {
  int rank = 0;
  for (const Shape& shape : shapes) rank = std::max(rank, shape.rank());
  Shape result;
  for (int axis = 0; axis < rank; ++axis) {
    int64_t size = 1;
    for (const Shape& shape : shapes) {
      const int64_t own = size_at(shape, axis, rank);
      if (own == 1) continue;
      if (size != 1 && own != size) {
        return invalid_argument("Incompatible shapes: ", listed(shapes));
      }
      size = own;
    }
    result.append(size);
  }
  return result;
}

StatusOr<BroadcastPlan> plan_broadcast(std::span<const Shape> shapes) {
  if (shapes.size() > kMaxBroadcastInputs) {
    return invalid_argument("cannot broadcast ", shapes.size(), " tensors at once, at most ",
                            kMaxBroadcastInputs);
  }
  BroadcastPlan plan;
  plan.inputs = static_cast<int>(shapes.size());
  TENON_ASSIGN_OR_RETURN(plan.shape, broadcast_shape(shapes));
  plan.count = plan.shape.num_elements();
  const int rank = plan.shape.rank();
  Dims next(shapes.size(), 1);  // stride of the axis at hand, from the innermost out
  for (int axis = rank - 1; axis >= 0; --axis) {
    const int64_t size = plan.shape[axis];
    if (size == 1) continue;
    Dims strides;
    for (size_t i = 0; i < shapes.size(); ++i) {
      const int64_t own = size_at(shapes[i], axis, rank);
      strides.push_back(own == 1 ? 0 : next[i]);
      next[i] *= own;
    }
    bool merge = !plan.dims.empty();
    for (size_t i = 0; merge && i < shapes.size(); ++i) {
      merge = strides[i] == plan.strides[i].back() * plan.dims.back();
    }
    if (merge) {
      plan.dims.back() *= size;
      continue;
    }
    plan.dims.push_back(size);
    for (size_t i = 0; i < shapes.size(); ++i) plan.strides[i].push_back(strides[i]);
  }
  if (plan.dims.empty()) {
    plan.dims.push_back(1);
    for (size_t i = 0; i < shapes.size(); ++i) plan.strides[i].push_back(0);
  }
  std::reverse(plan.dims.begin(), plan.dims.end());
  for (Dims& strides : plan.strides) std::reverse(strides.begin(), strides.end());
  return plan;
}

void for_each_run(const BroadcastPlan& plan, BroadcastBody body) {
  if (plan.count == 0) return;
  const size_t last = plan.dims.size() - 1;
  const int64_t inner = plan.dims[last];
  // Split by elements, so that one long run is shared too; a piece of a run is a run.
  parallel_for(plan.count, grain_of(), [&](int64_t begin, int64_t end) {
    Dims index(plan.dims.size(), 0);
    int64_t offsets[kMaxBroadcastInputs] = {};
    int64_t steps[kMaxBroadcastInputs] = {};
    int64_t rest = begin;
    for (size_t i = plan.dims.size(); i-- > 0;) {
      index[i] = rest % plan.dims[i];
      rest /= plan.dims[i];
      for (int k = 0; k < plan.inputs; ++k) offsets[k] += index[i] * plan.strides[k][i];
    }
    for (int k = 0; k < plan.inputs; ++k) steps[k] = plan.strides[k][last];
    while (begin < end) {
      const int64_t count = std::min(inner - index[last], end - begin);
      body(offsets, steps, begin, count);
      begin += count;
      index[last] += count;
      for (int k = 0; k < plan.inputs; ++k) offsets[k] += count * steps[k];
      for (size_t i = last; i > 0 && index[i] == plan.dims[i]; --i) {
        for (int k = 0; k < plan.inputs; ++k) {
          offsets[k] += plan.strides[k][i - 1] - plan.dims[i] * plan.strides[k][i];
        }
        index[i] = 0;
        ++index[i - 1];
      }
    }
  });
}

void run_binary(const BroadcastPlan& plan, BinaryKernel kernel, size_t input_size, const void* a,
                const void* b, size_t output_size, void* y) {
  const auto size = static_cast<int64_t>(input_size);
  for_each_run(
      plan, [&](const int64_t* offsets, const int64_t* steps, int64_t y_offset, int64_t count) {
        kernel(static_cast<const char*>(a) + offsets[0] * size, steps[0],
               static_cast<const char*>(b) + offsets[1] * size, steps[1],
               static_cast<char*>(y) + y_offset * static_cast<int64_t>(output_size), count);
      });
}

void run_select(const BroadcastPlan& plan, size_t element_size, const bool* condition,
                const void* a, const void* b, void* y) {
  const auto size = static_cast<int64_t>(element_size);
  for_each_run(plan,
               [&](const int64_t* offsets, const int64_t* steps, int64_t y_offset, int64_t count) {
                 select(element_size, condition + offsets[0], steps[0],
                        static_cast<const char*>(a) + offsets[1] * size, steps[1],
                        static_cast<const char*>(b) + offsets[2] * size, steps[2],
                        static_cast<char*>(y) + y_offset * size, count);
               });
}

void run_broadcast_copy(const BroadcastPlan& plan, size_t element_size, const void* x, void* y) {
  const auto size = static_cast<int64_t>(element_size);
  for_each_run(plan,
               [&](const int64_t* offsets, const int64_t* steps, int64_t y_offset, int64_t count) {
                 const char* from = static_cast<const char*>(x) + offsets[0] * size;
                 char* to = static_cast<char*>(y) + y_offset * size;
                 if (steps[0] == 1) {
                   std::memcpy(to, from, static_cast<size_t>(count * size));
                 } else {
                   fill(element_size, from, to, count);
                 }
               });
}

}  // namespace tenon::kernels
