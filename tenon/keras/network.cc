#include "tenon/keras/network.h"

#include <set>
#include <unordered_map>

namespace tenon::keras {

namespace {

using CallPtr = std::shared_ptr<const Call>;

// Calls from inputs to outputs in depth-first order, and when each layer was first met.
class CallSorter {
 public:
  std::vector<CallPtr> calls;
  std::unordered_map<const Layer*, int> first_met;

  // Takes no stack, however long the chain of calls is.
  Status visit(const CallPtr& call) {
    TENON_RETURN_IF_ERROR(enter(call));
    while (!open_.empty()) {
      auto& [at, next] = open_.back();
      if (next == at->inputs.size()) {
        calls.push_back(at);
        open_.pop_back();
        continue;
      }
      const KTensor& input = at->inputs[next++];
      TENON_RETURN_IF_ERROR(input.status());
      TENON_RETURN_IF_ERROR(enter(input.call()));
    }
    return absl::OkStatus();
  }

 private:
  Status enter(const CallPtr& call) {
    TENON_RETURN_IF_ERROR(call->status);
    if (!done_.insert(call.get()).second) return absl::OkStatus();
    if (done_.size() > kMaxCalls) return invalid_argument("more than ", kMaxCalls, " layer calls");
    first_met.try_emplace(call->layer.get(), static_cast<int>(first_met.size()));
    open_.emplace_back(call, size_t{0});
    return absl::OkStatus();
  }

