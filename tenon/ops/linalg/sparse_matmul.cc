// SparseMatMul: a product of matrices of which TensorFlow expects many zeros; the zeros of the left
// one are passed over.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/grain.h"

namespace tenon {
namespace {

Status sparse_product_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const int a_inner = c.attr<bool>("transpose_a") ? 0 : 1;
  const int b_inner = c.attr<bool>("transpose_b") ? 1 : 0;
  const PartialShape &a = c.input(0), &b = c.input(1);
  if (a.has_rank() && b.has_rank() && !PartialShape::merge({a[a_inner]}, {b[b_inner]}).ok()) {
    return invalid_argument("Matrix size incompatible: a: ", a, ", b: ", b);
  }
  c.set_output(0, {a.has_rank() ? a[1 - a_inner] : -1, b.has_rank() ? b[1 - b_inner] : -1});
  return absl::OkStatus();
}

// Distances between neighbours along rows and columns of op(matrix).
struct MatrixSteps {
  int64_t row, column;
  MatrixSteps(const Shape& matrix, bool transposed)
      : row(transposed ? 1 : matrix[1]), column(transposed ? matrix[1] : 1) {}
};

StatusOr<Kernel> make_sparse_product(Prepare& p) {
  const bool transpose_a = p.attr<bool>("transpose_a");
  const MatrixSteps a(p.input_shape(0), transpose_a);
  const MatrixSteps b(p.input_shape(1), p.attr<bool>("transpose_b"));
  const int64_t rows = p.output_shape(0)[0], columns = p.output_shape(0)[1];
  const int64_t inner = p.input_shape(0)[transpose_a ? 0 : 1];
  Kernel kernel;
  visit<TypeList<float, bfloat16>>(p.input_dtype(0), [&]<class A>() {
    visit<TypeList<float, bfloat16>>(p.input_dtype(1), [&]<class B>() {
      kernel = [=](KernelRun& r) {
        parallel_for(rows, kernels::grain_of(inner * columns), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            float* y = r.out<float>(0) + i * columns;
            std::fill_n(y, columns, 0.0F);
            for (int64_t k = 0; k < inner; ++k) {
              const auto factor = static_cast<float>(r.in<A>(0)[i * a.row + k * a.column]);
              if (factor == 0) continue;
              const B* from = r.in<B>(1) + k * b.row;
              for (int64_t j = 0; j < columns; ++j) {
                y[j] += factor * static_cast<float>(from[j * b.column]);
              }
            }
          }
        });
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// math_grad.py, _SparseMatMulGrad.
Status sparse_product_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const bool ta = g.attr<bool>("transpose_a"), tb = g.attr<bool>("transpose_b");
  const Endpoint dy = g.dy();
  const Endpoint x = b.cast(g.input(0), DType::kFloat), y = b.cast(g.input(1), DType::kFloat);
  const Endpoint dx = ta ? b.matmul(y, dy, tb, true) : b.matmul(dy, y, false, !tb);
  const Endpoint dz = tb ? b.matmul(dy, x, true, ta) : b.matmul(x, dy, !ta, false);
  g.set_dx(0, b.cast(dx, g.input_dtype(0)));
  g.set_dx(1, b.cast(dz, g.input_dtype(1)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SparseMatMul) = {
    .inputs = "a: Ta, b: Tb",
    .outputs = "product: float",
    .attrs =
        "transpose_a: bool = false; transpose_b: bool = false; a_is_sparse: bool = false; "
        "b_is_sparse: bool = false; Ta: {float, bfloat16} = float; Tb: {float, bfloat16} = float",
    .shape = sparse_product_shape,
    .gradient = sparse_product_gradient,
    .kernels = {make_sparse_product},
};

}  // namespace tenon
