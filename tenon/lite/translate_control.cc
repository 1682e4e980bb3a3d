// Control flow, variables and random numbers.
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

std::vector<DType> output_dtypes(OperatorContext& c) {
  std::vector<DType> dtypes;
  for (int i = 0; i < c.num_outputs(); ++i) dtypes.push_back(c.out_dtype(i));
  return dtypes;
}

bool set_function(OperatorContext& c, AttrMap& attrs, const char* name, int subgraph,
                  bool condition = false) {
  StatusOr<FunctionAttr> function = c.table().function(subgraph, condition);
  if (!function.ok()) {
    c.fail(function.status());
    return false;
  }
  attrs.set(name, *std::move(function));
  return true;
}

void set_outputs(OperatorContext& c, const std::vector<Endpoint>& outputs) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (static_cast<size_t>(i) < outputs.size()) c.set(i, outputs[static_cast<size_t>(i)]);
  }
}

void if_then_else(OperatorContext& c) {
  const auto& o = c.options<schema::IfOptions>();
  std::vector<Endpoint> inputs = c.all_inputs();
  if (inputs.empty()) return c.fail(invalid_argument("it has no condition"));
  inputs[0] = c.b.reshape(inputs[0], std::span<const int64_t>());
  AttrMap attrs = {{"Tout", output_dtypes(c)}};
  if (set_function(c, attrs, "then_branch", o.then_subgraph_index()) &&
      set_function(c, attrs, "else_branch", o.else_subgraph_index())) {
    set_outputs(c, c.b.ops("If", std::move(inputs), std::move(attrs)));
  }
}

void while_loop(OperatorContext& c) {
  const auto& o = c.options<schema::WhileOptions>();
  AttrMap attrs;
  if (set_function(c, attrs, "cond", o.cond_subgraph_index(), true) &&
      set_function(c, attrs, "body", o.body_subgraph_index())) {
    set_outputs(c, c.b.ops("While", c.all_inputs(), std::move(attrs)));
  }
}

void call(OperatorContext& c, int subgraph) {
  AttrMap attrs = {{"Tout", output_dtypes(c)}};
  if (set_function(c, attrs, "f", subgraph)) {
    set_outputs(c, c.b.ops("StatefulPartitionedCall", c.all_inputs(), std::move(attrs)));
  }
}

void composite(OperatorContext& c) {
  call(c, c.options<schema::StableHLOCompositeOptions>().decomposition_subgraph_index());
}

void call_subgraph(OperatorContext& c) {
  const uint32_t subgraph = c.options<schema::CallOptions>().subgraph();
  call(c, static_cast<int>(std::min<uint32_t>(subgraph, INT32_MAX)));
}

// Belongs to the initialisation, which runs before everything else.
void call_once(OperatorContext& c) {
  const int subgraph = c.options<schema::CallOnceOptions>().init_subgraph_index();
  const auto checked = c.table().function(subgraph, false);
  if (!checked.ok()) return c.fail(checked.status());
  c.table().run_once(subgraph);
}

void var_handle(OperatorContext& c) {
  const auto& o = c.options<schema::VarHandleOptions>();
  const DType dtype = c.table().variable_dtype(text(o.container()), text(o.shared_name()));
  c.set(0, c.b.op("VarHandleOp", {},
                  {{"dtype", dtype},
                   {"shape", PartialShape()},
                   {"container", std::string(text(o.container()))},
                   {"shared_name", std::string(text(o.shared_name()))}}));
}

void read_variable(OperatorContext& c) {
  c.set(0, c.b.op("ReadVariableOp", {c.in(0)}, {{"dtype", c.out_dtype(0)}}));
}

void assign_variable(OperatorContext& c) {
  c.b.node("AssignVariableOp", {c.in(0), c.in(1)}, {{"dtype", c.in_dtype(1)}});
}

void random_numbers(OperatorContext& c, const char* name) {
  const auto& o = c.options<schema::RandomOptions>();
  c.set(0, c.b.op(name, {c.in(0)},
                  {{"dtype", c.out_dtype(0)}, {"seed", o.seed()}, {"seed2", o.seed2()}}));
}

void random_normal(OperatorContext& c) { random_numbers(c, "RandomStandardNormal"); }
void random_uniform(OperatorContext& c) { random_numbers(c, "RandomUniform"); }

void multinomial(OperatorContext& c) {
  const auto& o = c.options<schema::RandomOptions>();
  const Endpoint count = c.b.reshape(c.in(1), std::span<const int64_t>());
  c.set(0, c.b.op("Multinomial", {c.in(0), count},
                  {{"output_dtype", c.out_dtype(0)}, {"seed", o.seed()}, {"seed2", o.seed2()}}));
}

}  // namespace

TENON_LITE_OPERATOR(ASSIGN_VARIABLE, assign_variable)
TENON_LITE_OPERATOR(CALL, call_subgraph)
TENON_LITE_OPERATOR(CALL_ONCE, call_once)
TENON_LITE_OPERATOR(IF, if_then_else)
TENON_LITE_OPERATOR(MULTINOMIAL, multinomial)
TENON_LITE_OPERATOR(RANDOM_STANDARD_NORMAL, random_normal)
TENON_LITE_OPERATOR(RANDOM_UNIFORM, random_uniform)
TENON_LITE_OPERATOR(READ_VARIABLE, read_variable)
TENON_LITE_OPERATOR(STABLEHLO_COMPOSITE, composite)
TENON_LITE_OPERATOR(VAR_HANDLE, var_handle)
TENON_LITE_OPERATOR(WHILE, while_loop)

}  // namespace tenon::lite
