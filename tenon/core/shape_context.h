// ShapeContext: what an op's shape function sees, and the shape functions that many ops share.
//
// The same function serves planning (dimensions partly unknown) and binding (all known): it says as
// much as it can. It also checks: what it accepts, the kernel may rely on. INVALID_ARGUMENT
// otherwise, with a message that names input, found and expected; the caller adds op and node.
#pragma once

#include "tenon/core/op.h"

namespace tenon {

// The tensor behind a resource or variant: a variable's value, a TensorList's elements.
struct HandleInfo {
  DType dtype = DType::kInvalid;
  PartialShape shape;
};

class ShapeContext {
 public:
  virtual ~ShapeContext() = default;

  virtual const OpDef& op() const = 0;
  virtual const AttrMap& attrs() const = 0;
  template <class T>
  const T& attr(std::string_view name) const {
    return attrs().get<T>(name);
  }

  virtual int num_inputs() const = 0;
  virtual DType input_dtype(int index) const = 0;
  virtual const PartialShape& input(int index) const = 0;
  // The value, in host memory, when it is known; null otherwise.
  virtual const Tensor* constant(int index) const = 0;
  // Null when nothing is known.
  virtual const HandleInfo* handle(int index) const = 0;

  virtual int num_outputs() const = 0;
  virtual void set_output(int index, PartialShape shape) = 0;
  virtual void set_handle(int index, HandleInfo handle) = 0;

  // The shape of the output of function attribute `name`; unknown when it cannot be inferred.
  virtual std::vector<PartialShape> function_results(std::string_view name, int first_input) = 0;

  // --- what shape functions ask again and again ---

  // INVALID_ARGUMENT unless input `index` has (or may have) this rank.
  Status expect_rank(int index, int rank) const;
  Status expect_rank_at_least(int index, int rank) const;
  // A 1-D integer constant as a shape, -1 allowed; unknown rank (or the rank that the input's own
  // length gives) when the value is not known.
  StatusOr<PartialShape> shape_from_input(int index) const;
};

// Normalises a possibly negative axis; INVALID_ARGUMENT when it is outside [-rank, rank).
StatusOr<int> resolve_axis(int64_t axis, int rank);

// The axes of a reduction: each resolved, none twice, sorted.
StatusOr<std::vector<int>> resolve_axes(const Tensor& axes, int rank);

// NumPy broadcasting of what is known; INVALID_ARGUMENT when the shapes cannot go together.
StatusOr<PartialShape> broadcast_shapes(const PartialShape& a, const PartialShape& b);
StatusOr<Shape> broadcast_shapes(const Shape& a, const Shape& b);

// Sum and product of dimensions: -1 (not known) when one is; INVALID_ARGUMENT when the result does
// not fit in int64. Shape functions compute new dimensions with them.
StatusOr<int64_t> add_dims(int64_t a, int64_t b);
StatusOr<int64_t> multiply_dims(int64_t a, int64_t b);

// Output size of a window op along one axis (TensorFlow's GetWindowedOutputSize): `padding` is
// SAME, VALID or EXPLICIT (then `before` and `after` are given). Not known when `input` is not.
struct Window {
  int64_t output = -1;
  int64_t before = 0;  // padding put before, after
  int64_t after = 0;
};
StatusOr<Window> window_output(int64_t input, int64_t filter, int64_t dilation, int64_t stride,
                               std::string_view padding, int64_t before = 0, int64_t after = 0);

// Whether the rows of a batch lie along dimension 0: its size is not known.
inline bool has_unknown_rows(const PartialShape& shape) {
  return shape.has_rank() && shape.rank() > 0 && shape[0] < 0;
}

// Rows of an op that works along `axis` of a tensor of `rank` and leaves the other axes alone.
Rows rows_beside_axis(int64_t axis, int rank);
// The same where the axis is the one element of input `axis`, once known, and the tensor is
// `value`.
template <int axis, int value = 0>
Rows rows_beside_axis_input(const ShapeContext& c) {
  const Tensor* known = c.constant(axis);
  if (!known || known->num_elements() != 1 || !c.input(value).has_rank()) return Rows::kMixed;
  return rows_beside_axis(integer_at(*known, 0), c.input(value).rank());
}

// Output 0 (all outputs) has the shape of input `index`.
template <int index>
Status same_as_input(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.input(index));
  return absl::OkStatus();
}
Status scalar_shape(ShapeContext& c);
Status unknown_shape(ShapeContext& c);
Status no_outputs(ShapeContext& c);
// Inputs 0 and 1 broadcast against each other.
Status broadcast_inputs(ShapeContext& c);

}  // namespace tenon
