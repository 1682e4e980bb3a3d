#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status where_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  const PartialShape& x = c.input(0);
  c.set_output(0, PartialShape{-1, x.has_rank() ? x.rank() : -1});
  return absl::OkStatus();
}

// Row-major coordinates of the elements that are not zero.
template <class T>
Status find_true(KernelRun& r, const Shape& shape) {
  const std::span<const T> x = r.input(0).span<T>();
  const int64_t count = std::count_if(x.begin(), x.end(), [](T value) { return value != T{}; });
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, shape.rank()}));
  int64_t* y = r.out<int64_t>(0);
  Dims index(static_cast<size_t>(shape.rank()), 0);
  for (const T& value : x) {
    if (value != T{}) y = std::copy(index.begin(), index.end(), y);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      int64_t& at = index[static_cast<size_t>(axis)];
      if (++at < shape[axis]) break;
      at = 0;
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_where(Prepare& p) {
  const Shape shape = p.input_shape(0);
  Kernel kernel;
  const auto use = [&]<class T>() {
    kernel = [shape](KernelRun& r) { return find_true<T>(r, shape); };
  };
  visit<NumericTypes>(p.input_dtype(0), use);
  visit<TypeList<bool>>(p.input_dtype(0), use);
  if (!kernel) return unimplemented("Where has no CPU kernel for dtype ", p.input_dtype(0));
  return kernel;
}

}  // namespace

TENON_OP(Where) = {
    .inputs = "input: T",
    .outputs = "index: int64",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16, bool} = bool",
    .shape = where_shape,
    .gradient = not_differentiable,
    .kernels = {make_where},
};

}  // namespace tenon
