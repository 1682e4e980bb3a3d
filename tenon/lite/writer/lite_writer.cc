#include "tenon/lite/writer/lite_writer.h"

#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/lite/writer/levels.h"
#include "tenon/lite/writer/subgraph_writer.h"
#include "tenon/lite/writer/unroll.h"
#include "tenon/lite/writer/weights.h"
#include "tenon/passes/pass.h"

namespace tenon::lite {
namespace {

constexpr NamedPass kBefore[] = {
    {"inline_functions", inline_functions},
    {"freeze_variables", freeze_variables},
    {"specialize_functions", specialize_functions},  // what loops are given is constant in them
    {"remove_dead_nodes", remove_dead_nodes},
    {"order_effects", order_effects},
    {"fold_constants", fold_constants},
    {"simplify_arithmetic", simplify_arithmetic},
    {"eliminate_common_subexpressions", eliminate_common_subexpressions},
};

// A function that writes is refused; of what else is done for its effect nothing is left.
Status forget_effects(Graph& graph, const PassContext&) {
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    Node& node = graph.node(id);
    const bool resource = std::any_of(node.inputs.begin(), node.inputs.end(), [&](Endpoint e) {
      return graph.value(e).dtype == DType::kResource;
    });
    if (resource && effects_of(graph, node).writes) {
      return unimplemented(describe(node), " writes; only functions that compute are converted");
    }
    node.control_inputs.clear();
  }
  graph.control_results.clear();
  return absl::OkStatus();
}

constexpr NamedPass kAfter[] = {
    {"forget_effects", forget_effects},
    {"unroll_loops", unroll_loops},
    {"freeze_variables", freeze_variables},  // those that bodies read
    {"fold_constants", fold_constants},
    {"simplify_arithmetic", simplify_arithmetic},
    {"eliminate_common_subexpressions", eliminate_common_subexpressions},
    {"fold_batch_norm", fold_batch_norm},
    {"fold_constants", fold_constants},
    {"fuse_bias_activation", fuse_bias_activation},
    {"remove_dead_nodes", remove_dead_nodes},
};

Tensor value_of_frozen(const ModelState& state, std::string_view name) {
  if (!state.is_frozen(name)) return {};
  const Ref<Variable> variable = state.variable(name);
  if (!variable) return {};
  StatusOr<Tensor> value = variable->read();
  return value.ok() ? *std::move(value) : Tensor();
}

// The same function without what only training and other devices want: one that every operator of
// TensorFlow Lite can be found in.
StatusOr<Graph> inference_graph(const SavedModel& model, const Signature& signature) {
  TENON_ASSIGN_OR_RETURN(Graph graph, model.function(signature));
  graph.set_library(std::make_shared<FunctionLibrary>(graph.library()));
  int64_t growth = int64_t{1} << 20;
  PassContext context;
  context.growth = &growth;
  context.resources = model.state().get();
  context.frozen_variable = [&](std::string_view name) {
    return value_of_frozen(*model.state(), name);
  };
  TENON_RETURN_IF_ERROR(run_passes(kBefore, graph, context));
  TENON_RETURN_IF_ERROR(run_passes(kAfter, graph, context));
  return graph;
}

std::vector<std::unique_ptr<schema::TensorMapT>> named_tensors(
    const std::vector<SignatureTensor>& names, const std::vector<int>& tensors) {
  std::vector<std::unique_ptr<schema::TensorMapT>> maps;
  for (size_t i = 0; i < names.size(); ++i) {
    auto map = std::make_unique<schema::TensorMapT>();
    map->name = names[i].name;
    map->tensor_index = static_cast<uint32_t>(tensors[i]);
    maps.push_back(std::move(map));
  }
  return maps;
}

// The graph without its names.
std::string packed(schema::SubGraphT graph) {
  for (auto& tensor : graph.tensors) tensor->name.clear();
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::SubGraph::Pack(builder, &graph));
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

Status add_signature(LiteModel& lite, const SavedModel& model, const Signature& signature) {
  TENON_ASSIGN_OR_RETURN(const Graph graph, inference_graph(model, signature));
  const FrozenVariable frozen = [&](std::string_view name) {
    return value_of_frozen(*model.state(), name);
  };
  TENON_ASSIGN_OR_RETURN(int index, write_subgraph(lite, graph, frozen));
  fuse_activations(lite, index);
  const std::string bytes = packed(lite.subgraph(index));
  for (int other = 0; other < index && index + 1 == lite.num_subgraphs(); ++other) {
    if (packed(lite.subgraph(other)) != bytes) continue;
    lite.model().subgraphs.pop_back();
    index = other;
    break;
  }
  auto def = std::make_unique<schema::SignatureDefT>();
  def->signature_key = signature.name;
  def->subgraph_index = static_cast<uint32_t>(index);
  def->inputs = named_tensors(signature.inputs, lite.subgraph(index).inputs);
  def->outputs = named_tensors(signature.outputs, lite.subgraph(index).outputs);
  lite.model().signature_defs.push_back(std::move(def));
  return absl::OkStatus();
}

// Quantisation measures every operator on examples.
Status check_steps(const LiteModel& lite) {
  for (const auto& graph : lite.model().subgraphs) {
    for (const auto& op : graph->operators) {
      if (lite.builtin(*op) != op::WHILE) continue;
      return unimplemented("the model has a loop over a dimension that is not known, whose steps ",
                           "int8 and int16x8 would have to measure; fix the dimension");
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<LiteFile> write_lite(const SavedModel& model, const LiteOptions& options) {
  std::vector<const Signature*> signatures;
  for (const Signature& signature : model.signatures()) signatures.push_back(&signature);
  if (signatures.empty()) return invalid_argument("the model has no signature that can be run");
  // The first subgraph is what an interpreter that knows of no signatures runs.
  std::stable_partition(signatures.begin(), signatures.end(),
                        [](const Signature* s) { return s->name == "serving_default"; });
  LiteModel lite;
  for (const Signature* signature : signatures) {
    const Status status = add_signature(lite, model, *signature);
    if (!status.ok()) return with_context(status, cat("signature '", signature->name, "'"));
  }
  LiteFile file;
  switch (options.weights) {
    case Weights::kFloat32:
      break;
    case Weights::kFloat16:
      weights_to_float16(lite);
      break;
    case Weights::kDynamic:
      weights_to_int8(lite);
      break;
    case Weights::kInt8:
    case Weights::kInt16x8: {
      TENON_RETURN_IF_ERROR(check_steps(lite));
      TENON_ASSIGN_OR_RETURN(file.layers, quantize(lite, options.weights == Weights::kInt16x8,
                                                   options.representative));
    }
  }
  TENON_ASSIGN_OR_RETURN(file.bytes, lite.bytes());
  return file;
}

}  // namespace tenon::lite
