// L2Loss: sum(t^2) / 2.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// Blocks of this many elements are summed one by one, then their sums: the order depends on the
// length alone.
constexpr int64_t kL2LossBlock = 256;

template <class T>
T l2_loss(const T* values, int64_t count) {
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Sum total = 0;
  for (int64_t begin = 0; begin < count; begin += kL2LossBlock) {
    Sum block = 0;
    for (int64_t i = begin; i < std::min(begin + kL2LossBlock, count); ++i) {
      const Sum value = static_cast<Sum>(values[i]);
      block += value * value;
    }
    total += block;
  }
  return static_cast<T>(total / 2);
}

StatusOr<Kernel> make_l2_loss(Prepare& p) {
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements()](KernelRun& r) {
      *r.out<T>(0) = l2_loss<T>(r.in<T>(0), count);
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(L2Loss) = {
    .inputs = "t: T",
    .outputs = "output: T",
    .attrs = "T: {floating}",
    .shape = scalar_shape,
    .gradient =
        [](Gradient& g) {
          g.set_dx(0, g.build().mul(g.input(0), g.dy()));
          return absl::OkStatus();
        },
    .kernels = {make_l2_loss},
};

}  // namespace tenon
