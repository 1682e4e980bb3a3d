// Optimizers' ops that are a rule for each element: of whole variables (ResourceApply*) and of the
// rows that `indices` names (ResourceSparseApply*).
#include "tenon/ops/state/optimizer_kernel.h"
#include "tenon/ops/state/optimizer_rules.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

constexpr size_t kMostScalars = 5;

// The inputs of an op by their names.
struct RuleInputs {
  int gradient = -1;
  int indices = -1;  // -1: whole variables
  std::vector<int> scalars;
};

RuleInputs rule_inputs(const OpDef& op, int variables) {
  RuleInputs inputs;
  for (int i = variables; i < static_cast<int>(op.inputs().size()); ++i) {
    const std::string& name = op.inputs()[static_cast<size_t>(i)].name;
    if (name == "grad" || name == "delta") {
      inputs.gradient = i;
    } else if (name == "indices") {
      inputs.indices = i;
    } else {
      inputs.scalars.push_back(i);
    }
  }
  return inputs;
}

bool rule_flag(const AttrMap& attrs) {
  for (const char* name : {"update_slots", "use_nesterov", "multiply_linear_by_lr"}) {
    if (const bool* flag = attrs.get_if<bool>(name)) return *flag;
  }
  return false;
}

// The gradient is rows of the variables.
Status sparse_rule_shape(ShapeContext& c, int variables) {
  const RuleInputs inputs = rule_inputs(c.op(), variables);
  TENON_RETURN_IF_ERROR(c.expect_rank(inputs.indices, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(inputs.gradient, 1));
  for (int scalar : inputs.scalars) TENON_RETURN_IF_ERROR(c.expect_rank(scalar, 0));
  PartialShape rows = c.input(inputs.gradient);
  const PartialShape& indices = c.input(inputs.indices);
  if (rows.has_rank() && indices.has_rank() && rows[0] >= 0 && indices[0] >= 0 &&
      rows[0] != indices[0]) {
    return invalid_argument("grad must be the same size as indices in the first dimension: ", rows,
                            " and ", indices);
  }
  if (rows.has_rank()) rows.set(0, -1);
  for (int i = 0; i < variables; ++i) {
    TENON_RETURN_IF_ERROR(expect_variable_dtype(c, i, c.attr<DType>("T")));
    const StatusOr<PartialShape> merged = PartialShape::merge(rows, variable_info(c, i).shape);
    if (!merged.ok()) {
      return invalid_argument("the variable at input ", i, " has shape ", variable_info(c, i).shape,
                              ", the gradient ", c.input(inputs.gradient));
    }
    rows = *merged;
  }
  return absl::OkStatus();
}

template <class Rule>
Status rule_shape(ShapeContext& c) {
  const RuleInputs inputs = rule_inputs(c.op(), Rule::kVariables);
  return inputs.indices < 0 ? optimizer_shape(c, Rule::kVariables, inputs.gradient)
                            : sparse_rule_shape(c, Rule::kVariables);
}

// `count` elements from `g` on, and as many from each of `values` on.
template <class Rule, class T, class Wide>
void apply_rule(int64_t count, const Wide* scalars, bool flag, const T* g,
                const std::array<T*, kMostOptimizerVariables>& values) {
  Wide v[kMostOptimizerVariables];
  for (int64_t e = 0; e < count; ++e) {
    for (size_t i = 0; i < Rule::kVariables; ++i) v[i] = static_cast<Wide>(values[i][e]);
    Rule::template step<Wide>(static_cast<Wide>(g[e]), scalars, flag, v);
    for (size_t i = 0; i < Rule::kVariables; ++i) values[i][e] = static_cast<T>(v[i]);
  }
}

// The values of the variables, changed by `body`; `rows`: the gradient is of some rows only.
Status update_rows(KernelRun& r, int count, int gradient,
                   FunctionRef<Status(std::span<Tensor* const>)> body) {
  std::array<Variable*, kMostOptimizerVariables> variables;
  for (int i = 0; i < count; ++i) {
    TENON_ASSIGN_OR_RETURN(variables[static_cast<size_t>(i)], variable_of(r, i));
  }
  const std::span<Variable* const> used(variables.data(), static_cast<size_t>(count));
  const Tensor& g = r.input(gradient);
  return update_together(used, r.context().stream, [&](std::span<Tensor* const> values) -> Status {
    for (size_t i = 0; i < values.size(); ++i) {
      const Shape& shape = values[i]->shape();
      if (values[i]->dtype() == g.dtype() && shape == values[0]->shape() && shape.rank() > 0 &&
          shape.dims().subspan(1).size() == g.shape().dims().subspan(1).size() &&
          std::ranges::equal(shape.dims().subspan(1), g.shape().dims().subspan(1))) {
        continue;
      }
      return invalid_argument("variable '", used[i]->name(), "' holds ", values[i]->dtype(), shape,
                              ", the gradient of its rows is ", g.dtype(), g.shape());
    }
    return body(values);
  });
}

template <class Rule, class T, class Index, class Wide>
Status apply_rows(KernelRun& r, const RuleInputs& inputs, const Wide* scalars, bool flag,
                  std::span<Tensor* const> values) {
  const Tensor& gradient = r.input(inputs.gradient);
  const auto chosen = r.input(inputs.indices).span<Index>();
  const int64_t rows = values[0]->dim(0);
  const int64_t inner = values[0]->shape().product(1, values[0]->rank());
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] < 0 || chosen[i] >= rows) {
      return invalid_argument("Index ", chosen[i], " at offset ", i,
                              " in indices is out of range: there are ", rows, " rows");
    }
  }
  for (size_t i = 0; i < chosen.size(); ++i) {
    std::array<T*, kMostOptimizerVariables> at{};
    for (size_t v = 0; v < values.size(); ++v) {
      at[v] = values[v]->mutable_data<T>() + chosen[i] * inner;
    }
    apply_rule<Rule, T>(inner, scalars, flag, gradient.data<T>() + static_cast<int64_t>(i) * inner,
                        at);
  }
  return absl::OkStatus();
}

