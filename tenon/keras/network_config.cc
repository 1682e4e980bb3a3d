#include <map>

#include "tenon/keras/network.h"

namespace tenon::keras {

namespace {

constexpr size_t kMaxConfigLayers = 10000;

Json history_of(const Network& network, const KTensor& tensor) {
  return Json::Array{tensor.layer().name(), network.call_index(*tensor.call()),
                     static_cast<int64_t>(tensor.index())};
}

Json tensor_json(const Network& network, const KTensor& tensor) {
  return Json::object({{"class_name", "__keras_tensor__"},
                       {"config", Json::object({{"shape", shape_to_json(tensor.shape())},
                                                {"dtype", std::string(info(tensor.dtype()).name)},
                                                {"keras_history", history_of(network, tensor)}})}});
}

// `form` with what `tensor` gives in place of each `true`.
Json fill_form(const Json& form, const std::function<Json()>& tensor) {
  if (form.items()) {
    Json::Array items;
    for (const Json& item : *form.items()) items.push_back(fill_form(item, tensor));
    return Json(std::move(items));
  }
  if (const auto* members = form.members()) {
    // In the order in which for_each_leaf() goes over them, so that each gets its own tensor.
    std::map<std::string_view, Json> filled;
    for (const auto& [name, value] : *members) filled[name] = value;
    for (auto& [name, value] : filled) value = fill_form(value, tensor);
    Json json = Json::object();
    for (const auto& [name, value] : *members) json.append(name, filled[name]);
    return json;
  }
  return form == Json(true) ? tensor() : form;
}

Json call_json(const Network& network, const Call& call) {
  size_t next = 0;
  const auto tensor = [&] { return tensor_json(network, call.inputs[next++]); };
  Json args{Json::Array()}, kwargs = Json::object();
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const Call::Argument& argument = call.arguments[i];
    Json value = argument.has_tensors ? fill_form(argument.form, tensor) : argument.form;
    if (i < call.positional) {
      args.push(std::move(value));
    } else {
      kwargs.set(argument.name, std::move(value));
    }
  }
  return Json::object({{"args", std::move(args)}, {"kwargs", std::move(kwargs)}});
}

// Keras counts a call more of functional models among "input_layers" and "output_layers", and there
// alone: that of their own inputs.
int64_t calls_before(const Layer& layer) { return layer.class_name() == "Functional" ? 1 : 0; }

Json tensor_list(const Network& network, const std::vector<KTensor>& tensors, const Json& form) {
  const auto reference = [&](const KTensor& tensor) -> Json {
    return Json::Array{tensor.layer().name(),
                       network.call_index(*tensor.call()) + calls_before(tensor.layer()),
                       static_cast<int64_t>(tensor.index())};
  };
  size_t next = 0;
  if (!form.is_null()) return fill_form(form, [&] { return reference(tensors[next++]); });
  Json list{Json::Array()};
  for (const KTensor& tensor : tensors) list.push(reference(tensor));
  return tensors.size() == 1 ? Json((*list.items())[0]) : list;
}

// An output of a call in the config: of which layer, which of its calls, which output.
struct CallPlace {
  struct ConfigLayer* layer = nullptr;
  size_t call = 0;
  size_t output = 0;
};

// A call that is yet to be made: its inputs, and how many calls must come before it.
struct PendingCall {
  std::vector<CallPlace> inputs;
  std::vector<Call::Argument> arguments;
  size_t positional = 0;
  size_t waits_for = 0;
  std::vector<CallPlace> followers;  // calls that wait for this one
};

// A layer of the config, its calls, and the first outputs of those made so far.
struct ConfigLayer {
  std::shared_ptr<Layer> layer;
  std::vector<PendingCall> calls;
  std::vector<KTensor> made;
};
using ConfigLayers = std::map<std::string, ConfigLayer, std::less<>>;

// ["name", call, output].
StatusOr<CallPlace> find_call(ConfigLayers& layers, const Json& history) {
  const auto* items = history.items();
  const auto index = [&](size_t i) { return (*items)[i].integer() ? *(*items)[i].integer() : -1; };
  if (!items || items->size() < 3 || !(*items)[0].string() || index(1) < 0 || index(2) < 0) {
    return invalid_argument("not a reference to a layer's output: ", history.dump());
  }
  const auto it = layers.find(*(*items)[0].string());
  if (it == layers.end()) {
    return invalid_argument("layer '", *(*items)[0].string(), "' is referred to and not there");
  }
  const auto calls = static_cast<int64_t>(it->second.calls.size());
  if (index(1) >= calls) {
    return invalid_argument("call ", index(1), " of layer '", it->first,
                            "' is referred to; the layer is called ", calls, " times");
  }
  return CallPlace{&it->second, static_cast<size_t>(index(1)), static_cast<size_t>(index(2))};
}

// An argument's JSON with `true` for each tensor, whose references go to `histories`, in the order
// of for_each_leaf().
Json form_of(const Json& json, std::vector<const Json*>& histories) {
  if (const Json* history = json["config"].find("keras_history")) {
    histories.push_back(history);
    return true;
  }
  if (json.items()) {
    Json::Array items;
    for (const Json& item : *json.items()) items.push_back(form_of(item, histories));
    return Json(std::move(items));
  }
  if (const auto* members = json.members()) {
    std::map<std::string_view, Json> forms;
    for (const auto& [name, value] : *members) forms[name] = value;
    for (auto& [name, value] : forms) value = form_of(value, histories);
    Json form = Json::object();
    for (const auto& [name, value] : *members) form.append(name, forms[name]);
    return form;
  }
  return json;
}

// Adds one argument to a call. `true` among tensors would be taken for one.
Status add_argument(ConfigLayers& layers, const Layer& layer, std::string_view name,
                    const Json& json, PendingCall& call) {
  std::vector<const Json*> histories;
  Json form = form_of(json, histories);
  for (const Json* history : histories) {
    TENON_ASSIGN_OR_RETURN(const CallPlace place, find_call(layers, *history));
    call.inputs.push_back(place);
  }
  size_t leaves = 0;
  for_each_leaf(form, [&](const Json& leaf) { leaves += leaf == Json(true); });
  if (!histories.empty() && leaves != histories.size()) {
    return invalid_argument(layer.who(), ": argument '", name, "' mixes tensors and values");
  }
  const auto names = layer.parameters();
  const bool known =
      name == "training" || std::find(names.begin(), names.end(), name) != names.end();
  if (!known && !json.is_null() && !(json == Json(false))) {
    return unimplemented(layer.who(), ": argument '", name, "' of its call (",
                         json.dump().substr(0, 100), ") is not implemented");
  }
  call.arguments.push_back({std::string(name), !histories.empty(), std::move(form)});
  return absl::OkStatus();
}

// Puts argument `index` before the others, with its tensors.
void bring_to_front(PendingCall& call, size_t index) {
  size_t before = 0, own = 0;
  for (size_t i = 0; i <= index; ++i) {
    size_t tensors = 0;
    for_each_leaf(call.arguments[i].form, [&](const Json& leaf) { tensors += leaf == Json(true); });
    if (!call.arguments[i].has_tensors) tensors = 0;
    (i < index ? before : own) += tensors;
  }
  const auto at = [](auto& list, size_t i) {
    return list.begin() + static_cast<std::ptrdiff_t>(i);
  };
  std::rotate(call.inputs.begin(), at(call.inputs, before), at(call.inputs, before + own));
  std::rotate(call.arguments.begin(), at(call.arguments, index), at(call.arguments, index + 1));
}

// What a call is given. Keras 2 wrote a list of references, Keras 3 writes {"args": ...,
// "kwargs": ...}.
Status read_call(ConfigLayers& layers, const Layer& layer, const Json& node, PendingCall& call) {
  const auto names = layer.parameters();
  if (const auto* references = node.items()) {
    Json::Array form;
    for (const Json& reference : *references) {
      TENON_ASSIGN_OR_RETURN(const CallPlace place, find_call(layers, reference));
      call.inputs.push_back(place);
      form.emplace_back(true);
    }
    Json one = form.size() == 1 && !layer.takes_list() ? Json(true) : Json(std::move(form));
    call.arguments.push_back({std::string(names[0]), true, std::move(one)});
  } else {
    const Json::Array none;
    const Json::Array& args = node["args"].items() ? *node["args"].items() : none;
    for (size_t i = 0; i < args.size(); ++i) {
      const std::string name = i < names.size() ? std::string(names[i]) : cat("args[", i, "]");
      TENON_RETURN_IF_ERROR(add_argument(layers, layer, name, args[i], call));
    }
    call.positional = args.size();
    for (const auto& [name, value] :
         node["kwargs"].members() ? *node["kwargs"].members() : Json::Object()) {
      TENON_RETURN_IF_ERROR(add_argument(layers, layer, name, value, call));
    }
    // Everybody's first argument is the one that is worked on, however it was written.
    const auto first = std::find_if(call.arguments.begin(), call.arguments.end(),
                                    [&](const auto& each) { return each.name == names[0]; });
    if (first == call.arguments.end() || (first != call.arguments.begin() && call.positional > 0)) {
      return invalid_argument(layer.who(), " is called without '", names[0],
                              "': ", node.dump().substr(0, 200));
    }
    bring_to_front(call, static_cast<size_t>(first - call.arguments.begin()));
  }
  if (call.inputs.empty()) {
    return invalid_argument("a call without inputs: ", node.dump().substr(0, 200));
  }
  return absl::OkStatus();
}

// Notes what each call of a layer waits for: its inputs, and the layer's call before it.
Status plan_calls(ConfigLayers& layers, ConfigLayer& layer, const Json::Array& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    PendingCall& call = layer.calls[i];
    TENON_RETURN_IF_ERROR(read_call(layers, *layer.layer, nodes[i], call));
    call.waits_for = call.inputs.size() + (i > 0 ? 1 : 0);
    for (const CallPlace& input : call.inputs) {
      input.layer->calls[input.call].followers.push_back({&layer, i, 0});
    }
    if (i > 0) layer.calls[i - 1].followers.push_back({&layer, i, 0});
  }
  return absl::OkStatus();
}

