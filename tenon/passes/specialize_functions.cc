// Branches and loop bodies become functions of the one node that runs them, which know what that
// node knows: constants, handles of variables, shapes. Then they fold, pack and fuse as everything
// else does.
#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/specialize.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/growth.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// An op whose functions take its inputs from `first_input` on.
struct FunctionOp {
  std::string_view op;
  size_t first_input;
  std::string_view types;  // the attribute that lists the dtypes of these inputs
  bool is_loop;
};
constexpr FunctionOp kFunctionOps[] = {
    {"While", 0, "T", true},   {"StatelessWhile", 0, "T", true},
    {"If", 1, "Tin", false},   {"StatelessIf", 1, "Tin", false},
    {"Case", 1, "Tin", false}, {"StatelessCase", 1, "Tin", false},
};

bool only_reads(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && effects_of(graph, graph.node(id)).beyond_reading()) return false;
  }
  return true;
}

class Specializer {
 public:
  Specializer(Graph& graph, const PassContext& context, FunctionSizes& sizes, int64_t& growth)
      : graph_(graph), context_(context), sizes_(sizes), growth_(growth), uses_(graph) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    bool changed = false;
    for (NodeId id : order) {
      // A loop that knows more says more of its results. Shapes that do not go together are told
      // when the node runs, if it runs.
      if (!graph_.alive(id) || (changed && !graph_.infer(id).ok())) continue;
      for (const FunctionOp& row : kFunctionOps) {
        if (!graph_.node(id).is(row.op)) continue;
        TENON_ASSIGN_OR_RETURN(const bool done, specialize_node(id, row));
        changed |= done;
        break;
      }
    }
    return absl::OkStatus();
  }

 private:
  using Bodies = std::map<std::string, std::shared_ptr<const Graph>>;  // by name of the function

  // Leaves what cannot run as it is: whoever plans it says why.
  StatusOr<bool> specialize_node(NodeId id, const FunctionOp& row) {
    const Node node = graph_.node(id);
    const std::span<const Endpoint> inputs = std::span(node.inputs).subspan(row.first_input);
    Bodies bodies;
    int64_t size = 0;
    for (const std::string& name : functions_of(node)) {
      const auto body = find_function(graph_, name);
      if (!body.ok() || !takes(**body, inputs)) return false;
      size = std::min(size + sizes_.copied(graph_, name), FunctionSizes::kMost);
      bodies[name] = *body;
    }
    if (size > growth_) return false;
    std::vector<KnownArgument> known;
    std::vector<bool> invariant(inputs.size(), true);
    if (row.is_loop) {
      const Graph& body = *bodies[node.attrs.get<FunctionAttr>("body").name];
      if (body.results.size() != inputs.size()) return false;
      invariant = loop_invariants(body);
      known = known_arguments(inputs, invariant);
      TENON_RETURN_IF_ERROR(find_loop_shapes(body, known, invariant));
    } else {
      known = known_arguments(inputs, invariant);
    }
    growth_ -= size;
    TENON_ASSIGN_OR_RETURN(AttrMap attrs, with_own_functions(node, row, bodies, known));
    return replace(id, node, row, std::move(attrs), known);
  }

  bool takes(const Graph& body, std::span<const Endpoint> inputs) const {
    if (body.args.size() != inputs.size()) return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (body.value({body.args[i], 0}).dtype != graph_.value(inputs[i]).dtype) return false;
    }
    return true;
  }

  // What may be inside is the same whenever the functions run.
  std::vector<KnownArgument> known_arguments(std::span<const Endpoint> inputs,
                                             const std::vector<bool>& invariant) const {
    std::vector<KnownArgument> known(inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      known[i].shape = graph_.value(inputs[i]).shape;
      if (!invariant[i]) continue;
      const Node& source = graph_.node(inputs[i].node);
      if (const Tensor* constant = graph_.constant(inputs[i])) known[i].constant = *constant;
      if (source.is("VarHandleOp") && source.control_inputs.empty()) known[i].handle = &source;
    }
    return known;
  }

  // Widens the shapes of what changes until the body keeps them.
  static Status find_loop_shapes(const Graph& body, std::vector<KnownArgument>& known,
                                 const std::vector<bool>& invariant) {
    constexpr int kRounds = 3;
    for (int round = 0;; ++round) {
      TENON_ASSIGN_OR_RETURN(const Graph once, specialize(body, known, false));
      bool kept = true;
      for (size_t i = 0; i < known.size(); ++i) {
        if (invariant[i]) continue;
        const PartialShape& after = once.value(once.results[i]).shape;
        PartialShape wider = common_shape(known[i].shape, after);
        if (round >= kRounds) wider = PartialShape();
        if (wider == known[i].shape) continue;
        known[i].shape = std::move(wider);
        kept = false;
      }
      if (kept || round >= kRounds) return absl::OkStatus();
    }
  }

  StatusOr<AttrMap> with_own_functions(const Node& node, const FunctionOp& row,
                                       const Bodies& bodies, std::span<const KnownArgument> known) {
    AttrMap attrs = node.attrs;
    FunctionLibrary& library = *graph_.library();
    const auto own = [&](FunctionAttr& function, bool drop_results) -> Status {
      TENON_ASSIGN_OR_RETURN(Graph body,
                             specialize(*bodies.at(function.name), known, drop_results));
      context_.note("specialize: ", function.name, " for ", node.name);
      function.name = library.unique_name(cat(function.name, " for ", node.name));
      library.add(function.name, std::move(body));
      return absl::OkStatus();
    };
    for (const auto& [name, value] : node.attrs) {
      if (const auto* one = std::get_if<FunctionAttr>(&value)) {
        FunctionAttr function = *one;
        TENON_RETURN_IF_ERROR(own(function, row.is_loop && name == "body"));
        attrs.set(name, std::move(function));
      } else if (const auto* list = std::get_if<std::vector<FunctionAttr>>(&value)) {
        std::vector<FunctionAttr> functions = *list;
        for (FunctionAttr& function : functions) TENON_RETURN_IF_ERROR(own(function, false));
        attrs.set(name, std::move(functions));
      }
    }
    if (row.is_loop) TENON_RETURN_IF_ERROR(add_step(node, library, attrs));
    return attrs;
  }

  // One function to run in each iteration is half the cost of two. A condition that does more than
  // compute stays on its own.
  static Status add_step(const Node& node, FunctionLibrary& library, AttrMap& attrs) {
    TENON_ASSIGN_OR_RETURN(const auto body, library.find(attrs.get<FunctionAttr>("body").name));
    TENON_ASSIGN_OR_RETURN(const auto condition,
                           library.find(attrs.get<FunctionAttr>("cond").name));
    if (condition->results.size() != 1 || !only_reads(*condition) || !only_reads(*body)) {
      return absl::OkStatus();
    }
    TENON_ASSIGN_OR_RETURN(Graph step, loop_step(*body, *condition));
    const FunctionAttr name{library.unique_name(cat("iteration of ", node.name)), nullptr};
    library.add(name.name, std::move(step));
    attrs.set(kLoopStep, name);
    return absl::OkStatus();
  }

  // False when the node cannot be made: the one that is there says why when it runs.
  StatusOr<bool> replace(NodeId id, const Node& node, const FunctionOp& row, AttrMap attrs,
                         std::span<const KnownArgument> known) {
    std::vector<Endpoint> inputs(node.inputs.begin(),
                                 node.inputs.begin() + static_cast<ptrdiff_t>(row.first_input));
    std::vector<DType> types;
    for (size_t i = 0; i < known.size(); ++i) {
      const Endpoint input = node.inputs[row.first_input + i];
      if (known[i].is_inside()) continue;
      inputs.push_back(input);
      types.push_back(graph_.value(input).dtype);
    }
    attrs.set(row.types, std::move(types));
    if (row.is_loop) attrs.set("output_shapes", std::vector<PartialShape>());
    const auto added =
        graph_.add(row.op, node.name, std::move(inputs), std::move(attrs), node.control_inputs);
    if (!added.ok()) return false;
    int32_t output = 0;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Endpoint before{id, static_cast<int32_t>(i)};
      const bool inside = row.is_loop && known[i].is_inside();
      uses_.replace_value(before, inside ? node.inputs[i] : Endpoint{*added, output++});
    }
    uses_.replace_control(id, *added);
    graph_.remove(id);
    graph_.node(*added).name = node.name;
    graph_.node(*added).device = node.device;
    return true;
  }

  Graph& graph_;
  const PassContext& context_;
  FunctionSizes& sizes_;
  int64_t& growth_;
  Uses uses_;
};

}  // namespace

Status specialize_functions(Graph& graph, const PassContext& context) {
  if (!graph.library()) return absl::OkStatus();
  FunctionSizes sizes;
  int64_t growth = context.growth ? *context.growth : growth_limit(graph);
  TENON_RETURN_IF_ERROR(
      Specializer(graph, context, context.sizes ? *context.sizes : sizes, growth).run());
  if (context.growth) *context.growth = growth;
  return absl::OkStatus();
}

}  // namespace tenon
