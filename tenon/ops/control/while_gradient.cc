#include "tenon/ops/control/while_gradient.h"

#include "tenon/ops/control/function_gradient.h"

namespace tenon {
namespace {

// What is worked out about a loop before anything is built.
struct LoopGradient {
  std::shared_ptr<FunctionLibrary> library;
  std::shared_ptr<const Graph> condition;
  std::shared_ptr<const Graph> body;
  std::vector<ValueInfo> variables;       // as the body declares its arguments
  std::vector<ResultGradient> gradients;  // of the loop variables that have one, in order
  BackwardFunction step;                  // of the body; its results are the new gradients
  std::vector<int> saved;                 // variables that the step reads and the body changes
  std::vector<int> passed;                // those that it reads and that stay the same
};

// The argument that result `index` of the body is, if it is one.
bool stays_the_same(const Graph& body, size_t index) {
  Endpoint e = body.results[index];
  while (body.node(e.node).is("Identity")) e = body.node(e.node).inputs[0];
  return e.node == body.args[index];
}

// Adds variables to `loop.gradients` until those that the body's gradient gives are all among them.
Status find_loop_gradients(Gradient& g, LoopGradient& loop) {
  for (int i = 0; i < g.num_outputs(); ++i) {
    const ValueInfo& variable = loop.variables[static_cast<size_t>(i)];
    if (!g.has_dy(i) || !carries_gradient(variable.dtype)) continue;
    loop.gradients.push_back({i, g.graph().value(g.dy(i)).dtype});
  }
  for (;;) {
    TENON_ASSIGN_OR_RETURN(loop.step, make_backward_function(loop.library, *loop.body,
                                                             loop.variables, loop.gradients));
    std::vector<ResultGradient> wider;
    size_t known = 0;
    for (size_t i = 0; i < loop.variables.size(); ++i) {
      if (known < loop.gradients.size() && loop.gradients[known].result == static_cast<int>(i)) {
        wider.push_back(loop.gradients[known++]);
      } else if (const Endpoint dx = loop.step.dx[i]) {
        wider.push_back({static_cast<int>(i), loop.step.graph.value(dx).dtype});
      }
    }
    if (wider.size() == loop.gradients.size()) return absl::OkStatus();
    loop.gradients = std::move(wider);
  }
}

// Gives the step its results and finds the loop variables that it reads.
Status finish_step(LoopGradient& loop) {
  Graph& graph = loop.step.graph;
  GraphBuilder b(graph);
  for (const ResultGradient& one : loop.gradients) {
    const size_t i = static_cast<size_t>(one.result);
    const Endpoint dx = loop.step.dx[i];
    graph.results.push_back(dx ? dx : zero_gradient(b, loop.step.args[i], one.dtype));
  }
  TENON_RETURN_IF_ERROR(b.status());
  TENON_RETURN_IF_ERROR(expect_repeatable(graph));
  std::vector<bool> read(static_cast<size_t>(graph.size()));
  std::vector<NodeId> stack;
  for (Endpoint result : graph.results) stack.push_back(result.node);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (read[static_cast<size_t>(id)]) continue;
    read[static_cast<size_t>(id)] = true;
    for (Endpoint input : graph.node(id).inputs) stack.push_back(input.node);
  }
  for (size_t i = 0; i < loop.variables.size(); ++i) {
    if (!read[static_cast<size_t>(loop.step.args[i].node)]) continue;
    (stays_the_same(*loop.body, i) ? loop.passed : loop.saved).push_back(static_cast<int>(i));
  }
  return absl::OkStatus();
}

// The arguments of a function over the loop's variables, as `variables` describe them.
std::vector<Endpoint> loop_args(GraphBuilder& b, std::span<const ValueInfo> variables) {
  std::vector<Endpoint> args;
  for (const ValueInfo& variable : variables) {
    const Endpoint arg = b.arg("", variable.dtype, variable.shape);
    if (arg) b.graph().value(arg).handle = variable.handle;
    args.push_back(arg);
  }
  return args;
}

const ValueInfo kLoopCounter{DType::kInt32, Shape(), std::nullopt};
const ValueInfo kLoopList{DType::kVariant, Shape(), std::nullopt};

// Registers `graph` with `results`.
StatusOr<FunctionAttr> add_loop_function(const LoopGradient& loop, GraphBuilder& b,
                                         std::string_view name, std::vector<Endpoint> results) {
  TENON_RETURN_IF_ERROR(b.status());
  b.graph().results = std::move(results);
  const FunctionAttr function{loop.library->unique_name(name), nullptr};
  loop.library->add(function.name, std::move(b.graph()));
  return function;
}

// Rewrites the forward node in place: its outputs keep their places, after them come the number of
// iterations and the lists.
Status save_loop_variables(Gradient& g, NodeId forward, const LoopGradient& loop) {
  const size_t count = loop.variables.size();
  std::vector<ValueInfo> variables = loop.variables;
  variables.push_back(kLoopCounter);
  variables.insert(variables.end(), loop.saved.size(), kLoopList);

  Graph condition(loop.library);
  GraphBuilder c(condition);
  std::vector<Endpoint> args = loop_args(c, variables);
  TENON_RETURN_IF_ERROR(c.status());
  TENON_ASSIGN_OR_RETURN(
      std::vector<Endpoint> holds,
      copy_whole_function(condition, *loop.condition, std::span(args).first(count)));
  const std::string& condition_name = g.attr<FunctionAttr>("cond").name;
  TENON_ASSIGN_OR_RETURN(
      const FunctionAttr condition_function,
      add_loop_function(loop, c, cat(condition_name, "_counting"), std::move(holds)));

  Graph body(loop.library);
  GraphBuilder b(body);
  args = loop_args(b, variables);
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(std::vector<Endpoint> results,
                         copy_whole_function(body, *loop.body, std::span(args).first(count)));
  results.push_back(b.add(args[count], b.scalar<int32_t>(1)));
  for (size_t k = 0; k < loop.saved.size(); ++k) {
    results.push_back(b.op("TensorListPushBack",
                           {args[count + 1 + k], args[static_cast<size_t>(loop.saved[k])]}));
  }
  const std::string& body_name = g.attr<FunctionAttr>("body").name;
  TENON_ASSIGN_OR_RETURN(const FunctionAttr body_function,
                         add_loop_function(loop, b, cat(body_name, "_saving"), std::move(results)));

  GraphBuilder& outer = g.build();
  std::vector<Endpoint> inputs = g.forward().inputs;
  inputs.push_back(outer.scalar<int32_t>(0));
  for (int variable : loop.saved) {
    inputs.push_back(
        outer.op("EmptyTensorList", {outer.scalar<int32_t>(-1), outer.scalar<int32_t>(-1)},
                 {{"element_dtype", loop.variables[static_cast<size_t>(variable)].dtype}}));
  }
  TENON_RETURN_IF_ERROR(outer.status());
  Node& node = g.graph().node(forward);
  std::vector<DType> dtypes;
  for (const ValueInfo& variable : variables) dtypes.push_back(variable.dtype);
  node.inputs = std::move(inputs);
  node.attrs.set("T", std::move(dtypes));
  node.attrs.set("cond", condition_function);
  node.attrs.set("body", body_function);
  node.attrs.set("output_shapes", std::vector<PartialShape>());
  for (size_t i = count; i < variables.size(); ++i) node.outputs.push_back(variables[i]);
  return absl::OkStatus();
}

// The variables of the backward loop: how many iterations are left, the gradients, the lists, and
// what the forward loop did not change.
std::vector<ValueInfo> backward_variables(const LoopGradient& loop) {
  std::vector<ValueInfo> variables{kLoopCounter};
  for (const ResultGradient& one : loop.gradients) {
    const ValueInfo& variable = loop.variables[static_cast<size_t>(one.result)];
    const bool own_dtype = variable.dtype == one.dtype;
    variables.push_back({one.dtype, own_dtype ? variable.shape : PartialShape(), std::nullopt});
  }
  variables.insert(variables.end(), loop.saved.size(), kLoopList);
  for (int i : loop.passed) variables.push_back(loop.variables[static_cast<size_t>(i)]);
  return variables;
}

// A list's element shape as an input: what the loop variable is declared to be, or -1.
Endpoint popped_shape(GraphBuilder& b, const PartialShape& shape) {
  return shape.has_rank() ? b.integers(shape.dims()) : b.scalar<int32_t>(-1);
}

StatusOr<FunctionAttr> backward_body(const LoopGradient& loop, std::string_view name) {
  Graph graph(loop.library);
  GraphBuilder b(graph);
  const std::vector<Endpoint> args = loop_args(b, backward_variables(loop));
  TENON_RETURN_IF_ERROR(b.status());
  const size_t first_list = 1 + loop.gradients.size();
  const size_t first_passed = first_list + loop.saved.size();

  std::vector<Endpoint> step_args(loop.variables.size());
  std::vector<Endpoint> lists;
  for (size_t k = 0; k < loop.saved.size(); ++k) {
    const ValueInfo& variable = loop.variables[static_cast<size_t>(loop.saved[k])];
    const std::vector<Endpoint> popped =
        b.ops("TensorListPopBack", {args[first_list + k], popped_shape(b, variable.shape)},
              {{"element_dtype", variable.dtype}});
    TENON_RETURN_IF_ERROR(b.status());
    lists.push_back(popped[0]);
    step_args[static_cast<size_t>(loop.saved[k])] = popped[1];
  }
  for (size_t k = 0; k < loop.passed.size(); ++k) {
    step_args[static_cast<size_t>(loop.passed[k])] = args[first_passed + k];
  }
  for (size_t k = 0; k < loop.gradients.size(); ++k) step_args.push_back(args[1 + k]);

  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> gradients,
                         copy_pure_function(graph, loop.step.graph, step_args));
  std::vector<Endpoint> results{b.sub(args[0], b.scalar<int32_t>(1))};
  results.insert(results.end(), gradients.begin(), gradients.end());
  results.insert(results.end(), lists.begin(), lists.end());
  results.insert(results.end(), args.begin() + static_cast<std::ptrdiff_t>(first_passed),
                 args.end());
  return add_loop_function(loop, b, name, std::move(results));
}

