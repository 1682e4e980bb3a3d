// The older and the rarer list ops: TensorListConcat, TensorListScatter, TensorListConcatLists,
// TensorListPushBackBatch.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/list/list_access.h"

namespace tenon {
namespace {

Status list_concat_v1_shape(ShapeContext& c) {
  PartialShape element = c.attr<PartialShape>("element_shape");
  if (element.has_rank() && element.rank() > 0) element.set(0, -1);
  c.set_output(0, std::move(element));
  c.set_output(1, {-1});
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_concat_v1(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0), planned = p.output_shape(0),
                 wanted = p.attr<PartialShape>("element_shape")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    TENON_ASSIGN_OR_RETURN(Tensor all, concat_elements(r, *list, wanted, {}));
    TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{list->size()}));
    for (int64_t i = 0; i < list->size(); ++i) {
      const Tensor& element = (*list)[i];
      r.out<int64_t>(1)[i] = element.has_value() ? element.dim(0) : wanted[0];
    }
    return set_planned(r, 0, planned, std::move(all));
  });
}

Status list_concat_v1_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint element =
      b.op("TensorListElementShape", {g.input(0)}, {{"shape_type", DType::kInt32}});
  g.set_dx(0, b.op("TensorListSplit", {g.dy(0), element, g.output(1)}));
  return absl::OkStatus();
}

Status list_scatter_v1_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_from_input(c, 2));
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("element_dtype"), std::move(element)});
  return absl::OkStatus();
}

// The list is as long as the largest index says.
StatusOr<Kernel> make_list_scatter_v1(Prepare& p) {
  return Kernel([dtype = p.input_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(2)));
    const Tensor all = r.input(0).keep();
    const auto indices = r.input(1).span<int32_t>();
    if (static_cast<int64_t>(indices.size()) != all.dim(0)) {
      return invalid_argument("Invalid number of rows in input tensor. Expected: ", indices.size(),
                              " Actual: ", all.dim(0));
    }
    int64_t size = 0;
    for (int32_t index : indices) {
      if (index < 0) {
        return invalid_argument("Indices in TensorListScatter must all be non-negative.");
      }
      size = std::max(size, int64_t{index} + 1);
    }
    const TensorList empty(dtype, std::move(element));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list, empty.resize(size));
    Shape row = all.shape();
    row.remove(0);
    for (size_t i = 0; i < indices.size(); ++i) {
      TENON_ASSIGN_OR_RETURN(
          list, list->set(indices[i], all.slice(static_cast<int64_t>(i), 1).reshaped(row)));
    }
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

Status list_scatter_v1_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.shape_of(g.input(0));
  const Endpoint element = b.op("Slice", {shape, b.integers({1}), b.integers({-1})});
  g.set_dx(0, b.op("TensorListGather", {g.dy(), g.input(1), element},
                   {{"element_dtype", g.attr<DType>("element_dtype")}}));
  return absl::OkStatus();
}

// The list in element `index` of a tensor of lists.
StatusOr<const TensorList*> list_in(const Tensor& lists, int64_t index, DType dtype) {
  const auto* list = object_cast<TensorList>(lists.data<Ref<Object>>()[index].get());
  if (!list) return invalid_argument("element ", index, " of the input is not a list");
  if (list->dtype() != dtype) {
    return invalid_argument("Invalid data types; op elements ", dtype, " but list elements ",
                            list->dtype());
  }
  return list;
}

Status list_concat_lists_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, PartialShape::merge(c.input(0), c.input(1)));
  c.set_output(0, std::move(shape));
  if (const HandleInfo* info = c.handle(0)) c.set_handle(0, *info);
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_concat_lists(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype")](KernelRun& r) -> Status {
    Tensor all(DType::kVariant, r.input(0).shape());
    for (int64_t i = 0; i < all.num_elements(); ++i) {
      TENON_ASSIGN_OR_RETURN(const TensorList* first, list_in(r.input(0), i, dtype));
      TENON_ASSIGN_OR_RETURN(const TensorList* second, list_in(r.input(1), i, dtype));
      if (!PartialShape::merge(first->element_shape(), second->element_shape()).ok()) {
        return invalid_argument("input_a and input_b TensorList element shapes are not identical: ",
                                first->element_shape(), " and ", second->element_shape());
      }
      TENON_ASSIGN_OR_RETURN(Ref<TensorList> both, first->resize(first->size() + second->size()));
      for (int64_t k = 0; k < second->size(); ++k) {
        if (!(*second)[k].has_value()) continue;
        TENON_ASSIGN_OR_RETURN(both, both->set(first->size() + k, (*second)[k]));
      }
      all.mutable_data<Ref<Object>>()[i] = Ref<Object>(both.get());
    }
    r.set_output(0, std::move(all));
    return absl::OkStatus();
  });
}

Status list_push_batch_shape(ShapeContext& c) {
  const PartialShape& lists = c.input(0);
  const PartialShape& rows = c.input(1);
  if (lists.has_rank() && rows.has_rank()) {
    if (rows.rank() < lists.rank() ||
        !PartialShape::merge(lists,
                             PartialShape(rows.dims().first(static_cast<size_t>(lists.rank()))))
             .ok()) {
      return invalid_argument("lists of shape ", lists, " are given elements of shape ", rows);
    }
  }
  c.set_output(0, lists);
  if (const HandleInfo* info = c.handle(0)) c.set_handle(0, *info);
  return absl::OkStatus();
}

// Element i of the tensor is put at the end of list i.
StatusOr<Kernel> make_list_push_batch(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype")](KernelRun& r) -> Status {
    const Tensor& lists = r.input(0);
    const Tensor elements = r.input(1).keep();
    const int64_t count = lists.num_elements();
    Shape element = elements.shape();
    for (int i = 0; i < lists.rank(); ++i) element.remove(0);
    Shape rows = element;
    rows.insert(0, count);
    const Tensor flat = elements.reshaped(rows);
    Tensor longer(DType::kVariant, lists.shape());
    for (int64_t i = 0; i < count; ++i) {
      TENON_ASSIGN_OR_RETURN(const TensorList* list, list_in(lists, i, dtype));
      TENON_ASSIGN_OR_RETURN(Ref<TensorList> pushed,
                             list->push(flat.slice(i, 1).reshaped(element)));
      longer.mutable_data<Ref<Object>>()[i] = Ref<Object>(pushed.get());
    }
    r.set_output(0, std::move(longer));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(TensorListConcat) = {
    .inputs = "input_handle: variant",
    .outputs = "tensor: element_dtype, lengths: int64",
    .attrs = "element_dtype: type; element_shape: shape = unknown",
    .supplies_outputs = true,
    .shape = list_concat_v1_shape,
    .gradient = list_concat_v1_gradient,
    .kernels = {make_list_concat_v1},
};
TENON_OP(TensorListScatter) = {
    .inputs = "tensor: element_dtype, indices: int32, element_shape: shape_type",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = list_scatter_v1_shape,
    .gradient = list_scatter_v1_gradient,
    .kernels = {make_list_scatter_v1},
};
TENON_OP(TensorListConcatLists) = {
    .inputs = "input_a: variant, input_b: variant",
    .outputs = "output: variant",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_concat_lists_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_concat_lists},
};
TENON_OP(TensorListPushBackBatch) = {
    .inputs = "input_handles: variant, tensor: element_dtype",
    .outputs = "output_handles: variant",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_push_batch_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_push_batch},
};

}  // namespace tenon
