// TensorLists to and from one tensor: stack, unstack, gather, scatter, concatenate, split.
// Gradients as in tensorflow/python/ops/list_ops.py.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/list/list_access.h"

namespace tenon {
namespace {

// [leading] + the element's shape.
PartialShape stacked_shape(int64_t leading, const PartialShape& element) {
  if (!element.has_rank()) return PartialShape();
  std::vector<int64_t> dims{leading};
  dims.insert(dims.end(), element.dims().begin(), element.dims().end());
  return PartialShape(std::span<const int64_t>(dims));
}

StatusOr<PartialShape> stacked_element_shape(const ShapeContext& c, int input) {
  TENON_ASSIGN_OR_RETURN(PartialShape wanted, element_shape_from_input(c, input));
  const HandleInfo* info = c.handle(0);
  return info ? PartialShape::merge(info->shape, wanted) : std::move(wanted);
}

Status list_stack_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape element, stacked_element_shape(c, 1));
  c.set_output(0, stacked_shape(c.attr<int64_t>("num_elements"), element));
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_stack(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0), planned = p.output_shape(0),
                 expected = p.attr<int64_t>("num_elements")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    if (expected != -1 && list->size() != expected) {
      return invalid_argument("Operation expected a list with ", expected,
                              " elements but got a list with ", list->size(), " elements.");
    }
    TENON_ASSIGN_OR_RETURN(const PartialShape wanted, element_shape_of(r.input(1)));
    TENON_ASSIGN_OR_RETURN(const PartialShape element, list->common_shape(wanted));
    TENON_ASSIGN_OR_RETURN(Tensor all,
                           stack_elements(r, dtype, element, list->size(),
                                          [&](int64_t i) -> const Tensor& { return (*list)[i]; }));
    return set_planned(r, 0, planned, std::move(all));
  });
}

Status list_from_tensor_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_from_input(c, 1));
  const PartialShape& tensor = c.input(0);
  if (tensor.has_rank()) {
    TENON_ASSIGN_OR_RETURN(element,
                           PartialShape::merge(element, PartialShape(tensor.dims().subspan(1))));
  }
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("element_dtype"), std::move(element)});
  return absl::OkStatus();
}

// Row `index` of dimension 0 without that dimension, sharing the memory.
Tensor row_of(const Tensor& tensor, int64_t index) {
  Shape shape = tensor.shape();
  shape.remove(0);
  return tensor.slice(index, 1).reshaped(std::move(shape));
}

StatusOr<Kernel> make_list_from_tensor(Prepare& p) {
  return Kernel([dtype = p.input_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(1)));
    const Tensor all = r.input(0).keep();
    const PartialShape row(PartialShape(all.shape()).dims().subspan(1));
    if (!PartialShape::merge(element, row).ok()) {
      return invalid_argument("Specified a list with shape ", element, " from a tensor with shape ",
                              all.shape());
    }
    if (all.dim(0) > TensorList::kMostElements) {
      return resource_exhausted("a list of ", all.dim(0), " elements");
    }
    std::vector<Tensor> elements;
    for (int64_t i = 0; i < all.dim(0); ++i) elements.push_back(row_of(all, i));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list,
                           TensorList::of(dtype, std::move(element), std::move(elements)));
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

Status list_gather_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape element, stacked_element_shape(c, 2));
  c.set_output(0, stacked_shape(c.input(1).has_rank() ? c.input(1)[0] : -1, element));
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_gather(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0), planned = p.output_shape(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    const std::span<const int32_t> indices = r.input(1).span<int32_t>();
    for (int32_t index : indices) TENON_RETURN_IF_ERROR(list->check_index(index));
    TENON_ASSIGN_OR_RETURN(const PartialShape wanted, element_shape_of(r.input(2)));
    TENON_ASSIGN_OR_RETURN(const PartialShape element, list->common_shape(wanted));
    TENON_ASSIGN_OR_RETURN(Tensor all,
                           stack_elements(r, dtype, element, static_cast<int64_t>(indices.size()),
                                          [&](int64_t i) -> const Tensor& {
                                            return (*list)[indices[static_cast<size_t>(i)]];
                                          }));
    return set_planned(r, 0, planned, std::move(all));
  });
}