// The scalars of one run, as the rule computes with them.
template <class T, class Wide>
std::array<Wide, kMostScalars> scalars_of(const KernelRun& r, const RuleInputs& inputs) {
  std::array<Wide, kMostScalars> scalars{};
  for (size_t i = 0; i < inputs.scalars.size(); ++i) {
    const Tensor& value = r.input(inputs.scalars[i]);
    scalars[i] = value.dtype() == DType::kInt64 ? static_cast<Wide>(*value.data<int64_t>())
                                                : static_cast<Wide>(*value.data<T>());
  }
  return scalars;
}

template <class Rule>
StatusOr<Kernel> make_rule(Prepare& p) {
  const RuleInputs inputs = rule_inputs(p.op(), Rule::kVariables);
  const bool flag = rule_flag(p.attrs());
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(inputs.gradient), [&]<class T>() {
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    if (inputs.indices < 0) {
      kernel = [=](KernelRun& r) {
        const auto scalars = scalars_of<T, Wide>(r, inputs);
        return update_variables(
            r, Rule::kVariables, inputs.gradient, [&](std::span<Tensor* const> values) {
              std::array<T*, kMostOptimizerVariables> at{};
              for (size_t i = 0; i < values.size(); ++i) at[i] = values[i]->mutable_data<T>();
              const Tensor& g = r.input(inputs.gradient);
              apply_rule<Rule, T>(g.num_elements(), scalars.data(), flag, g.data<T>(), at);
            });
      };
      return;
    }
    visit<IndexTypes>(p.input_dtype(inputs.indices), [&]<class Index>() {
      kernel = [=](KernelRun& r) {
        const auto scalars = scalars_of<T, Wide>(r, inputs);
        return update_rows(
            r, Rule::kVariables, inputs.gradient, [&](std::span<Tensor* const> values) {
              return apply_rows<Rule, T, Index>(r, inputs, scalars.data(), flag, values);
            });
      };
    });
  });
  if (!kernel) {
    return unimplemented("an optimizer for variables of dtype ", p.input_dtype(inputs.gradient));
  }
  return kernel;
}

template <class Rule>
constexpr OpDecl rule_op(ArgsText inputs, AttrsText attrs) {
  return {
      .inputs = inputs,
      .outputs = "",
      .attrs = attrs,
      .effect = Effect::kWrite,
      .shape = rule_shape<Rule>,
      .gradient = not_differentiable,
      .kernels = {make_rule<Rule>},
  };
}

#define TENON_RULE_TYPES "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; "
#define TENON_SPARSE_RULE_TYPES TENON_RULE_TYPES "Tindices: {int32, int64}; "
#define TENON_LOCKING "use_locking: bool = false"

}  // namespace

