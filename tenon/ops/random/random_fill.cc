#include "tenon/ops/random/random_fill.h"

namespace tenon {
namespace {

using RandomIntTypes = TypeList<int32_t, int64_t, uint32_t, uint64_t>;

template <auto fill, class T>
void fill_erased(kernels::Philox generator, int64_t count, void* y) {
  fill(generator, count, static_cast<T*>(y));
}

}  // namespace

RandomFill find_random_fill(Distribution distribution, DType dtype) {
  RandomFill fill = nullptr;
  if (distribution == Distribution::kFullInt) {
    visit<RandomIntTypes>(
        dtype, [&]<class T>() { fill = fill_erased<kernels::fill_uniform_full_int<T>, T>; });
    return fill;
  }
  visit<FloatTypes>(dtype, [&]<class T>() {
    fill = distribution == Distribution::kUniform ? fill_erased<kernels::fill_uniform<T>, T>
           : distribution == Distribution::kNormal
               ? fill_erased<kernels::fill_normal<T>, T>
               : fill_erased<kernels::fill_truncated_normal<T>, T>;
  });
  return fill;
}

Status fill_random_int(kernels::Philox generator, const Tensor& low, const Tensor& high,
                       Tensor& output) {
  // TensorFlow looks at the bounds only when there is something to draw.
  if (output.num_elements() == 0) return absl::OkStatus();
  Status status = unimplemented("no random integers of dtype ", output.dtype());
  visit<RandomIntTypes>(output.dtype(), [&]<class T>() {
    const T from = *low.data<T>(), to = *high.data<T>();
    if (from >= to) {
      status = invalid_argument("Need minval < maxval, got ", from, " >= ", to);
      return;
    }
    kernels::fill_uniform_int<T>(generator, output.num_elements(), from, to,
                                 output.mutable_data<T>());
    status = absl::OkStatus();
  });
  return status;
}

Status random_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(0));
  if (c.constant(0)) TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

}  // namespace tenon