// Row i of input `tensor` becomes element indices[i] of `list`.
StatusOr<Ref<TensorList>> scatter_rows_into(Ref<TensorList> list, const Tensor& tensor,
                                            std::span<const int32_t> indices) {
  if (static_cast<int64_t>(indices.size()) != tensor.dim(0)) {
    return invalid_argument("there are ", indices.size(), " indices for ", tensor.dim(0), " rows");
  }
  const Tensor all = tensor.keep();
  for (size_t i = 0; i < indices.size(); ++i) {
    if (indices[i] < 0) {
      return invalid_argument("Indices in TensorListScatter must all be non-negative.");
    }
    if (indices[i] >= list->size()) {
      TENON_ASSIGN_OR_RETURN(list, list->resize(int64_t{indices[i]} + 1));
    }
    TENON_ASSIGN_OR_RETURN(list, list->set(indices[i], row_of(all, static_cast<int64_t>(i))));
  }
  return list;
}

Status list_scatter_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_from_input(c, 2));
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("element_dtype"), std::move(element)});
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_scatter(Prepare& p) {
  return Kernel([dtype = p.input_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(2)));
    const TensorList empty(dtype, std::move(element));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list,
                           empty.resize(std::max(*r.in<int32_t>(3), int32_t{0})));
    TENON_ASSIGN_OR_RETURN(list, scatter_rows_into(list, r.input(0), r.input(1).span<int32_t>()));
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

Status list_scatter_into_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  return list_like_input<0>(c);
}

StatusOr<Kernel> make_list_scatter_into(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* into, list_of(r, 0, r.input(1).dtype()));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list, into->resize(into->size()));
    TENON_ASSIGN_OR_RETURN(list, scatter_rows_into(list, r.input(1), r.input(2).span<int32_t>()));
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

Status list_concat_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_from_input(c, 1));
  if (element.has_rank() && element.rank() > 0) element.set(0, -1);
  c.set_output(0, std::move(element));
  c.set_output(1, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_concat(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0), planned = p.output_shape(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    TENON_ASSIGN_OR_RETURN(PartialShape wanted, element_shape_of(r.input(1)));
    const std::span<const int64_t> leading = r.input(2).span<int64_t>();
    TENON_ASSIGN_OR_RETURN(Tensor all, concat_elements(r, *list, wanted, leading));
    TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{list->size()}));
    for (int64_t i = 0; i < list->size(); ++i) {
      r.out<int64_t>(1)[i] = (*list)[i].has_value() ? (*list)[i].dim(0)
                             : static_cast<size_t>(i) < leading.size()
                                 ? leading[static_cast<size_t>(i)]
                                 : wanted[0];
    }
    return set_planned(r, 0, planned, std::move(all));
  });
}

Status list_split_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_split(Prepare& p) {
  return Kernel([dtype = p.input_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(1)));
    const Tensor all = r.input(0).keep();
    std::vector<Tensor> elements;
    int64_t begin = 0;
    for (int64_t length : r.input(2).span<int64_t>()) {
      if (length < 0 || length > all.dim(0) - begin) {
        return invalid_argument("lengths add up to more than the ", all.dim(0), " rows there are");
      }
      elements.push_back(all.slice(begin, length));
      begin += length;
    }
    if (begin != all.dim(0)) {
      return invalid_argument("lengths add up to ", begin, " rows, there are ", all.dim(0));
    }
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list,
                           TensorList::of(dtype, std::move(element), std::move(elements)));
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

Status list_stack_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint element =
      b.op("TensorListElementShape", {g.input(0)}, {{"shape_type", DType::kInt32}});
  g.set_dx(0, b.op("TensorListFromTensor", {g.dy(), element}));
  return absl::OkStatus();
}

Status list_from_tensor_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const PartialShape shape = g.input_shape(0);
  const Endpoint element = b.cast(g.input(1), DType::kInt32);
  g.set_dx(0, b.op("TensorListStack", {g.dy(), element},
                   {{"element_dtype", g.attr<DType>("element_dtype")},
                    {"num_elements", shape.has_rank() ? shape[0] : int64_t{-1}}}));
  return absl::OkStatus();
}

