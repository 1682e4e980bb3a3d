// ArgMax and ArgMin.
#include "tenon/core/shape_context.h"
#include "tenon/kernels/reduce.h"

namespace tenon {
namespace {

using ArgTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                          uint8_t, uint16_t, uint32_t, uint64_t, bool>;

Status arg_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const PartialShape& x = c.input(0);
  const Tensor* dimension = c.constant(1);
  if (!x.has_rank() || !dimension) {
    c.set_output(0, x.has_rank() && x.rank() > 0 ? PartialShape::unknown_of_rank(x.rank() - 1)
                                                 : PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*dimension, 0), x.rank()));
  if (x[axis] == 0) {
    return invalid_argument("Reduction axis ", axis, " is empty in shape ", x);
  }
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims.erase(dims.begin() + axis);
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

template <bool is_max>
StatusOr<Kernel> make_arg(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*p.constant(1), 0), shape.rank()));
  const int64_t outer = shape.product(0, axis);
  const int64_t size = shape[axis];
  const int64_t inner = shape.product(axis + 1, shape.rank());
  Kernel kernel;
  visit<ArgTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(0), [&]<class Index>() {
      const auto loop = is_max ? kernels::arg_max<T, Index> : kernels::arg_min<T, Index>;
      kernel = [=](KernelRun& r) {
        loop(outer, size, inner, r.in<T>(0), r.out<Index>(0));
        return absl::OkStatus();
      };
    });
  });
  // Narrow indices are found as int32 first.
  visit<TypeList<int16_t, uint16_t>>(p.output_dtype(0), [&]<class Index>() {
    visit<ArgTypes>(p.input_dtype(0), [&]<class T>() {
      const auto loop = is_max ? kernels::arg_max<T, int32_t> : kernels::arg_min<T, int32_t>;
      p.reserve_scratch(static_cast<size_t>(outer * inner) * sizeof(int32_t));
      kernel = [=](KernelRun& r) {
        int32_t* wide = r.scratch<int32_t>();
        loop(outer, size, inner, r.in<T>(0), wide);
        std::copy_n(wide, outer * inner, r.out<Index>(0));
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel from ", p.input_dtype(0), " to ",
                         p.output_dtype(0));
  }
  return kernel;
}

constexpr OpDecl arg_op(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "input: T, dimension: Tidx",
      .outputs = "output: output_type",
      .attrs = attrs,
      .host_inputs = {1},
      .shape = arg_shape,
      .rows = rows_beside_axis_input<1>,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(ArgMax) = arg_op(
    "T: {real, qint8, quint8, qint32, qint16, quint16, bool}; Tidx: {int16, int32, int64} = "
    "int32; output_type: {int16, uint16, int32, int64} = int64",
    make_arg<true>);
TENON_OP(ArgMin) = arg_op(
    "T: {real, qint8, quint8, qint32, qint16, quint16, bool}; Tidx: {int32, int64} = int32; "
    "output_type: {int32, int64} = int64",
    make_arg<false>);

}  // namespace tenon
