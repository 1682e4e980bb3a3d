#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/layers/recurrent.h"

namespace tenon::keras {

namespace {

// A recurrent layer that goes over the steps both ways.
class BidirectionalLayer final : public Layer {
 public:
  BidirectionalLayer() = default;
  BidirectionalLayer(const Layer& layer, std::optional<std::string> merge_mode)
      : merge_mode_(merge_mode ? Json(*merge_mode) : Json()) {
    Json json = layer.describe();
    read_config(*this, Json::object({{"layer", std::move(json)}}), "").IgnoreError();
  }
  std::string_view class_name() const override { return "Bidirectional"; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"sequences", "initial_state", "mask"};
    return kParameters;
  }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("merge_mode", merge_mode_);
    const bool fresh = !forward_;
    std::shared_ptr<Layer> forward = forward_, backward = backward_;
    f.layer("layer", forward);
    f.layer("backward_layer", backward);
    if (fresh && forward) status_ = set_layers(*forward, backward);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(status_);
    if (!forward_) return invalid_argument("'layer' is missing");
    for (const char* mode : {"concat", "sum", "mul", "ave"}) {
      if (merge_mode_ == Json(mode)) merges_ = true;
    }
    if (!merges_ && !merge_mode_.is_null()) {
      return invalid_argument("merge_mode is ", merge_mode_.dump(),
                              ", expected \"concat\", \"sum\", \"mul\", \"ave\" or null");
    }
    const RecurrentLayer &f = *forward_, &b = *backward_;
    if (f.loop().go_backwards == b.loop().go_backwards) {
      return invalid_argument("both layers go over the steps the same way");
    }
    if (f.stateful() != b.stateful() || f.returns_state() != b.returns_state() ||
        f.loop().return_sequences != b.loop().return_sequences) {
      return invalid_argument(
          "stateful, return_sequences and return_state must be the same for both layers");
    }
    const Shapes sequences(std::vector<PartialShape>{inputs[0]});
    for (const auto& layer : {forward_, backward_}) {
      const Status status = layer->ensure_built(sequences);
      if (!status.ok()) return with_context(status, layer->who());
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const std::span<const Value> states = inputs.of("initial_state");
    if (states.size() % 2 != 0) {
      g.fail(invalid_argument("initial_state has ", states.size(),
                              " tensors, expected an even "
                              "number: half for each direction"));
      return {};
    }
    const auto run = [&](RecurrentLayer& layer, std::span<const Value> own) {
      Arguments arguments;
      arguments.add("sequences", {Value(inputs[0])});
      if (inputs.mask(0)) arguments.add("mask", {Value(inputs.mask(0))});
      if (!own.empty()) arguments.add("initial_state", {own.begin(), own.end()});
      return layer.apply(trace, std::move(arguments));
    };
    const Outputs f = run(*forward_, states.first(states.size() / 2));
    const Outputs b = run(*backward_, states.subspan(states.size() / 2));
    if (!g.status().ok()) return {};
    const bool sequences = forward_->loop().return_sequences;
    const Endpoint y = f[0].tensor;
    Endpoint z = b[0].tensor;
    if (sequences) z = g.op("ReverseV2", {z, g.integers({1})});
    Outputs outputs;
    if (merges_) {
      outputs.emplace_back(merge(g, y, z));
    } else {
      outputs.emplace_back(y);
      outputs.emplace_back(z);
    }
    for (const Outputs* each : {&f, &b}) {
      outputs.insert(outputs.end(), each->begin() + 1, each->end());
    }
    return outputs;
  }
  void output_masks(Trace&, const Arguments& inputs, Outputs& outputs) const override {
    if (!forward_->loop().return_sequences) return;
    for (size_t i = 0; i < (merges_ ? 1u : 2u); ++i) outputs[i].mask = inputs.mask(0);
  }

 private:
  Endpoint merge(GraphBuilder& g, Endpoint y, Endpoint z) const {
    if (merge_mode_ == Json("sum")) return g.add(y, z);
    if (merge_mode_ == Json("mul")) return g.mul(y, z);
    if (merge_mode_ == Json("ave")) return g.div(g.add(y, z), g.scalar_of(g.dtype(y), 2));
    return g.concat({y, z}, -1);
  }

  // Keras names copies of the layers "forward_lstm" and "backward_lstm".
  Status set_layers(const Layer& forward, std::shared_ptr<Layer> backward) {
    const auto copy = [](Json json, std::string_view prefix,
                         bool turn) -> StatusOr<std::shared_ptr<Layer>> {
      Json config = json["config"];
      std::string name = config.text("name");
      if (name.empty()) name = to_snake_case(json.text("class_name"));
      if (!name.starts_with(prefix)) name = cat(prefix, name);
      config.set("name", name);
      if (turn) config.set("go_backwards", !(config["go_backwards"] == Json(true)));
      json.set("config", std::move(config));
      return layer_from_json(json);
    };
    const Json described = forward.describe();
    TENON_ASSIGN_OR_RETURN(const std::shared_ptr<Layer> ahead, copy(described, "forward_", false));
    if (!backward) {
      TENON_ASSIGN_OR_RETURN(backward, copy(described, "backward_", true));
    }
    forward_ = std::dynamic_pointer_cast<RecurrentLayer>(ahead);
    backward_ = std::dynamic_pointer_cast<RecurrentLayer>(backward);
    if (!forward_ || !backward_) {
      return unimplemented((forward_ ? backward : ahead)->who(),
                           " within Bidirectional is not implemented; RNN, LSTM, GRU and "
                           "SimpleRNN are");
    }
    for (const auto& layer : {forward_, backward_}) {
      layer->set_zero_output_for_mask(layer->loop().return_sequences);
    }
    add_child("forward_layer", forward_);
    add_child("backward_layer", backward_);
    return absl::OkStatus();
  }

  std::shared_ptr<RecurrentLayer> forward_, backward_;
  Json merge_mode_ = "concat";
  bool merges_ = false;
  Status status_;
};

}  // namespace

LayerRef Bidirectional(const LayerRef& layer, std::optional<std::string> merge_mode,
                       std::string_view name) {
  auto made = std::make_shared<BidirectionalLayer>(*layer, std::move(merge_mode));
  made->set_name(name);
  return LayerRef(std::move(made));
}
std::shared_ptr<Layer> layers::make_bidirectional() {
  return std::make_shared<BidirectionalLayer>();
}

}  // namespace tenon::keras
