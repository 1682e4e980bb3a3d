#include <numeric>
#include <set>

#include "tenon/graph/builder.h"
#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"
#include "tenon/saved_model/export_parts.h"

namespace tenon::saved_model_internal {
namespace {

constexpr std::string_view kServingDefault = "serving_default";
constexpr std::string_view kInitOp = "__saved_model_init_op";
constexpr std::string_view kReserved[] = {"variables", "trainable_variables",
                                          "non_trainable_variables", "signatures", kInitOp};

Status check_names(const SavedModelSpec& spec) {
  if (spec.endpoints.empty()) return invalid_argument("a SavedModel needs at least one endpoint");
  std::set<std::string_view> taken(std::begin(kReserved), std::end(kReserved));
  for (const SavedModelEndpoint& endpoint : spec.endpoints) {
    if (endpoint.name.empty() || !taken.insert(endpoint.name).second) {
      return invalid_argument("the endpoint's name '", endpoint.name, "' is ",
                              endpoint.name.empty() ? "empty" : "taken or reserved");
    }
    const Graph& graph = endpoint.function;
    if (graph.results.empty() || graph.result_names.size() != graph.results.size()) {
      return invalid_argument("endpoint '", endpoint.name, "' has ", graph.results.size(),
                              " results with ", graph.result_names.size(),
                              " names; at least one is expected, each with a name");
    }
    std::set<std::string_view> outputs;
    for (const std::string& name : graph.result_names) {
      if (outputs.insert(name).second) continue;
      return invalid_argument("endpoint '", endpoint.name, "' has two outputs '", name, "'");
    }
  }
  return absl::OkStatus();
}

std::string variable_name(const Node& handle) {
  const std::string shared = handle.attrs.get_or<std::string>("shared_name", "");
  return shared.empty() ? handle.name : shared;
}

// Functions that an endpoint calls must take their variables as arguments.
Status check_nested(const Graph& graph, std::set<std::string>& visited) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    for (const std::string& name : functions_of(graph.node(id))) {
      if (!graph.library() || !visited.insert(name).second) continue;
      TENON_ASSIGN_OR_RETURN(const auto body, graph.library()->find(name));
      for (NodeId inner = 0; inner < body->size(); ++inner) {
        if (!body->alive(inner) || !body->node(inner).is("VarHandleOp")) continue;
        return unimplemented("function '", name, "' names the variable '",
                             variable_name(body->node(inner)),
                             "' itself; only endpoints may, and hand it on");
      }
      TENON_RETURN_IF_ERROR(check_nested(*body, visited));
    }
  }
  return absl::OkStatus();
}

class VariableTable {
 public:
  VariableTable(const SavedModelSpec& spec, std::vector<ExportedVariable>& variables)
      : spec_(spec), variables_(variables) {}

  Status add(const std::string& name, bool trainable) {
    if (index_.contains(name)) return absl::OkStatus();
    const Ref<Variable> variable = spec_.state ? spec_.state->variable(name) : Ref<Variable>();
    if (!variable) return not_found("the model has no variable '", name, "'");
    StatusOr<Tensor> value = variable->read();
    if (!value.ok()) return with_context(value.status(), cat("variable '", name, "'"));
    index_[name] = variables_.size();
    variables_.push_back({name,
                          variable->dtype(),
                          variable->shape(),
                          trainable,
                          cat(name, "/.ATTRIBUTES/VARIABLE_VALUE"),
                          *std::move(value),
                          {}});
    return absl::OkStatus();
  }

  StatusOr<size_t> find_or_add(const std::string& name) {
    TENON_RETURN_IF_ERROR(add(name, /*trainable=*/false));
    return index_.at(name);
  }

 private:
  const SavedModelSpec& spec_;
  std::vector<ExportedVariable>& variables_;
  std::map<std::string, size_t> index_;
};