StatusOr<FunctionAttr> backward_condition(const LoopGradient& loop, std::string_view name) {
  Graph graph(loop.library);
  GraphBuilder b(graph);
  const std::vector<Endpoint> args = loop_args(b, backward_variables(loop));
  const Endpoint more = b.op("Greater", {args[0], b.scalar<int32_t>(0)});
  return add_loop_function(loop, b, name, {more});
}

// Adds the backward loop and sets the gradients of the forward loop's inputs.
Status run_backwards(Gradient& g, const LoopGradient& loop) {
  const std::string body_name = g.attr<FunctionAttr>("body").name;
  TENON_ASSIGN_OR_RETURN(const FunctionAttr body, backward_body(loop, cat(body_name, "_backward")));
  TENON_ASSIGN_OR_RETURN(const FunctionAttr condition,
                         backward_condition(loop, cat(body_name, "_backward_cond")));
  const int count = static_cast<int>(loop.variables.size());
  GraphBuilder& b = g.build();
  std::vector<Endpoint> inputs{g.output(count)};
  for (const ResultGradient& one : loop.gradients) {
    inputs.push_back(g.has_dy(one.result) ? g.dy(one.result)
                                          : zero_gradient(b, g.output(one.result), one.dtype));
  }
  for (size_t k = 0; k < loop.saved.size(); ++k) {
    inputs.push_back(g.output(count + 1 + static_cast<int>(k)));
  }
  for (int i : loop.passed) inputs.push_back(g.input(i));
  const std::vector<Endpoint> results =
      b.ops(reads_state(loop.step.graph) ? "While" : "StatelessWhile", std::move(inputs),
            {{"cond", condition}, {"body", body}});
  TENON_RETURN_IF_ERROR(b.status());
  for (size_t k = 0; k < loop.gradients.size(); ++k) {
    g.set_dx(loop.gradients[k].result, results[1 + k]);
  }
  return absl::OkStatus();
}

}  // namespace

Status while_gradient(Gradient& g) {
  LoopGradient loop{g.graph().library(),       nullptr, nullptr, {}, {},
                    {Graph(), {}, {}, {}, {}}, {},      {}};
  if (!loop.library) return not_found("a loop's functions are called, there are none");
  TENON_ASSIGN_OR_RETURN(loop.condition, loop.library->find(g.attr<FunctionAttr>("cond").name));
  TENON_ASSIGN_OR_RETURN(loop.body, loop.library->find(g.attr<FunctionAttr>("body").name));
  for (size_t i = 0; i < loop.body->args.size(); ++i) {
    ValueInfo variable = loop.body->value({loop.body->args[i], 0});
    // A variable that the loop does not change is as well known inside as outside.
    if (stays_the_same(*loop.body, i)) variable = g.graph().value(g.input(static_cast<int>(i)));
    loop.variables.push_back(std::move(variable));
  }
  TENON_RETURN_IF_ERROR(find_loop_gradients(g, loop));
  if (loop.gradients.empty()) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(finish_step(loop));
  TENON_RETURN_IF_ERROR(save_loop_variables(g, g.output(0).node, loop));
  return run_backwards(g, loop);
}

}  // namespace tenon
