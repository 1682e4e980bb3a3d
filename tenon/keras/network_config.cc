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

// A call in the config: of which layer, and which of its calls.
struct CallPlace {
  struct ConfigLayer* layer = nullptr;
  size_t call = 0;
};

// A call that is yet to be made: its inputs, and how many calls must come before it.
struct PendingCall {
  std::vector<CallPlace> inputs;
  size_t waits_for = 0;
  std::vector<CallPlace> followers;  // calls that wait for this one
};

// A layer of the config, its calls, and the tensors that those made so far have given.
struct ConfigLayer {
  std::shared_ptr<Layer> layer;
  std::vector<PendingCall> calls;
  std::vector<KTensor> made;
};
using ConfigLayers = std::map<std::string, ConfigLayer, std::less<>>;

// ["name", call, output].
StatusOr<CallPlace> find_call(ConfigLayers& layers, const Json& history) {
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
  const auto calls = static_cast<int64_t>(it->second.calls.size());
  if (call < 0 || call >= calls) {
    return invalid_argument("call ", call, " of layer '", it->first,
                            "' is referred to; the layer is called ", calls, " times");
  }
  return CallPlace{&it->second, static_cast<size_t>(call)};
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

// The inputs of a call. Keras 2 wrote a list of references, Keras 3 writes {"args": ...,
// "kwargs": ...}.
StatusOr<std::vector<CallPlace>> call_inputs(ConfigLayers& layers, const Json& node) {
  std::vector<const Json*> histories;
  if (node.items()) {
    for (const Json& reference : *node.items()) histories.push_back(&reference);
  } else {
    collect_histories(node["args"], histories);
    collect_histories(node["kwargs"], histories);
  }
  if (histories.empty()) {
    return invalid_argument("a call without inputs: ", node.dump().substr(0, 200));
  }
  std::vector<CallPlace> inputs;
  for (const Json* history : histories) {
    TENON_ASSIGN_OR_RETURN(const CallPlace place, find_call(layers, *history));
    inputs.push_back(place);
  }
  return inputs;
}

// Notes what each call of a layer waits for: its inputs, and the layer's call before it.
Status plan_calls(ConfigLayers& layers, ConfigLayer& layer, const Json::Array& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    PendingCall& call = layer.calls[i];
    TENON_ASSIGN_OR_RETURN(call.inputs, call_inputs(layers, nodes[i]));
    call.waits_for = call.inputs.size() + (i > 0 ? 1 : 0);
    for (const CallPlace& input : call.inputs) {
      input.layer->calls[input.call].followers.push_back({&layer, i});
    }
    if (i > 0) layer.calls[i - 1].followers.push_back({&layer, i});
  }
  return absl::OkStatus();
}

// Makes every call once those that it waits for are made, in time linear in their number.
Status make_calls(std::vector<CallPlace> ready) {
  for (size_t next = 0; next < ready.size(); ++next) {
    const auto [layer, index] = ready[next];
    PendingCall& call = layer->calls[index];
    std::vector<KTensor> inputs;
    for (const CallPlace& input : call.inputs) inputs.push_back(input.layer->made[input.call]);
    layer->made.push_back(LayerRef(layer->layer)(std::move(inputs)));
    TENON_RETURN_IF_ERROR(layer->made.back().status());
    for (const CallPlace& follower : call.followers) {
      if (--follower.layer->calls[follower.call].waits_for == 0) ready.push_back(follower);
    }
  }
  return absl::OkStatus();
}

StatusOr<std::vector<KTensor>> end_tensors(ConfigLayers& layers, const Json& list,
                                           std::string_view what) {
  std::vector<KTensor> tensors;
  const auto* items = list.items();
  if (!items || items->empty()) return invalid_argument("'", what, "' is no list of layers");
  const bool single = (*items)[0].string() != nullptr;
  for (const Json& reference : *items) {
    TENON_ASSIGN_OR_RETURN(const CallPlace place, find_call(layers, single ? list : reference));
    tensors.push_back(place.layer->made[place.call]);
    if (single) break;
  }
  return tensors;
}

}  // namespace

void Network::describe(Json& config) const {
  Json list{Json::Array()};
  std::map<const Layer*, std::vector<const Call*>> calls_of;
  for (const auto& call : calls) calls_of[call->layer.get()].push_back(call.get());
  for (const auto& layer : layers) {
    Json json = layer->describe();
    Json nodes{Json::Array()};
    for (const Call* call : calls_of[layer.get()]) {
      if (call->inputs.empty()) continue;
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
  static const Json::Array kNoNodes;
  ConfigLayers layers;
  std::vector<std::pair<ConfigLayer*, const Json::Array*>> order;
  size_t calls = 0;
  for (const Json& json : *list) {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, layer_from_json(json));
    layer->set_name(json.text("name", layer->name()));
    const auto [it, fresh] = layers.try_emplace(layer->name());
    if (!fresh) return invalid_argument("two layers are named '", layer->name(), "'");
    const bool is_input = layer->class_name() == "InputLayer";
    const auto* nodes = is_input ? nullptr : json["inbound_nodes"].items();
    it->second.layer = std::move(layer);
    it->second.calls.resize(is_input ? 1 : nodes ? nodes->size() : 0);
    calls += it->second.calls.size();
    if (calls > kMaxCalls) return invalid_argument("more than ", kMaxCalls, " layer calls");
    order.emplace_back(&it->second, nodes ? nodes : &kNoNodes);
  }
  std::vector<CallPlace> ready;
  for (const auto& [layer, nodes] : order) {
    TENON_RETURN_IF_ERROR(plan_calls(layers, *layer, *nodes));
    if (layer->layer->class_name() == "InputLayer") ready.push_back({layer, 0});
  }
  TENON_RETURN_IF_ERROR(make_calls(std::move(ready)));
  for (const auto& [layer, nodes] : order) {
    if (layer->made.size() < layer->calls.size()) {
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