// Makes every call once those that it waits for are made, in time linear in their number.
Status make_calls(std::vector<CallPlace> ready) {
  for (size_t next = 0; next < ready.size(); ++next) {
    const auto [layer, index, output] = ready[next];
    PendingCall& call = layer->calls[index];
    std::vector<KTensor> inputs;
    for (const CallPlace& input : call.inputs) {
      inputs.push_back(input.layer->made[input.call].output(input.output));
    }
    const LayerRef ref(layer->layer);
    layer->made.push_back(call.arguments.empty()
                              ? ref(std::vector<KTensor>{})
                              : ref.call(std::move(inputs), call.arguments, call.positional));
    TENON_RETURN_IF_ERROR(layer->made.back().status());
    for (const CallPlace& follower : call.followers) {
      if (--follower.layer->calls[follower.call].waits_for == 0) ready.push_back(follower);
    }
  }
  return absl::OkStatus();
}

// [name, call, output] is one reference; so is what stands within lists and objects.
bool is_reference(const Json& json) {
  const auto* items = json.items();
  return items && items->size() == 3 && (*items)[0].string() && (*items)[1].integer();
}

// The tensors that lists and objects of references name, and their form.
Status end_tensors(ConfigLayers& layers, const Json& json, std::vector<KTensor>& tensors,
                   Json& form) {
  if (is_reference(json)) {
    Json::Array reference = *json.items();
    const int64_t call = *reference[1].integer();
    const auto it = layers.find(*reference[0].string());
    const int64_t before = it == layers.end() ? 0 : calls_before(*it->second.layer);
    if (call >= before) reference[1] = Json(call - before);
    TENON_ASSIGN_OR_RETURN(const CallPlace place, find_call(layers, Json(std::move(reference))));
    tensors.push_back(place.layer->made[place.call].output(place.output));
    form = true;
    return tensors.back().status();
  }
  if (json.items()) {
    Json::Array forms;
    for (const Json& item : *json.items()) {
      TENON_RETURN_IF_ERROR(end_tensors(layers, item, tensors, forms.emplace_back()));
    }
    form = Json(std::move(forms));
    return absl::OkStatus();
  }
  if (!json.members()) return invalid_argument("not a reference to a tensor: ", json.dump());
  std::map<std::string, Json> forms;
  for (const auto& [name, value] : *json.members()) forms[name] = value;
  for (auto& [name, value] : forms) {
    const Json references = value;
    TENON_RETURN_IF_ERROR(end_tensors(layers, references, tensors, value));
  }
  form = Json::object();
  for (const auto& [name, value] : *json.members()) form.set(name, forms[name]);
  return absl::OkStatus();
}

