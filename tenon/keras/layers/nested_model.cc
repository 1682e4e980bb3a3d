#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/network.h"

namespace tenon::keras {

namespace {

// A model that another one calls like a layer.
class NestedModel final : public Layer {
 public:
  NestedModel(StatusOr<Network> network, bool sequential)
      : status_(network.status()), sequential_(sequential) {
    if (!network.ok()) return;
    network_ = *std::move(network);
    for (Child& child : network_.file_groups(sequential_)) {
      add_child(child.group, std::move(child.layer));
    }
  }
  std::string_view class_name() const override { return sequential_ ? "Sequential" : "Functional"; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return kParameters;
  }
  bool takes_list() const override { return network_.inputs.size() > 1; }
  Json call_kwargs() const override { return Json::object({{"mask", nullptr}}); }
  size_t calls_within() const override { return 1 + network_.calls_within(); }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(status_);
    if (inputs.size() == network_.inputs.size()) return absl::OkStatus();
    return invalid_argument("the model has ", network_.inputs.size(), " inputs, ", inputs.size(),
                            " were given");
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Value> values;
    for (size_t i = 0; i < network_.inputs.size(); ++i) {
      const PartialShape& wanted = network_.inputs[i].shape();
      const PartialShape found = i < inputs.size() ? g.shape(inputs[i]) : PartialShape();
      if (i >= inputs.size() || !PartialShape::merge(found, wanted).ok()) {
        g.fail(invalid_argument("input ", i, " has shape ", found, ", the model expects ", wanted));
        return {};
      }
      values.emplace_back(g.cast(inputs[i], network_.inputs[i].dtype()), inputs.mask(i));
    }
    return network_.trace(trace, values);
  }
  Json describe() const override {
    return network_.describe_model(name(), sequential_, trainable());
  }

 private:
  Status status_;
  Network network_;
  bool sequential_;
};

}  // namespace

LayerRef NestedFunctional(std::vector<KTensor> inputs, std::vector<KTensor> outputs,
                          std::string_view name) {
  auto layer =
      std::make_shared<NestedModel>(Network::create(std::move(inputs), std::move(outputs)), false);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}

LayerRef NestedSequential(std::vector<LayerRef> layers, std::string_view name) {
  auto layer = std::make_shared<NestedModel>(chain_layers(layers), true);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}

StatusOr<std::shared_ptr<Layer>> layers::nested_model(const Json& json, SharedLayers& shared) {
  const Json& config = json["config"];
  const bool sequential = json["class_name"] == Json("Sequential");
  StatusOr<Network> network = sequential ? Network::from_sequential(config, shared)
                                         : Network::from_functional(config, shared);
  const std::string name = config.text("name");
  if (!network.ok()) return with_context(network.status(), cat("model '", name, "'"));
  auto layer = std::make_shared<NestedModel>(*std::move(network), sequential);
  layer->set_name(name);
  if (config["trainable"] == Json(false)) layer->set_trainable(false);
  return layer;
}

}  // namespace tenon::keras
