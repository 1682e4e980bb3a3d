// Comparisons, logical and bitwise ops.
#include "tenon/ops/math/elementwise.h"
#include "tenon/ops/math/string_binary.h"

namespace tenon {

using kernels::BinaryOp;

namespace {

// Shapes that do not broadcast are an error, or (incompatible_shape_error = false) unequal.
Status equality_shape(ShapeContext& c) {
  StatusOr<PartialShape> shape = broadcast_shapes(c.input(0), c.input(1));
  if (!shape.ok() && c.attr<bool>("incompatible_shape_error")) return shape.status();
  const auto is_scalar = [&](int i) { return c.input(i).has_rank() && c.input(i).rank() == 0; };
  const bool decided = c.attr<bool>("incompatible_shape_error") || is_scalar(0) || is_scalar(1) ||
                       (c.input(0).is_fully_known() && c.input(1).is_fully_known());
  if (!shape.ok()) {
    c.set_output(0, Shape());
  } else {
    c.set_output(0, decided ? *shape : PartialShape());
  }
  return absl::OkStatus();
}

template <BinaryOp op>
StatusOr<Kernel> make_equality(Prepare& p) {
  if (!broadcast_shapes(p.input_shape(0), p.input_shape(1)).ok()) {
    return [](KernelRun& r) {
      *r.out<bool>(0) = op == BinaryOp::kNotEqual;
      return absl::OkStatus();
    };
  }
  return make_binary_kernel(p, op);
}

template <BinaryOp op>
constexpr OpDecl equality(KernelFactory strings) {
  return {
      .inputs = "x: T, y: T",
      .outputs = "z: bool",
      .attrs = "T: type; incompatible_shape_error: bool = true",
      .shape = equality_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .loop = op,
      .kernels = {make_equality<op>, strings},
  };
}

template <BinaryOp op>
constexpr OpDecl ordering() {
  return binary<op>("T: {real}", no_gradient, "x: T, y: T", "z: bool");
}
template <BinaryOp op>
constexpr OpDecl logical() {
  return binary<op>("", no_gradient, "x: bool, y: bool", "z: bool");
}

}  // namespace

TENON_OP(Equal) = equality<BinaryOp::kEqual>(make_string_equal);
TENON_OP(NotEqual) = equality<BinaryOp::kNotEqual>(make_string_not_equal);

TENON_OP(Less) = ordering<BinaryOp::kLess>();
TENON_OP(LessEqual) = ordering<BinaryOp::kLessEqual>();
TENON_OP(Greater) = ordering<BinaryOp::kGreater>();
TENON_OP(GreaterEqual) = ordering<BinaryOp::kGreaterEqual>();

TENON_OP(LogicalAnd) = logical<BinaryOp::kLogicalAnd>();
TENON_OP(LogicalOr) = logical<BinaryOp::kLogicalOr>();

TENON_OP(BitwiseAnd) = binary<BinaryOp::kBitwiseAnd>("T: {integer}", no_gradient);
TENON_OP(BitwiseOr) = binary<BinaryOp::kBitwiseOr>("T: {integer}", no_gradient);
TENON_OP(BitwiseXor) = binary<BinaryOp::kBitwiseXor>("T: {integer}", no_gradient);
TENON_OP(LeftShift) = binary<BinaryOp::kLeftShift>("T: {integer}", no_gradient);
TENON_OP(RightShift) = binary<BinaryOp::kRightShift>("T: {integer}", no_gradient);

}  // namespace tenon
