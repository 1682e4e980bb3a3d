#include "tenon/ops/list/list_access.h"

#include <cstring>

namespace tenon {

StatusOr<const TensorList*> list_of(const KernelRun& r, int index, DType dtype) {
  const TensorList* list = r.input(index).object_as<TensorList>();
  if (!list) return invalid_argument("input ", index, " is not a list");
  if (dtype != DType::kInvalid && list->dtype() != dtype) {
    return invalid_argument("Invalid data types; op elements ", dtype, " but list elements ",
                            list->dtype());
  }
  return list;
}

StatusOr<PartialShape> element_shape_of(const Tensor& tensor) {
  if (tensor.rank() == 0) {
    if (integer_at(tensor, 0) == -1) return PartialShape();
    return invalid_argument("an element shape given as a scalar must be -1, it is ",
                            integer_at(tensor, 0));
  }
  if (tensor.rank() != 1 || tensor.num_elements() > kMaxRank) {
    return invalid_argument("an element shape must be a short vector, it has shape ",
                            tensor.shape());
  }
  const std::vector<int64_t> dims = integers_of(tensor);
  for (int64_t dim : dims) {
    if (dim < -1) return invalid_argument("an element shape has the dimension ", dim);
  }
  return PartialShape(std::span<const int64_t>(dims));
}

StatusOr<PartialShape> element_shape_from_input(const ShapeContext& c, int index) {
  if (const Tensor* value = c.constant(index)) return element_shape_of(*value);
  const PartialShape& shape = c.input(index);
  if (shape.has_rank() && shape.rank() == 1 && shape[0] >= 0 && shape[0] <= kMaxRank) {
    return PartialShape::unknown_of_rank(static_cast<int>(shape[0]));
  }
  return PartialShape();
}

StatusOr<Tensor> zero_element(KernelRun& r, DType dtype, const PartialShape& shape) {
  if (!shape.is_fully_known()) {
    return invalid_argument(
        "Trying to read an element that was never set from a list whose "
        "element shape, ",
        shape, ", is not fully known");
  }
  if (dtype == DType::kVariant && shape.rank() == 0) {
    // The sum of no lists: whatever is added to it stays as it is.
    return Tensor(dtype, Shape());
  }
  TENON_ASSIGN_OR_RETURN(const Shape checked, Shape::make(shape.dims(), size_of(dtype)));
  if (is_object(dtype)) return Tensor::allocate(dtype, checked);
  TENON_ASSIGN_OR_RETURN(Tensor zeros, r.allocate(dtype, checked));
  if (zeros.num_bytes() > 0) std::memset(zeros.mutable_raw(), 0, zeros.num_bytes());
  return zeros;
}

namespace {

// One after the other into a tensor of `shape`: element(i) has count_of(i) values, zeros where it
// has none.
StatusOr<Tensor> join_elements(KernelRun& r, DType dtype, const Shape& shape, int64_t count,
                               FunctionRef<const Tensor&(int64_t)> element,
                               FunctionRef<int64_t(int64_t)> count_of) {
  int64_t at = 0;
  if (dtype == DType::kString) {
    StringTensorBuilder builder(shape);
    for (int64_t i = 0; i < count; at += count_of(i++)) {
      const Tensor& one = element(i);
      if (!one.has_value()) continue;
      builder.share(one);
      for (int64_t e = 0; e < count_of(i); ++e) {
        builder.set_view(at + e, one.data<std::string_view>()[e]);
      }
    }
    return std::move(builder).build();
  }
  if (is_object(dtype)) {
    TENON_ASSIGN_OR_RETURN(Tensor all, Tensor::allocate(dtype, shape));
    for (int64_t i = 0; i < count; at += count_of(i++)) {
      const Tensor& one = element(i);
      if (!one.has_value()) continue;
      std::copy_n(one.data<Ref<Object>>(), count_of(i), all.mutable_data<Ref<Object>>() + at);
    }
    return all;
  }
  TENON_ASSIGN_OR_RETURN(Tensor all, r.allocate(dtype, shape));
  char* place = all.mutable_data<char>();
  for (int64_t i = 0; i < count; ++i) {
    const Tensor& one = element(i);
    const size_t bytes = static_cast<size_t>(count_of(i)) * size_of(dtype);
    if (bytes == 0) continue;
    if (one.has_value()) {
      std::memcpy(place, one.raw(), bytes);
    } else {
      std::memset(place, 0, bytes);
    }
    place += bytes;
  }
  return all;
}

}  // namespace

StatusOr<Tensor> stack_elements(KernelRun& r, DType dtype, const PartialShape& element_shape,
                                int64_t count, FunctionRef<const Tensor&(int64_t)> element) {
  PartialShape each = element_shape;
  for (int64_t i = 0; i < count; ++i) {
    const Tensor& one = element(i);
    if (!one.has_value()) continue;
    StatusOr<PartialShape> merged = PartialShape::merge(each, one.shape());
    if (!merged.ok()) {
      return invalid_argument("element ", i, " of a list has shape ", one.shape(),
                              ", the ones before have ", each);
    }
    each = *std::move(merged);
  }
  if (!each.is_fully_known()) {
    return invalid_argument("Tried to stack elements of ", count == 0 ? "an empty" : "a",
                            " list with non-fully-defined element_shape: ", each);
  }
  std::vector<int64_t> dims{count};
  dims.insert(dims.end(), each.dims().begin(), each.dims().end());
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(dtype)));
  return join_elements(r, dtype, shape, count, element,
                       [&](int64_t) { return each.num_elements(); });
}

