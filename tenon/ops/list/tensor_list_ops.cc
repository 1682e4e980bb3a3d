// Making, growing, shrinking and indexing TensorLists. Gradients as in
// tensorflow/python/ops/list_ops.py.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/list/list_access.h"

namespace tenon {
namespace {

Status new_list_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_from_input(c, 0));
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("element_dtype"), std::move(element)});
  return absl::OkStatus();
}

StatusOr<Kernel> make_empty_list(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(0)));
    set_list(r, 0, make_ref<TensorList>(dtype, std::move(element), *r.in<int32_t>(1)));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_list_reserve(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype")](KernelRun& r) -> Status {
    const int32_t size = *r.in<int32_t>(1);
    if (size < 0) {
      return invalid_argument("The num_elements to reserve must be a non negative number, but got ",
                              size);
    }
    TENON_ASSIGN_OR_RETURN(PartialShape element, element_shape_of(r.input(0)));
    const TensorList empty(dtype, std::move(element));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> list, empty.resize(size));
    set_list(r, 0, std::move(list));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_list_push(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> longer, list->push(r.input(1).keep()));
    set_list(r, 0, std::move(longer));
    return absl::OkStatus();
  });
}

// The shape of one element as far as list and the input `element_shape` tell it.
StatusOr<PartialShape> list_element_shape(const ShapeContext& c, int element_shape_input) {
  TENON_ASSIGN_OR_RETURN(PartialShape wanted, element_shape_from_input(c, element_shape_input));
  const HandleInfo* info = c.handle(0);
  return info ? PartialShape::merge(info->shape, wanted) : std::move(wanted);
}

Status list_pop_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(list_like_input<0>(c));
  TENON_ASSIGN_OR_RETURN(PartialShape element, list_element_shape(c, 1));
  c.set_output(1, std::move(element));
  return absl::OkStatus();
}

// Element `index` of `list`, zeros where it was never set, as an output planned as `planned`.
Status read_element(KernelRun& r, const TensorList& list, int64_t index, int element_shape_input,
                    int output, const PartialShape& planned) {
  Tensor element = list[index];
  if (!element.has_value()) {
    TENON_ASSIGN_OR_RETURN(PartialShape wanted, element_shape_of(r.input(element_shape_input)));
    TENON_ASSIGN_OR_RETURN(const PartialShape shape, list.common_shape(wanted));
    TENON_ASSIGN_OR_RETURN(element, zero_element(r, list.dtype(), shape));
  }
  return set_planned(r, output, planned, std::move(element));
}

StatusOr<Kernel> make_list_pop(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype"),
                 planned = p.output_shape(1)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> shorter, list->pop());
    TENON_RETURN_IF_ERROR(read_element(r, *list, list->size() - 1, 1, 1, planned));
    set_list(r, 0, std::move(shorter));
    return absl::OkStatus();
  });
}

Status list_get_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  TENON_ASSIGN_OR_RETURN(PartialShape element, list_element_shape(c, 2));
  c.set_output(0, std::move(element));
  return absl::OkStatus();
}

StatusOr<Kernel> make_list_get(Prepare& p) {
  return Kernel([dtype = p.attr<DType>("element_dtype"),
                 planned = p.output_shape(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0, dtype));
    const int64_t index = *r.in<int32_t>(1);
    TENON_RETURN_IF_ERROR(list->check_index(index));
    return read_element(r, *list, index, 2, 0, planned);
  });
}

Status list_set_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  return list_like_input<0>(c);
}

StatusOr<Kernel> make_list_set(Prepare& p) {
  const bool grows = p.attr<bool>("resize_if_index_out_of_bounds");
  return Kernel([grows](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0));
    const int64_t index = *r.in<int32_t>(1);
    Ref<TensorList> longer;
    if (grows && index >= list->size()) {
      TENON_ASSIGN_OR_RETURN(longer, list->resize(index + 1));
      list = longer.get();
    }
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> changed, list->set(index, r.input(2).keep()));
    set_list(r, 0, std::move(changed));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_list_length(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0));
    *r.out<int32_t>(0) = static_cast<int32_t>(list->size());
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_list_resize(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0));
    TENON_ASSIGN_OR_RETURN(Ref<TensorList> resized, list->resize(*r.in<int32_t>(1)));
    set_list(r, 0, std::move(resized));
    return absl::OkStatus();
  });
}

// A vector, or the scalar -1 when not even the rank is known.
StatusOr<Kernel> make_list_element_shape(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const TensorList* list, list_of(r, 0));
    const PartialShape& element = list->element_shape();
    static constexpr int64_t kUnknown[] = {-1};
    const std::span<const int64_t> dims = element.has_rank() ? element.dims() : kUnknown;
    TENON_RETURN_IF_ERROR(r.allocate_output(
        0, element.has_rank() ? Shape{static_cast<int64_t>(dims.size())} : Shape()));
    visit<IndexTypes>(dtype, [&]<class T>() { std::copy(dims.begin(), dims.end(), r.out<T>(0)); });
    return absl::OkStatus();
  });
}