// Handles of variables become resource arguments, one for each variable.
StatusOr<std::vector<size_t>> lift_variables(Graph& graph, VariableTable& table) {
  std::vector<size_t> captures;
  std::map<size_t, Endpoint> lifted;
  GraphBuilder builder(graph);
  Uses uses(graph);
  const NodeId size = graph.size();
  for (NodeId id = 0; id < size; ++id) {
    if (!graph.alive(id) || !graph.node(id).is("VarHandleOp")) continue;
    const std::string name = variable_name(graph.node(id));
    TENON_ASSIGN_OR_RETURN(const size_t variable, table.find_or_add(name));
    if (!lifted.contains(variable)) {
      const Endpoint arg = builder.arg(cat(name, "/resource"), DType::kResource, Shape());
      TENON_RETURN_IF_ERROR(builder.status());
      graph.value(arg).handle = graph.value({id, 0}).handle;
      lifted[variable] = arg;
      captures.push_back(variable);
    }
    uses.replace_value({id, 0}, lifted[variable]);
    uses.replace_control(id, lifted[variable].node);
    uses.remove_if_unused(id);
  }
  return captures;
}

// What a call of a function must run though no result needs it.
void keep_effects(Graph& graph) {
  std::set<NodeId> kept(graph.control_results.begin(), graph.control_results.end());
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Effects effects = effects_of(graph, graph.node(id));
    if (!effects.writes && !effects.outside) continue;
    if (kept.insert(id).second) graph.control_results.push_back(id);
  }
}

std::vector<size_t> sorted_by(size_t count, FunctionRef<std::string_view(size_t)> name) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return name(a) < name(b); });
  return order;
}

bool are_listed(const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] != cat("output_", i)) return false;
  }
  return true;
}

StatusOr<ExportedEndpoint> prepare_endpoint(const SavedModelEndpoint& source,
                                            VariableTable& table) {
  ExportedEndpoint endpoint{.name = source.name,
                            .method_name = source.method_name,
                            .body = source.function,
                            .captures = {},
                            .by_input = {},
                            .by_output = {},
                            .defaults = source.defaults,
                            .function = {}};
  Graph& body = endpoint.body;
  std::set<std::string> visited;
  TENON_RETURN_IF_ERROR(check_nested(body, visited));
  // Reads that nobody needs must be gone before writes are made to wait for reads.
  keep_effects(body);
  TENON_RETURN_IF_ERROR(remove_dead_nodes(body, {}));
  TENON_RETURN_IF_ERROR(order_effects(body, {}));
  const size_t inputs = body.args.size();
  TENON_ASSIGN_OR_RETURN(endpoint.captures, lift_variables(body, table));
  endpoint.by_input =
      sorted_by(inputs, [&](size_t i) -> std::string_view { return endpoint.input_name(i); });
  endpoint.by_output = sorted_by(
      body.results.size(), [&](size_t i) -> std::string_view { return body.result_names[i]; });
  endpoint.lists_outputs = are_listed(body.result_names);
  if (!endpoint.lists_outputs) {
    // Dictionaries are flattened in the order of their keys.
    const std::vector<Endpoint> results = body.results;
    const std::vector<std::string> names = body.result_names;
    for (size_t i = 0; i < results.size(); ++i) {
      body.results[i] = results[endpoint.by_output[i]];
      body.result_names[i] = names[endpoint.by_output[i]];
    }
    std::iota(endpoint.by_output.begin(), endpoint.by_output.end(), size_t{0});
  }
  return endpoint;
}

}  // namespace

StatusOr<ExportedModel> prepare_export(const SavedModelSpec& spec) {
  TENON_RETURN_IF_ERROR(check_names(spec));
  ExportedModel model;
  VariableTable table(spec, model.variables);
  for (const SavedModelVariable& variable : spec.variables) {
    TENON_RETURN_IF_ERROR(table.add(variable.name, variable.trainable));
  }
  bool has_default = false;
  for (const SavedModelEndpoint& endpoint : spec.endpoints) {
    StatusOr<ExportedEndpoint> prepared = prepare_endpoint(endpoint, table);
    if (!prepared.ok()) {
      return with_context(prepared.status(), cat("endpoint '", endpoint.name, "'"));
    }
    has_default |= endpoint.name == kServingDefault;
    model.signatures.push_back({endpoint.name, model.endpoints.size(), {}});
    model.endpoints.push_back(*std::move(prepared));
  }
  if (!has_default) model.signatures.push_back({std::string(kServingDefault), 0, {}});
  std::sort(model.signatures.begin(), model.signatures.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return model;
}

}  // namespace tenon::saved_model_internal
