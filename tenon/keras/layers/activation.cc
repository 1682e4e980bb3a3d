#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(std::string_view activation) : activation_(activation) {}
  std::string_view class_name() const override { return "Activation"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.activation("activation", activation_); }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    return activate(trace.build(), activation_, inputs[0]);
  }

 private:
  std::string activation_;
};

class ReLULayer final : public Layer {
 public:
  explicit ReLULayer(ReLUOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "ReLU"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("max_value", o_.max_value);
    f.field("negative_slope", o_.negative_slope);
    f.field("threshold", o_.threshold);
  }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    GraphBuilder& g = trace.build();
    if (o_.threshold != 0) {
      g.fail(unimplemented("ReLU with threshold ", o_.threshold, " is not implemented; 0 is"));
    }
    if (o_.max_value == 6.0 && o_.negative_slope == 0) return g.op("Relu6", {inputs[0]});
    Endpoint y = o_.negative_slope == 0 ? g.op("Relu", {inputs[0]})
                                        : g.op("LeakyRelu", {inputs[0]},
                                               {{"alpha", static_cast<float>(o_.negative_slope)}});
    if (o_.max_value) y = g.op("Minimum", {y, g.scalar_of(g.dtype(y), *o_.max_value)});
    return y;
  }

 private:
  ReLUOptions o_;
};

class LeakyReLULayer final : public Layer {
 public:
  explicit LeakyReLULayer(double slope) : negative_slope_(slope) {}
  std::string_view class_name() const override { return "LeakyReLU"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("negative_slope", negative_slope_); }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    return trace.build().op("LeakyRelu", {inputs[0]},
                            {{"alpha", static_cast<float>(negative_slope_)}});
  }

 private:
  double negative_slope_;
};

class SoftmaxLayer final : public Layer {
 public:
  explicit SoftmaxLayer(int64_t axis) : axis_(axis) {}
  std::string_view class_name() const override { return "Softmax"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("axis", axis_); }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    GraphBuilder& g = trace.build();
    if (axis_ != -1 && axis_ != g.shape(inputs[0]).rank() - 1) {
      g.fail(unimplemented("Softmax over axis ", axis_, " is not implemented; -1 is"));
    }
    return activate(g, "softmax", inputs[0]);
  }

 private:
  int64_t axis_;
};

}  // namespace

LayerRef Activation(std::string_view activation, std::string_view name) {
  auto layer = std::make_shared<ActivationLayer>(activation);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
LayerRef ReLU(ReLUOptions options) { return std::make_shared<ReLULayer>(std::move(options)); }
LayerRef LeakyReLU(double negative_slope, std::string_view name) {
  auto layer = std::make_shared<LeakyReLULayer>(negative_slope);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
LayerRef Softmax(int64_t axis, std::string_view name) {
  auto layer = std::make_shared<SoftmaxLayer>(axis);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_activation() {
  return std::make_shared<ActivationLayer>("linear");
}
std::shared_ptr<Layer> layers::make_relu() { return std::make_shared<ReLULayer>(ReLUOptions{}); }
std::shared_ptr<Layer> layers::make_leaky_relu() { return std::make_shared<LeakyReLULayer>(0.3); }
std::shared_ptr<Layer> layers::make_softmax() { return std::make_shared<SoftmaxLayer>(-1); }

}  // namespace tenon::keras