Status list_push_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const std::vector<Endpoint> popped = b.ops("TensorListPopBack", {g.dy(), b.shape_of(g.input(1))},
                                             {{"element_dtype", g.attr<DType>("element_dtype")}});
  for (size_t i = 0; i < popped.size(); ++i) g.set_dx(static_cast<int>(i), popped[i]);
  return absl::OkStatus();
}

Endpoint element_shape_of_list(GraphBuilder& b, Endpoint list) {
  return b.op("TensorListElementShape", {list}, {{"shape_type", DType::kInt32}});
}

Status list_pop_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = g.attr<DType>("element_dtype");
  Endpoint list = g.has_dy(0) ? g.dy(0)
                              : b.op("EmptyTensorList",
                                     {element_shape_of_list(b, g.output(0)), b.scalar<int32_t>(-1)},
                                     {{"element_dtype", dtype}});
  g.set_dx(0, b.op("TensorListPushBack", {list, g.dy(1)}));
  return absl::OkStatus();
}

Status list_get_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint list = g.input(0);
  const Endpoint length = b.op("TensorListLength", {list});
  const Endpoint empty = b.op("TensorListReserve", {element_shape_of_list(b, list), length},
                              {{"element_dtype", g.attr<DType>("element_dtype")}});
  g.set_dx(0, b.op("TensorListSetItem", {empty, g.input(1), g.dy()}));
  return absl::OkStatus();
}

Status list_set_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint item = g.input(2);
  Endpoint list = b.op("TensorListSetItem", {g.dy(), g.input(1), b.zeros_like(item)});
  if (g.attr<bool>("resize_if_index_out_of_bounds")) {
    list = b.op("TensorListResize", {list, b.op("TensorListLength", {g.input(0)})});
  }
  g.set_dx(0, list);
  g.set_dx(2, b.op("TensorListGetItem", {g.dy(), g.input(1), b.shape_of(item)},
                   {{"element_dtype", g.attr<DType>("element_dtype")}}));
  return absl::OkStatus();
}

Status list_resize_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  g.set_dx(0, b.op("TensorListResize", {g.dy(), b.op("TensorListLength", {g.input(0)})}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(EmptyTensorList) = {
    .inputs = "element_shape: shape_type, max_num_elements: int32",
    .outputs = "handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = new_list_shape,
    .gradient = not_differentiable,
    .kernels = {make_empty_list},
};

TENON_OP(TensorListReserve) = {
    .inputs = "element_shape: shape_type, num_elements: int32",
    .outputs = "handle: variant",
    .attrs = "element_dtype: type; shape_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = new_list_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_reserve},
};

TENON_OP(TensorListPushBack) = {
    .inputs = "input_handle: variant, tensor: element_dtype",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_like_input<0>,
    .gradient = list_push_gradient,
    .kernels = {make_list_push},
};

TENON_OP(TensorListPopBack) = {
    .inputs = "input_handle: variant, element_shape: int32",
    .outputs = "output_handle: variant, tensor: element_dtype",
    .attrs = "element_dtype: type",
    .supplies_outputs = true,
    .shape = list_pop_shape,
    .gradient = list_pop_gradient,
    .kernels = {make_list_pop},
};

TENON_OP(TensorListGetItem) = {
    .inputs = "input_handle: variant, index: int32, element_shape: Tshape",
    .outputs = "item: element_dtype",
    .attrs = "element_dtype: type; Tshape: {int32, int64} = int32",
    .supplies_outputs = true,
    .shape = list_get_shape,
    .gradient = list_get_gradient,
    .kernels = {make_list_get},
};

TENON_OP(TensorListSetItem) = {
    .inputs = "input_handle: variant, index: int32, item: element_dtype",
    .outputs = "output_handle: variant",
    .attrs = "element_dtype: type; resize_if_index_out_of_bounds: bool = false",
    .supplies_outputs = true,
    .shape = list_set_shape,
    .gradient = list_set_gradient,
    .kernels = {make_list_set},
};

TENON_OP(TensorListLength) = {
    .inputs = "input_handle: variant",
    .outputs = "length: int32",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_length},
};

TENON_OP(TensorListResize) = {
    .inputs = "input_handle: variant, size: int32",
    .outputs = "output_handle: variant",
    .supplies_outputs = true,
    .shape = list_like_input<0>,
    .gradient = list_resize_gradient,
    .kernels = {make_list_resize},
};

TENON_OP(TensorListElementShape) = {
    .inputs = "input_handle: variant",
    .outputs = "element_shape: shape_type",
    .attrs = "shape_type: {int32, int64}",
    .shape = unknown_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_element_shape},
};

}  // namespace tenon