  std::set<const Call*> done_;
  std::vector<std::pair<CallPtr, size_t>> open_;  // a call, and its input that comes next
};

void name_layers(const std::vector<std::shared_ptr<Layer>>& layers) {
  std::vector<Layer*> by_age;
  std::set<std::string> taken;
  for (const auto& layer : layers) {
    by_age.push_back(layer.get());
    taken.insert(layer->name());
  }
  std::sort(by_age.begin(), by_age.end(),
            [](const Layer* a, const Layer* b) { return a->serial() < b->serial(); });
  std::map<std::string, int> counts;
  for (Layer* layer : by_age) {
    if (!layer->name().empty()) continue;
    const std::string base = to_snake_case(layer->class_name());
    std::string name;
    do {
      const int count = counts[base]++;
      name = count == 0 ? base : cat(base, "_", count);
    } while (!taken.insert(name).second);
    layer->set_name(name);
  }
}

bool chain_like(const std::vector<CallPtr>& calls, size_t layers,
                const std::map<int, int>& calls_at_depth) {
  if (calls.size() != layers) return false;
  for (const auto& [depth, count] : calls_at_depth) {
    if (count > 1) return false;
  }
  return std::all_of(calls.begin(), calls.end(),
                     [](const CallPtr& call) { return call->inputs.size() <= 1; });
}

}  // namespace

StatusOr<Network> Network::create(std::vector<KTensor> inputs, std::vector<KTensor> outputs) {
  if (inputs.empty() || outputs.empty()) {
    return invalid_argument("a model needs an input and an output");
  }
  CallSorter sorter;
  for (const KTensor& output : outputs) {
    TENON_RETURN_IF_ERROR(output.status());
    TENON_RETURN_IF_ERROR(sorter.visit(output.call()));
  }
  std::unordered_map<const Call*, int> call_depth;
  std::unordered_map<Layer*, int> layer_depth;
  std::vector<CallPtr> as_reached;
  const auto reach = [&](const CallPtr& call, int depth) {
    const auto [it, fresh] = call_depth.try_emplace(call.get(), depth);
    if (fresh) as_reached.push_back(call);
    return it->second = std::max(it->second, depth);
  };
  for (auto it = sorter.calls.rbegin(); it != sorter.calls.rend(); ++it) {
    Layer* layer = (*it)->layer.get();
    const int depth = reach(*it, layer_depth[layer]);
    layer_depth[layer] = depth;
    for (const KTensor& input : (*it)->inputs) reach(input.call(), depth + 1);
  }
  Network network;
  std::set<const Call*> known;
  std::map<std::string, const Layer*> names;
  for (const KTensor& input : inputs) {
    TENON_RETURN_IF_ERROR(input.status());
    if (!input.call()->inputs.empty()) {
      return invalid_argument("an input of a model must come from Input(), not from ",
                              input.layer().who());
    }
    known.insert(input.call().get());
    if (sorter.first_met.try_emplace(input.call()->layer.get(), -1).second) {
      sorter.calls.push_back(input.call());
      reach(input.call(), 0);
    }
  }
  std::map<int, int> calls_at_depth;
  std::set<const Layer*> listed;
  for (const CallPtr& call : sorter.calls) {
    ++calls_at_depth[call_depth[call.get()]];
    if (listed.insert(call->layer.get()).second) network.layers.push_back(call->layer);
  }
  std::stable_sort(network.layers.begin(), network.layers.end(), [&](const auto& a, const auto& b) {
    const int depth_a = layer_depth[a.get()], depth_b = layer_depth[b.get()];
    if (depth_a != depth_b) return depth_a > depth_b;
    return sorter.first_met[a.get()] < sorter.first_met[b.get()];
  });
  name_layers(network.layers);
  for (const CallPtr& call : sorter.calls) {
    if (call->inputs.empty() && !known.count(call.get())) {
      return invalid_argument("the outputs depend on input '", call->layer->name(),
                              "', which is not among the model's inputs");
    }
  }
  for (const auto& layer : network.layers) {
    if (!names.try_emplace(layer->name(), layer.get()).second) {
      return invalid_argument("the name '", layer->name(),
                              "' is used twice in the model; names of layers must differ");
    }
    layer->set_paths("");
  }
  network.is_chain = chain_like(sorter.calls, network.layers.size(), calls_at_depth);
  // What a layer assigns and which masks are taken away depends on who runs first: Keras goes by
  // depth, and on one depth by when its walk reached a call.
  std::stable_sort(as_reached.begin(), as_reached.end(), [&](const auto& a, const auto& b) {
    return call_depth[a.get()] > call_depth[b.get()];
  });
  network.calls = std::move(as_reached);
  network.inputs = std::move(inputs);
  network.outputs = std::move(outputs);
  if (network.calls_within() > kMaxCalls) {
    return invalid_argument("more than ", kMaxCalls, " layer calls");
  }
  for (const auto& layer : network.layers) layer->add_holder();
  return network;
}

Outputs Network::trace(Trace& trace, std::span<const Value> values) const {
  std::unordered_map<const Call*, Outputs> made;
  for (size_t i = 0; i < inputs.size(); ++i) {
    static_cast<std::vector<Value>&>(made[inputs[i].call().get()]) = {values[i]};
  }
  std::vector<Value> args;
  Outputs results;
  results.resize(outputs.size());
  for (const CallPtr& call : calls) {
    if (call->inputs.empty()) continue;
    args.clear();
    for (const KTensor& input : call->inputs)
      args.push_back(made[input.call().get()][input.index()]);
    Outputs out = call->layer->apply(
        trace, Arguments(arguments_of<Value>(*call, std::span<const Value>(args))));
    if (!trace.build().status().ok()) return results;
    if (call->layer->takes_masks_away()) {
      for (const KTensor& input : call->inputs) made[input.call().get()][input.index()].mask = {};
    }
    made[call.get()] = std::move(out);
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    results[i] = made[outputs[i].call().get()][outputs[i].index()];
  }
  return results;
}

namespace {

// The names of `tensors`: the keys of `form` where it is an object of tensors, else their layers'.
std::vector<std::string> names_of(const std::vector<KTensor>& tensors, const Json& form) {
  std::vector<std::string> names;
  for (const KTensor& tensor : tensors) names.push_back(tensor.layer().name());
  if (!form.members() || form.members()->size() != tensors.size()) return names;
  names.clear();
  for (const auto& [name, leaf] : *form.members()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::vector<std::string> Network::input_names() const { return names_of(inputs, input_form); }
std::vector<std::string> Network::output_names() const { return names_of(outputs, output_form); }

std::vector<std::shared_ptr<Layer>> Network::own_layers() const {
  std::vector<std::shared_ptr<Layer>> own;
  for (const auto& layer : layers) {
    if (!layer->is_operation()) own.push_back(layer);
  }
  return own;
}

size_t Network::calls_within() const {
  size_t count = 0;
  for (const CallPtr& call : calls) count += call->layer->calls_within();
  return count;
}

int Network::call_index(const Call& call) const {
  int index = 0;
  for (const CallPtr& other : calls) {
    if (other.get() == &call) return index;
    index += other->layer == call.layer;
  }
  return index;
}

std::vector<Layer::Child> Network::file_groups(bool sequential) const {
  std::map<std::string, int> counts;
  std::vector<Layer::Child> groups;
  for (const auto& layer : own_layers()) {
    if (sequential && layer->class_name() == "InputLayer") continue;
    // Keras exports this one class under another name than its own, by which files call it.
    const bool grouped = layer->class_name() == "GroupQueryAttention";
    const std::string base =
        grouped ? "grouped_query_attention" : to_snake_case(layer->class_name());
    const int count = counts[base]++;
    groups.push_back({cat("layers/", base, count == 0 ? "" : cat("_", count)), layer});
  }
  return groups;
}

Json Network::describe_model(std::string_view name, bool sequential, bool trainable) const {
  Json config = Json::object({{"name", name}, {"trainable", trainable}});
  if (sequential) {
    config.set("dtype", DTypePolicy().describe());
    describe_sequential(config);
  } else {
    describe(config);
  }
  const Json input_shape = sequential ? shape_to_json(inputs[0].shape()) : Json();
  return Json::object({{"module", sequential ? "keras" : "keras.src.models.functional"},
                       {"class_name", sequential ? "Sequential" : "Functional"},
                       {"config", std::move(config)},
                       {"registered_name", sequential ? Json() : Json("Functional")},
                       {"build_config", Json::object({{"input_shape", input_shape}})}});
}

StatusOr<Network> chain_layers(std::span<const LayerRef> layers) {
  std::optional<KTensor> input;
  KTensor last;
  for (const LayerRef& layer : layers) {
    const bool is_input = layer->class_name() == "InputLayer";
    if (is_input == input.has_value()) {
      return invalid_argument("a sequential model starts with one Input and goes on with layers");
    }
    last = is_input ? layer(std::vector<KTensor>{}) : layer(last);
    if (is_input) input = last;
  }
  if (!input) return invalid_argument("a sequential model needs layers");
  return Network::create({*input}, {last});
}

}  // namespace tenon::keras
