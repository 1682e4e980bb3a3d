// MaxPoolWithArgmax and its gradient op: the largest value of each window, and where it lies.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

Status max_pool_argmax_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape shape, pool_output_shape(c.attrs(), c.input(0)));
  if (c.input(0).num_elements() == 0) return invalid_argument("tensor_in must not be empty");
  c.set_output(0, shape);
  c.set_output(1, shape);
  return absl::OkStatus();
}

Status max_pool_argmax_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape shape, pool_output_shape(c.attrs(), c.input(0)));
  for (int i = 1; i < 3; ++i) {
    if (!PartialShape::merge(shape, c.input(i)).ok()) {
      return invalid_argument("input ", i, " has shape ", c.input(i), ", pooling ", c.input(0),
                              " gives ", shape);
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool_argmax(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(p.attrs(), p.input_shape(0)));
  const bool with_batch = p.attr<bool>("include_batch_in_index");
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(1), [&]<class Index>() {
      kernel = [spec, with_batch](KernelRun& r) {
        kernels::max_pool_with_argmax<T, Index>(spec, r.in<T>(0), with_batch, r.out<T>(0),
                                                r.out<Index>(1));
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) return unimplemented("a pooling with indices of dtype ", p.input_dtype(0));
  return kernel;
}

// Inputs: the pooling's input, its output's gradient, the indices.
StatusOr<Kernel> make_max_pool_argmax_grad(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t total = x.num_elements();
  const int64_t item = x[0] == 0 ? 0 : total / x[0];
  const int64_t windows =
      p.input_shape(1)[0] == 0 ? 0 : p.input_shape(1).num_elements() / p.input_shape(1)[0];
  const bool with_batch = p.attr<bool>("include_batch_in_index");
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(2), [&]<class Index>() {
      kernel = [=](KernelRun& r) -> Status {
        T* dx = r.out<T>(0);
        std::fill_n(dx, total, T{});
        const auto dy = r.input(1).span<T>();
        const auto argmax = r.input(2).span<Index>();
        for (size_t i = 0; i < dy.size(); ++i) {
          const int64_t base = with_batch ? 0 : static_cast<int64_t>(i) / windows * item;
          const int64_t at = base + static_cast<int64_t>(argmax[i]);
          if (argmax[i] < 0 || at >= total) {
            return invalid_argument("argmax[", i, "] = ", argmax[i], " lies outside the input of ",
                                    total, " elements");
          }
          dx[at] = static_cast<T>(dx[at] + dy[i]);
        }
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) return unimplemented("no kernel for dtype ", p.input_dtype(0));
  return kernel;
}

Status max_pool_argmax_gradient(Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"ksize", "strides", "padding", "include_batch_in_index"}) {
    attrs.set(name, *g.forward().attrs.find(name));
  }
  g.set_dx(0, g.build().op("MaxPoolGradWithArgmax", {g.input(0), g.dy(), g.output(1)},
                           std::move(attrs)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MaxPoolWithArgmax) = {
    .inputs = "input: T",
    .outputs = "output: T, argmax: Targmax",
    .attrs =
        "ksize: list(int) >= 4; strides: list(int) >= 4; Targmax: {int32, int64} = int64; "
        "padding: {'SAME', 'VALID'}; include_batch_in_index: bool = false; T: {real}",
    .shape = max_pool_argmax_shape,
    .gradient = max_pool_argmax_gradient,
    .kernels = {make_max_pool_argmax},
};

TENON_OP(MaxPoolGradWithArgmax) = {
    .inputs = "input: T, grad: T, argmax: Targmax",
    .outputs = "output: T",
    .attrs =
        "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
        "include_batch_in_index: bool = false; Targmax: {int32, int64}; T: {real}",
    .shape = max_pool_argmax_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_max_pool_argmax_grad},
};

}  // namespace tenon
