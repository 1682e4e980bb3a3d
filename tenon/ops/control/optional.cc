// OptionalFromValue, OptionalNone, OptionalHasValue, OptionalGetValue: tensors that may be missing.
// tensorflow/core/kernels/optional_ops.cc; gradients as in
// tensorflow/python/data/ops/optional_ops.py.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// Immutable.
class OptionalValue final : public Object {
 public:
  explicit OptionalValue(std::vector<Tensor> components) : components(std::move(components)) {}
  static constexpr std::string_view kTypeName = "Optional";
  std::string_view type_name() const override { return kTypeName; }
  const std::vector<Tensor> components;  // none: there is no value
};

StatusOr<const OptionalValue*> optional_of(const KernelRun& r) {
  const auto* optional = r.input(0).object_as<OptionalValue>();
  if (!optional) return invalid_argument("input 0 is not an Optional");
  return optional;
}

// Of no inputs: none.
StatusOr<Kernel> make_optional(Prepare&) {
  return Kernel([](KernelRun& r) {
    std::vector<Tensor> components;
    for (int i = 0; i < r.num_inputs(); ++i) components.push_back(r.input(i).keep());
    r.set_output(0,
                 Tensor::object(DType::kVariant, make_ref<OptionalValue>(std::move(components))));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_optional_has_value(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const OptionalValue* optional, optional_of(r));
    *r.out<bool>(0) = !optional->components.empty();
    return absl::OkStatus();
  });
}

Status optional_value_shape(ShapeContext& c) {
  const auto& shapes = c.attr<std::vector<PartialShape>>("output_shapes");
  if (shapes.size() != static_cast<size_t>(c.num_outputs())) {
    return invalid_argument("`output_shapes` must be the same length as `output_types` (",
                            shapes.size(), " vs. ", c.num_outputs(), ")");
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, shapes[static_cast<size_t>(i)]);
  return absl::OkStatus();
}

StatusOr<Kernel> make_optional_get_value(Prepare& p) {
  std::vector<DType> dtypes;
  for (int i = 0; i < p.num_outputs(); ++i) dtypes.push_back(p.output_dtype(i));
  return Kernel([dtypes, shapes = p.attr<std::vector<PartialShape>>("output_shapes")](
                    KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const OptionalValue* optional, optional_of(r));
    const std::vector<Tensor>& components = optional->components;
    if (components.empty()) {
      return invalid_argument("The given optional does not have a value.");
    }
    if (components.size() != dtypes.size()) {
      return invalid_argument("The given optional has ", components.size(),
                              " components, expected ", dtypes.size());
    }
    for (size_t i = 0; i < components.size(); ++i) {
      if (components[i].dtype() != dtypes[i] ||
          !PartialShape::merge(shapes[i], PartialShape(components[i].shape())).ok()) {
        return invalid_argument("component ", i, " of the given optional is ",
                                components[i].dtype(), " ", components[i].shape(), ", expected ",
                                dtypes[i], " ", shapes[i]);
      }
      r.set_output(static_cast<int>(i), components[i]);
    }
    return absl::OkStatus();
  });
}

Status optional_from_value_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  std::vector<DType> dtypes;
  std::vector<PartialShape> shapes;
  for (int i = 0; i < g.num_inputs(); ++i) {
    dtypes.push_back(g.input_dtype(i));
    shapes.push_back(g.input_shape(i));
  }
  const std::vector<Endpoint> parts =
      b.ops("OptionalGetValue", {g.dy()}, {{"output_types", dtypes}, {"output_shapes", shapes}});
  for (size_t i = 0; i < parts.size(); ++i) g.set_dx(static_cast<int>(i), parts[i]);
  return absl::OkStatus();
}

Status optional_get_value_gradient(Gradient& g) {
  std::vector<Endpoint> dy;
  for (int i = 0; i < g.num_outputs(); ++i) dy.push_back(g.dy(i));
  g.set_dx(0, g.build().op("OptionalFromValue", std::move(dy),
                           {{"Toutput_types", g.attr<std::vector<DType>>("output_types")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(OptionalFromValue) = {
    .inputs = "components: Toutput_types",
    .outputs = "optional: variant",
    .attrs = "Toutput_types: list(type) >= 1",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = optional_from_value_gradient,
    .kernels = {make_optional},
};
TENON_OP(OptionalNone) = {
    .inputs = "",
    .outputs = "optional: variant",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_optional},
};
TENON_OP(OptionalHasValue) = {
    .inputs = "optional: variant",
    .outputs = "has_value: bool",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_optional_has_value},
};
TENON_OP(OptionalGetValue) = {
    .inputs = "optional: variant",
    .outputs = "components: output_types",
    .attrs = "output_types: list(type) >= 1; output_shapes: list(shape) >= 1",
    .supplies_outputs = true,
    .shape = optional_value_shape,
    .gradient = optional_get_value_gradient,
    .kernels = {make_optional_get_value},
};

}  // namespace tenon