StatusOr<Tensor> concat_elements(KernelRun& r, const TensorList& list,
                                 const PartialShape& element_shape,
                                 std::span<const int64_t> leading_dims) {
  // Shapes without their first dimension must agree.
  const auto tail_of = [](PartialShape shape) -> StatusOr<PartialShape> {
    if (!shape.has_rank()) return shape;
    if (shape.rank() == 0) return invalid_argument("Concat saw a scalar shape");
    return PartialShape(shape.dims().subspan(1));
  };
  TENON_ASSIGN_OR_RETURN(PartialShape tail, tail_of(element_shape));
  TENON_ASSIGN_OR_RETURN(const PartialShape own, tail_of(list.element_shape()));
  TENON_ASSIGN_OR_RETURN(tail, PartialShape::merge(tail, own));
  std::vector<int64_t> rows(static_cast<size_t>(list.size()));
  int64_t total = 0;
  for (int64_t i = 0; i < list.size(); ++i) {
    int64_t& own_rows = rows[static_cast<size_t>(i)];
    if (const Tensor& element = list[i]; element.has_value()) {
      TENON_ASSIGN_OR_RETURN(const PartialShape inner, tail_of(element.shape()));
      TENON_ASSIGN_OR_RETURN(tail, PartialShape::merge(tail, inner));
      own_rows = element.dim(0);
    } else if (static_cast<size_t>(i) < leading_dims.size()) {
      own_rows = leading_dims[static_cast<size_t>(i)];
    } else {
      own_rows = element_shape.has_rank() ? element_shape[0] : -1;
    }
    if (own_rows < 0)
      return invalid_argument("element ", i, " was never set, its rows are unknown");
    total += own_rows;
  }
  if (!tail.is_fully_known()) {
    return invalid_argument(
        "All except the first dimension must be fully defined when "
        "concating an empty tensor list. element_shape: ",
        element_shape);
  }
  std::vector<int64_t> dims{total};
  dims.insert(dims.end(), tail.dims().begin(), tail.dims().end());
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(list.dtype())));
  const int64_t row = tail.num_elements();
  return join_elements(
      r, list.dtype(), shape, list.size(), [&](int64_t i) -> const Tensor& { return list[i]; },
      [&](int64_t i) { return rows[static_cast<size_t>(i)] * row; });
}

Status set_planned(KernelRun& r, int index, const PartialShape& planned, Tensor value) {
  if (!planned.matches(value.shape())) {
    return internal("output ", index, " has shape ", value.shape(), ", ", planned, " was planned");
  }
  r.set_output(index, std::move(value));
  return absl::OkStatus();
}

}  // namespace tenon
