#include "tenon/graph/function_copy.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/growth.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

std::string callee_of(const Node& call) { return call.attrs.get<FunctionAttr>("f").name; }

class Inliner {
 public:
  Inliner(Graph& graph, const PassContext& context, int64_t& growth)
      : graph_(graph), context_(context), growth_(growth), uses_(graph) {}

  Status run() {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (!graph_.alive(id) || !is_call(graph_.node(id))) continue;
      const std::string name = callee_of(graph_.node(id));
      TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph_, name));
      const int64_t size = count_nodes(*body);
      if (size > growth_) continue;
      growth_ -= size;
      context_.note("inline: ", graph_.node(id).name, " calls ", name);
      TENON_RETURN_IF_ERROR(inline_call(id, *body));
    }
    return absl::OkStatus();
  }

 private:
  // Copies the body of `call` into the graph and lets the call's users read the copies.
  Status inline_call(NodeId call, const Graph& body) {
    const Node caller = graph_.node(call);
    if (body.args.size() != caller.inputs.size() || body.results.size() != caller.outputs.size()) {
      return invalid_argument(describe(caller), " passes ", caller.inputs.size(),
                              " arguments and expects ", caller.outputs.size(),
                              " results; its function takes ", body.args.size(), " and gives ",
                              body.results.size());
    }
    std::vector<NodeId> controls = caller.control_inputs;
    std::erase(controls, -1);
    TENON_RETURN_IF_ERROR(wait_as_one(caller.name, controls));
    TENON_ASSIGN_OR_RETURN(
        const FunctionCopy copy,
        copy_function(graph_, body, caller.inputs, {.prefix = caller.name, .controls = controls}));
    for (size_t i = 0; i < copy.results.size(); ++i) {
      uses_.replace_value({call, static_cast<int32_t>(i)}, copy.results[i]);
    }
    // Whoever waited for the call waits for what the body must run.
    if (uses_.is_waited_for(call)) {
      std::vector<NodeId> done = copy.control_results;
      TENON_RETURN_IF_ERROR(wait_as_one(caller.name, done));
      if (done.empty()) {
        uses_.drop_control(call);
      } else {
        uses_.replace_control(call, done[0]);
      }
    }
    graph_.remove(call);
    return absl::OkStatus();
  }

  // One node that waits for all of `nodes`, so that many that wait for many stay few edges.
  Status wait_as_one(std::string_view name, std::vector<NodeId>& nodes) {
    if (nodes.size() < 2) return absl::OkStatus();
    TENON_ASSIGN_OR_RETURN(const NodeId wait,
                           graph_.add("NoOp", cat(name, "/wait"), {}, {}, std::move(nodes)));
    nodes = {wait};
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  int64_t& growth_;
  Uses uses_;
};

}  // namespace

Status inline_functions(Graph& graph, const PassContext& context) {
  bool calls = false;
  for (NodeId id = 0; id < graph.size(); ++id) {
    calls |= graph.alive(id) && is_call(graph.node(id));
  }
  if (!calls) return absl::OkStatus();
  FunctionSizes sizes;
  TENON_RETURN_IF_ERROR((context.sizes ? *context.sizes : sizes).inlined(graph).status());
  int64_t growth = context.growth ? *context.growth : growth_limit(graph);
  TENON_RETURN_IF_ERROR(Inliner(graph, context, growth).run());
  if (context.growth) *context.growth = growth;
  return absl::OkStatus();
}

}  // namespace tenon