StatusOr<std::vector<KTensor>> end_tensors(ConfigLayers& layers, const Json& json,
                                           std::string_view what, Json& form) {
  std::vector<KTensor> tensors;
  const Status status = end_tensors(layers, json, tensors, form);
  if (!status.ok()) return with_context(status, cat("'", what, "'"));
  if (tensors.empty()) return invalid_argument("'", what, "' is no list of layers");
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
      nodes.push(call_json(*this, *call));
    }
    json.set("name", layer->name());
    json.set("inbound_nodes", std::move(nodes));
    list.push(std::move(json));
  }
  config.set("layers", std::move(list));
  config.set("input_layers", tensor_list(*this, inputs, input_form));
  config.set("output_layers", tensor_list(*this, outputs, output_form));
}

void Network::describe_sequential(Json& config) const {
  Json list{Json::Array()};
  for (const auto& layer : own_layers()) list.push(layer->describe());
  config.set("layers", std::move(list));
  config.set("build_input_shape", shape_to_json(inputs[0].shape()));
}

StatusOr<Network> Network::from_functional(const Json& config, SharedLayers& shared) {
  const auto* list = config["layers"].items();
  if (!list || list->size() > kMaxConfigLayers) {
    return invalid_argument("'layers' is no list of at most ", kMaxConfigLayers, " layers");
  }
  static const Json::Array kNoNodes;
  ConfigLayers layers;
  std::vector<std::pair<ConfigLayer*, const Json::Array*>> order;
  size_t calls = 0;
  for (const Json& json : *list) {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, layer_from_json(json, shared));
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
    if (layer->layer->class_name() == "InputLayer") ready.push_back({layer, 0, 0});
  }
  TENON_RETURN_IF_ERROR(make_calls(std::move(ready)));
  for (const auto& [layer, nodes] : order) {
    if (layer->made.size() < layer->calls.size()) {
      return invalid_argument("the inputs of layer '", layer->layer->name(),
                              "' are in a loop or not there");
    }
  }
  Json input_form, output_form;
  TENON_ASSIGN_OR_RETURN(std::vector<KTensor> inputs,
                         end_tensors(layers, config["input_layers"], "input_layers", input_form));
  TENON_ASSIGN_OR_RETURN(std::vector<KTensor> outputs, end_tensors(layers, config["output_layers"],
                                                                   "output_layers", output_form));
  TENON_ASSIGN_OR_RETURN(Network network, create(std::move(inputs), std::move(outputs)));
  network.input_form = std::move(input_form);
  network.output_form = std::move(output_form);
  return network;
}

StatusOr<Network> Network::from_sequential(const Json& config, SharedLayers& shared) {
  const auto* list = config["layers"].items();
  if (!list || list->size() > kMaxConfigLayers) {
    return invalid_argument("'layers' is no list of at most ", kMaxConfigLayers, " layers");
  }
  std::vector<LayerRef> layers;
  for (const Json& json : *list) {
    TENON_ASSIGN_OR_RETURN(std::shared_ptr<Layer> layer, layer_from_json(json, shared));
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
