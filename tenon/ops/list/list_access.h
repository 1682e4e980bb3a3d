// What the list ops share: reading lists and element shapes, writing handles and elements.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/list/tensor_list.h"

namespace tenon {

// The list at input `index`. INVALID_ARGUMENT when it holds none, or when `dtype` is given and is
// not the list's.
StatusOr<const TensorList*> list_of(const KernelRun& r, int index, DType dtype = DType::kInvalid);

// A shape given as a tensor: a vector, -1 for an unknown dimension, or the scalar -1.
StatusOr<PartialShape> element_shape_of(const Tensor& tensor);

// The same in a shape function, where the value may not be known yet.
StatusOr<PartialShape> element_shape_from_input(const ShapeContext& c, int index);

inline void set_list(KernelRun& r, int output, Ref<TensorList> list) {
  r.set_output(output, Tensor::object(DType::kVariant, std::move(list)));
}

// What list elements without value read as: zeros (empty strings, empty lists).
StatusOr<Tensor> zero_element(KernelRun& r, DType dtype, const PartialShape& shape);

// [count] + the elements' common shape: element(i) one after the other, zeros for those without
// value. INVALID_ARGUMENT when the shapes differ or are not known well enough.
StatusOr<Tensor> stack_elements(KernelRun& r, DType dtype, const PartialShape& element_shape,
                                int64_t count, FunctionRef<const Tensor&(int64_t)> element);

// The elements joined along dimension 0: `element_shape` is their shape (dimension 0 may differ);
// element i without value is zeros of leading_dims[i] rows, or of element_shape[0].
// INVALID_ARGUMENT for scalars and for shapes that differ in another dimension.
StatusOr<Tensor> concat_elements(KernelRun& r, const TensorList& list,
                                 const PartialShape& element_shape,
                                 std::span<const int64_t> leading_dims);

// Sets output `index` to `value`; INTERNAL when another shape was planned.
Status set_planned(KernelRun& r, int index, const PartialShape& planned, Tensor value);

// Shape functions: the output is a scalar handle of a list like the one at input `index`.
template <int index>
Status list_like_input(ShapeContext& c) {
  c.set_output(0, Shape());
  if (const HandleInfo* info = c.handle(index)) c.set_handle(0, *info);
  return absl::OkStatus();
}

}  // namespace tenon
