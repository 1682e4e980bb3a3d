#include <map>

#include "tenon/keras/network.h"

namespace tenon::keras {

namespace {

constexpr size_t kMaxConfigLayers = 10000;

Json tensor_json(const Network& network, const KTensor& tensor) {
  const Json history =
      Json(Json::Array{tensor.call()->layer->name(), network.call_index(*tensor.call()), 0});
  return Json::object({{"class_name", "__keras_tensor__"},
                       {"config", Json::object({{"shape", shape_to_json(tensor.shape())},
                                                {"dtype", std::string(info(tensor.dtype()).name)},
                                                {"keras_history", history}})}});
}

Json tensor_list(const Network& network, const std::vector<KTensor>& tensors) {
  Json list{Json::Array()};
  for (const KTensor& tensor : tensors) {
    list.push(Json::Array{tensor.call()->layer->name(), network.call_index(*tensor.call()), 0});
  }
  return tensors.size() == 1 ? Json((*list.items())[0]) : list;
}

// A layer of the config and the tensors that its calls have made so far.
struct ConfigLayer {
  std::shared_ptr<Layer> layer;
  const Json::Array* pending = nullptr;  // "inbound_nodes"
  size_t done = 0;
  std::vector<KTensor> made;
};
using ConfigLayers = std::map<std::string, ConfigLayer, std::less<>>;

// ["name", call, output]: the tensor, or null when that call has not been made yet.
StatusOr<const KTensor*> find_tensor(const ConfigLayers& layers, const Json& history) {
  const auto* items = history.items();
  if (!items || items->size() < 3 || !(*items)[0].string() || !(*items)[1].integer() ||
      !((*items)[2] == Json(0))) {
    return invalid_argument("not a reference to a layer's output: ", history.dump());
  }
  const auto it = layers.find(*(*items)[0].string());
  if (it == layers.end()) {
    return invalid_argument("layer '", *(*items)[0].string(), "' is referred to and not there");
  }
  const int64_t call = *(*items)[1].integer();
  if (call < 0 || call >= static_cast<int64_t>(it->second.made.size())) return nullptr;
  return &it->second.made[static_cast<size_t>(call)];
}

// Every "keras_history" below the arguments of a call, in order.
void collect_histories(const Json& json, std::vector<const Json*>& out) {
  if (const Json* history = json["config"].find("keras_history")) {
    out.push_back(history);
  } else if (json.items()) {
    for (const Json& item : *json.items()) collect_histories(item, out);
  } else if (json.members()) {
    for (const auto& [name, value] : *json.members()) collect_histories(value, out);
  }
}

// The inputs of a call; an empty list when one of them has not been made yet. Keras 2 wrote a list
// of references, Keras 3 writes {"args": ..., "kwargs": ...}.
StatusOr<std::vector<KTensor>> call_inputs(const ConfigLayers& layers, const Json& node) {
  std::vector<const Json*> histories;
  if (node.items()) {
    for (const Json& reference : *node.items()) histories.push_back(&reference);
  } else {
    collect_histories(node["args"], histories);
    collect_histories(node["kwargs"], histories);
  }
  if (histories.empty()) return invalid_argument("a call without inputs: ", node.dump());
  std::vector<KTensor> inputs;
  for (const Json* history : histories) {
    TENON_ASSIGN_OR_RETURN(const KTensor* tensor, find_tensor(layers, *history));
    if (!tensor) return std::vector<KTensor>();
    inputs.push_back(*tensor);
  }
  return inputs;
}

// Makes the calls whose inputs exist; true when there was one.
StatusOr<bool> make_calls(ConfigLayers& layers, ConfigLayer& at) {
  bool progress = false;
  while (at.pending && at.done < at.pending->size()) {
    TENON_ASSIGN_OR_RETURN(std::vector<KTensor> inputs,
                           call_inputs(layers, (*at.pending)[at.done]));
    if (inputs.empty()) return progress;
    at.made.push_back(LayerRef(at.layer)(std::move(inputs)));
    TENON_RETURN_IF_ERROR(at.made.back().status());
    ++at.done;
    progress = true;
  }
  return progress;
}

StatusOr<std::vector<KTensor>> end_tensors(const ConfigLayers& layers, const Json& list,
                                           std::string_view what) {
  std::vector<KTensor> tensors;
  const auto* items = list.items();
  if (!items || items->empty()) return invalid_argument("'", what, "' is no list of layers");
  const bool single = (*items)[0].string() != nullptr;
  for (const Json& reference : *items) {
    TENON_ASSIGN_OR_RETURN(const KTensor* tensor, find_tensor(layers, single ? list : reference));
    if (!tensor) return invalid_argument("'", what, "' names a call that is not there");
    tensors.push_back(*tensor);
    if (single) break;
  }
  return tensors;
}

}  // namespace

void Network::describe(Json& config) const {
  Json list{Json::Array()};
  for (const auto& layer : layers) {
    Json json = layer->describe();
    Json nodes{Json::Array()};
    for (const auto& call : calls) {
      if (call->layer != layer || call->inputs.empty()) continue;
      Json args{Json::Array()};
      for (const KTensor& input : call->inputs) args.push(tensor_json(*this, input));
      if (layer->takes_list()) args = Json(Json::Array{std::move(args)});
      nodes.push(Json::object({{"args", std::move(args)}, {"kwargs", layer->call_kwargs()}}));
    }
    json.set("name", layer->name());
    json.set("inbound_nodes", std::move(nodes));
    list.push(std::move(json));
  }
  config.set("layers", std::move(list));
  config.set("input_layers", tensor_list(*this, inputs));
  config.set("output_layers", tensor_list(*this, outputs));
}

void Network::describe_sequential(Json& config) const {
  Json list{Json::Array()};
  for (const auto& layer : layers) list.push(layer->describe());
  config.set("layers", std::move(list));
  config.set("build_input_shape", shape_to_json(inputs[0].shape()));
}

StatusOr<Network> Network::from_functional(const Json& config) {
  const auto* list = config["layers"].items();
  if (!list || list->size() > kMaxConfigLayers) {
    return invalid_argument("'layers' is no list of at most ", kMaxConfigLayers, " layers");
  }
  ConfigLayers layers;
  std::vector<ConfigLayer*> order;
  for (const Json& json : *list) {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, layer_from_json(json));
    layer->set_name(json.text("name", layer->name()));
    const auto [it, fresh] = layers.try_emplace(layer->name());
    if (!fresh) return invalid_argument("two layers are named '", layer->name(), "'");
    it->second.layer = std::move(layer);
    it->second.pending = json["inbound_nodes"].items();
    if (it->second.layer->class_name() == "InputLayer") {
      it->second.made.push_back(LayerRef(it->second.layer)(std::vector<KTensor>{}));
      TENON_RETURN_IF_ERROR(it->second.made.back().status());
    }
    order.push_back(&it->second);
  }
  for (bool progress = true; progress;) {
    progress = false;
    for (ConfigLayer* layer : order) {
      TENON_ASSIGN_OR_RETURN(const bool made, make_calls(layers, *layer));
      progress |= made;
    }
  }
  for (const ConfigLayer* layer : order) {
    if (layer->pending && layer->done < layer->pending->size()) {
      return invalid_argument("the inputs of layer '", layer->layer->name(),
                              "' are in a loop or not there");
    }
  }
  TENON_ASSIGN_OR_RETURN(std::vector<KTensor> inputs,
                         end_tensors(layers, config["input_layers"], "input_layers"));
  TENON_ASSIGN_OR_RETURN(std::vector<KTensor> outputs,
                         end_tensors(layers, config["output_layers"], "output_layers"));
  return create(std::move(inputs), std::move(outputs));
}

StatusOr<Network> Network::from_sequential(const Json& config) {
  const auto* list = config["layers"].items();
  if (!list || list->size() > kMaxConfigLayers) {
    return invalid_argument("'layers' is no list of at most ", kMaxConfigLayers, " layers");
  }
  std::vector<LayerRef> layers;
  for (const Json& json : *list) {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, layer_from_json(json));
    layers.emplace_back(std::move(layer));
  }
  if (!layers.empty() && layers[0]->class_name() != "InputLayer") {
    TENON_ASSIGN_OR_RETURN(const PartialShape shape, shape_from_json(config["build_input_shape"]));
    if (shape.rank() == 0) return invalid_argument("'build_input_shape' is empty");
    layers.insert(layers.begin(), Input({.shape = PartialShape(shape.dims().subspan(1))}));
  }
  return chain_layers(layers);
}

}  // namespace tenon::keras