Status list_gather_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint list = g.input(0);
  const Endpoint element = b.op("TensorListElementShape", {list}, {{"shape_type", DType::kInt32}});
  const Endpoint zeros = b.op("TensorListReserve", {element, b.op("TensorListLength", {list})},
                              {{"element_dtype", g.attr<DType>("element_dtype")}});
  g.set_dx(0, b.op("TensorListScatterIntoExistingList", {zeros, g.dy(), g.input(1)}));
  return absl::OkStatus();
}

// Of both scatters, `list` or -1 and `tensor` being input indices.
Status list_scatter_gradient_of(Gradient& g, int tensor, int indices) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.shape_of(g.input(tensor));
  const Endpoint element = b.op("Slice", {shape, b.integers({1}), b.integers({-1})});
  g.set_dx(tensor, b.op("TensorListGather", {g.dy(), g.input(indices), element},
                        {{"element_dtype", g.attr<DType>("element_dtype")}}));
  return b.status();
}

Status list_scatter_into_gradient(Gradient& g) {
  TENON_RETURN_IF_ERROR(list_scatter_gradient_of(g, 1, 2));
  GraphBuilder& b = g.build();
  g.set_dx(
      0, b.op("TensorListScatterIntoExistingList", {g.dy(), b.zeros_like(g.input(1)), g.input(2)}));
  return absl::OkStatus();
}

Status list_concat_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint element =
      b.op("TensorListElementShape", {g.input(0)}, {{"shape_type", DType::kInt32}});
  g.set_dx(0, b.op("TensorListSplit", {g.dy(0), element, g.output(1)}));
  return absl::OkStatus();
}

Status list_split_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const std::vector<Endpoint> joined = b.ops("TensorListConcatV2", {g.dy(), g.input(1), g.input(2)},
                                             {{"element_dtype", g.attr<DType>("element_dtype")}});
  if (!joined.empty()) g.set_dx(0, joined[0]);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(TensorListStack) = {
    .inputs = "input_handle: variant, element_shape: int32",
    .outputs = "tensor: element_dtype",
    .attrs = "element_dtype: type; num_elements: int = -1",
    .supplies_outputs = true,
    .shape = list_stack_shape,
    .gradient = list_stack_gradient,
    .kernels = {make_list_stack},
};

TENON_OP(TensorListFromTensor) = {
    .inputs = "tensor: element_dtype, element_shape: shape_type",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = list_from_tensor_shape,
    .gradient = list_from_tensor_gradient,
    .kernels = {make_list_from_tensor},
};

TENON_OP(TensorListGather) = {
    .inputs = "input_handle: variant, indices: int32, element_shape: int32",
    .outputs = "values: element_dtype",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_gather_shape,
    .gradient = list_gather_gradient,
    .kernels = {make_list_gather},
};

TENON_OP(TensorListScatterV2) = {
    .inputs =
        "tensor: element_dtype, indices: int32, element_shape: shape_type, "
        "num_elements: int32",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = list_scatter_shape,
    .gradient = [](Gradient& g) { return list_scatter_gradient_of(g, 0, 1); },
    .kernels = {make_list_scatter},
};

TENON_OP(TensorListScatterIntoExistingList) = {
    .inputs = "input_handle: variant, tensor: element_dtype, indices: int32",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_scatter_into_shape,
    .gradient = list_scatter_into_gradient,
    .kernels = {make_list_scatter_into},
};

TENON_OP(TensorListConcatV2) = {
    .inputs = "input_handle: variant, element_shape: shape_type, leading_dims: int64",
    .outputs = "tensor: element_dtype, lengths: int64",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = list_concat_shape,
    .gradient = list_concat_gradient,
    .kernels = {make_list_concat},
};

TENON_OP(TensorListSplit) = {
    .inputs = "tensor: element_dtype, element_shape: shape_type, lengths: int64",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = list_split_shape,
    .gradient = list_split_gradient,
    .kernels = {make_list_split},
};

}  // namespace tenon