TENON_OP(ResourceApplyAdagrad) =
    rule_op<AdagradRule<false>>("var: resource, accum: resource, lr: T, grad: T",
                                TENON_RULE_TYPES TENON_LOCKING "; update_slots: bool = true");
TENON_OP(ResourceApplyAdagradDA) = rule_op<AdagradDaRule>(
    "var: resource, gradient_accumulator: resource, gradient_squared_accumulator: resource, grad: "
    "T, lr: T, l1: T, l2: T, global_step: int64",
    TENON_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceApplyProximalGradientDescent) = rule_op<ProximalDescentRule>(
    "var: resource, alpha: T, l1: T, l2: T, delta: T", TENON_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceApplyProximalAdagrad) = rule_op<ProximalAdagradRule>(
    "var: resource, accum: resource, lr: T, l1: T, l2: T, grad: T", TENON_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceApplyAddSign) = rule_op<SignRule<false>>(
    "var: resource, m: resource, lr: T, alpha: T, sign_decay: T, beta: T, grad: T",
    TENON_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceApplyPowerSign) = rule_op<SignRule<true>>(
    "var: resource, m: resource, lr: T, logbase: T, sign_decay: T, beta: T, grad: T",
    TENON_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceApplyFtrl) = rule_op<FtrlRule<false>>(
    "var: resource, accum: resource, linear: resource, grad: T, lr: T, l1: T, l2: T, lr_power: T",
    TENON_RULE_TYPES TENON_LOCKING "; multiply_linear_by_lr: bool = false");
TENON_OP(ResourceSparseApplyAdadelta) = rule_op<AdadeltaRule>(
    "var: resource, accum: resource, accum_update: resource, lr: T, rho: T, epsilon: T, grad: T, "
    "indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceSparseApplyAdagrad) = rule_op<AdagradRule<false>>(
    "var: resource, accum: resource, lr: T, grad: T, indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; update_slots: bool = true");
TENON_OP(ResourceSparseApplyAdagradV2) = rule_op<AdagradRule<true>>(
    "var: resource, accum: resource, lr: T, epsilon: T, grad: T, indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; update_slots: bool = true");
TENON_OP(ResourceSparseApplyAdagradDA) = rule_op<AdagradDaRule>(
    "var: resource, gradient_accumulator: resource, gradient_squared_accumulator: resource, grad: "
    "T, indices: Tindices, lr: T, l1: T, l2: T, global_step: int64",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceSparseApplyProximalGradientDescent) = rule_op<ProximalDescentRule>(
    "var: resource, alpha: T, l1: T, l2: T, grad: T, indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceSparseApplyProximalAdagrad) = rule_op<ProximalAdagradRule>(
    "var: resource, accum: resource, lr: T, l1: T, l2: T, grad: T, indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceSparseApplyFtrl) = rule_op<FtrlRule<false>>(
    "var: resource, accum: resource, linear: resource, grad: T, indices: Tindices, lr: T, l1: T, "
    "l2: T, lr_power: T",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; multiply_linear_by_lr: bool = false");
TENON_OP(ResourceSparseApplyFtrlV2) = rule_op<FtrlRule<true>>(
    "var: resource, accum: resource, linear: resource, grad: T, indices: Tindices, lr: T, l1: T, "
    "l2: T, l2_shrinkage: T, lr_power: T",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; multiply_linear_by_lr: bool = false");
TENON_OP(ResourceSparseApplyKerasMomentum) = rule_op<MomentumRule<true>>(
    "var: resource, accum: resource, lr: T, grad: T, indices: Tindices, momentum: T",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; use_nesterov: bool = false");
TENON_OP(ResourceSparseApplyMomentum) = rule_op<MomentumRule<false>>(
    "var: resource, accum: resource, lr: T, grad: T, indices: Tindices, momentum: T",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING "; use_nesterov: bool = false");
TENON_OP(ResourceSparseApplyRMSProp) = rule_op<RmsPropRule<false>>(
    "var: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, epsilon: T, grad: T, "
    "indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);
TENON_OP(ResourceSparseApplyCenteredRMSProp) = rule_op<RmsPropRule<true>>(
    "var: resource, mg: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, "
    "epsilon: T, grad: T, indices: Tindices",
    TENON_SPARSE_RULE_TYPES TENON_LOCKING);

#undef TENON_LOCKING
#undef TENON_SPARSE_RULE_TYPES
#undef TENON_RULE_TYPES

}  // namespace tenon
