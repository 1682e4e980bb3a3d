#include "tests/differential/case_runner.h"

#include "tenon/graph/batch_dimension.h"
#include "tenon/graph/effects.h"
#include "tenon/graph/gradient.h"
#include "tenon/passes/pass.h"
#include "tenon/saved_model/folder_access.h"

namespace tenon::differential {
namespace {

const FolderAccess& all_files() {
  static const FolderAccess everything({}, {}, true);
  return everything;
}

// The values that the case feeds, by the names of `signature`.
StatusOr<std::vector<Tensor>> fed_values(const ReferenceCase& one, const Signature& signature) {
  std::vector<Tensor> values;
  for (const SignatureTensor& input : signature.inputs) {
    const auto fed = one.inputs.find(input.name);
    values.push_back(fed == one.inputs.end() ? input.fallback() : fed->second);
    if (!values.back().has_value()) return invalid_argument("nothing is fed to ", input.name);
  }
  return values;
}

// Turns `graph`, the function of a gradient case, into its gradients; dys become more arguments.
Status differentiate(const ReferenceCase& one, Known known, Graph& graph) {
  TENON_RETURN_IF_ERROR(inline_functions(graph, {}));
  GraphBuilder builder(graph);
  std::vector<Endpoint> xs, ys, dys;
  std::vector<std::string> names;
  for (NodeId arg : graph.args) {
    if (!one.outputs.contains(graph.node(arg).name)) continue;
    xs.push_back({arg, 0});
    names.push_back(graph.node(arg).name);
  }
  for (size_t i = 0; i < graph.results.size(); ++i) {
    const auto dy = one.upstreams.find(graph.result_names[i]);
    if (dy == one.upstreams.end()) continue;
    ys.push_back(graph.results[i]);
    dys.push_back(builder.arg(cat("dy_", dy->first), dy->second.dtype(),
                              known_part(dy->second.shape(), known)));
  }
  TENON_RETURN_IF_ERROR(builder.status());
  TENON_ASSIGN_OR_RETURN(const auto dxs, gradients(graph, ys, dys, xs));
  graph.results.clear();
  for (size_t i = 0; i < dxs.size(); ++i) {
    graph.results.push_back(dxs[i] ? dxs[i] : builder.zeros_like(xs[i]));
  }
  graph.result_names = names;
  return builder.status();
}

bool leaves_traces(const Graph& graph) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.alive(id) && effects_of(graph, graph.node(id)).beyond_reading()) return true;
  }
  return false;
}

}  // namespace

StatusOr<std::shared_ptr<SavedModel>> CaseRunner::load() {
  LoadOptions options;
  options.executable.files = &all_files();
  return SavedModel::load(case_.folder, options);
}

StatusOr<std::vector<Tensor>> CaseRunner::arguments() {
  if (!model_) {
    TENON_ASSIGN_OR_RETURN(model_, load());
  }
  const Signature* const signature = model_->find_signature(case_.signature);
  if (!signature) return not_found("no signature ", case_.signature);
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> values, fed_values(case_, *signature));
  for (const SignatureTensor& output : signature->outputs) {
    const auto dy = case_.upstreams.find(output.name);
    if (dy != case_.upstreams.end()) values.push_back(dy->second);
  }
  return values;
}

StatusOr<Graph> CaseRunner::extract(const SavedModel& model, const Signature& signature,
                                    Known known) {
  TENON_ASSIGN_OR_RETURN(const std::vector<Tensor> values, fed_values(case_, signature));
  std::vector<FedTensor> fed;
  std::vector<std::string> feeds, names, fetches;
  for (size_t i = 0; i < values.size(); ++i) {
    fed.push_back({signature.inputs[i].tensor, values[i].shape()});
    feeds.push_back(signature.inputs[i].tensor);
    names.push_back(signature.inputs[i].name);
  }
  for (const SignatureTensor& output : signature.outputs) fetches.push_back(output.tensor);
  TENON_ASSIGN_OR_RETURN(const auto file, with_known_shapes(model, fed, known));
  TENON_ASSIGN_OR_RETURN(const auto importer, GraphImporter::create(file));
  TENON_ASSIGN_OR_RETURN(Graph graph, importer->extract(feeds, names, fetches, {}));
  for (size_t i = 0; i < fetches.size(); ++i) graph.result_names[i] = signature.outputs[i].name;
  return graph;
}

StatusOr<CaseRunner::Function> CaseRunner::make(const Setting& setting) {
  Function made;
  if (model_) {
    made.model = model_;
  } else {
    TENON_ASSIGN_OR_RETURN(made.model, load());
  }
  const Signature* const signature = made.model->find_signature(case_.signature);
  if (!signature) return not_found("no signature ", case_.signature);
  TENON_ASSIGN_OR_RETURN(Graph graph, extract(*made.model, *signature, setting.known));
  if (case_.kind == CaseKind::kGradient) {
    TENON_RETURN_IF_ERROR(differentiate(case_, setting.known, graph));
  }
  ExecutableOptions options;
  options.files = &all_files();
  options.optimize = setting.passes;
  options.team = setting.team;
  made.leaves_traces = leaves_traces(graph);
  TENON_ASSIGN_OR_RETURN(made.executable,
                         Executable::create(std::move(graph), made.model->state(), options));
  return made;
}

StatusOr<CaseRunner::Function*> CaseRunner::function(const Setting& setting) {
  const std::tuple key(setting.passes, setting.known, setting.team);
  const auto known = functions_.find(key);
  if (known != functions_.end() && !known->second.leaves_traces) return &known->second;
  if (known != functions_.end()) model_ = nullptr;
  TENON_ASSIGN_OR_RETURN(Function made, make(setting));
  if (made.leaves_traces) model_ = nullptr;
  Function& kept = functions_[key];
  kept = std::move(made);
  return &kept;
}

Status CaseRunner::run_function(const Setting& setting, const std::vector<Tensor>& arguments,
                                Outcome& outcome) {
  TENON_ASSIGN_OR_RETURN(Function* const ready, function(setting));
  outcome.names = ready->executable->graph().result_names;
  return ready->executable->run(arguments, outcome.results);
}

Outcome CaseRunner::run(const Setting& setting, const std::vector<Tensor>& arguments) {
  Outcome outcome;
  outcome.status = run_function(setting, arguments, outcome);
  if (!outcome.status.ok()) outcome.results.clear();  // nobody has written them
  return outcome;
}

bool CaseRunner::may_merge_rows(const Setting& setting) {
  const auto ready = function(setting);
  if (!ready.ok()) return false;
  const auto verdict = tenon::may_merge_rows((*ready)->executable->graph());
  return verdict.ok() && verdict->mergeable;
}

}  // namespace tenon::differential
