#include <numeric>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class ActivationLayer final : public Layer {
 public:
  explicit ActivationLayer(std::string_view activation) : activation_(activation) {}
  std::string_view class_name() const override { return "Activation"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.activation("activation", activation_); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return activate(trace.build(), activation_, inputs[0]);
  }

 private:
  std::string activation_;
};

class ReLULayer final : public Layer {
 public:
  explicit ReLULayer(ReLUOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "ReLU"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("max_value", o_.max_value);
    f.field("negative_slope", o_.negative_slope);
    f.field("threshold", o_.threshold);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    if (o_.threshold != 0) return above_threshold(g, inputs[0]);
    if (o_.max_value == 6.0 && o_.negative_slope == 0) return g.op("Relu6", {inputs[0]});
    Endpoint y = o_.negative_slope == 0 ? g.op("Relu", {inputs[0]})
                                        : g.op("LeakyRelu", {inputs[0]},
                                               {{"alpha", static_cast<float>(o_.negative_slope)}});
    if (o_.max_value) y = g.op("Minimum", {y, g.scalar_of(g.dtype(y), *o_.max_value)});
    return y;
  }

 private:
  // What is not above the threshold becomes 0, or as far below as its slope says.
  Endpoint above_threshold(GraphBuilder& g, Endpoint x) const {
    const DType dtype = g.dtype(x);
    const Endpoint threshold = g.scalar_of(dtype, o_.threshold), zero = g.scalar_of(dtype, 0);
    Endpoint y = g.op("SelectV2", {g.op("Greater", {x, threshold}), x, zero});
    if (o_.max_value) {
      y = g.op("Minimum", {g.op("Maximum", {y, zero}), g.scalar_of(dtype, *o_.max_value)});
    }
    if (o_.negative_slope == 0) return y;
    const Endpoint below = g.op("Relu", {g.sub(threshold, x)});
    return g.sub(y, g.mul(g.scalar_of(dtype, o_.negative_slope), below));
  }

  ReLUOptions o_;
};

class LeakyReLULayer final : public Layer {
 public:
  explicit LeakyReLULayer(double slope) : negative_slope_(slope) {}
  std::string_view class_name() const override { return "LeakyReLU"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("negative_slope", negative_slope_); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return trace.build().op("LeakyRelu", {inputs[0]},
                            {{"alpha", static_cast<float>(negative_slope_)}});
  }

 private:
  double negative_slope_;
};

class ELULayer final : public Layer {
 public:
  std::string_view class_name() const override { return "ELU"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("alpha", alpha_); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0], y = g.op("Elu", {x});
    if (alpha_ == 1) return y;
    const Endpoint positive = g.op("Greater", {x, g.scalar_of(g.dtype(x), 0)});
    return g.op("SelectV2", {positive, y, g.mul(y, g.scalar_of(g.dtype(x), alpha_))});
  }

 private:
  double alpha_ = 1.0;
};

class IdentityLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Identity"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return trace.build().op("Identity", {inputs[0]});
  }
};

class SoftmaxLayer final : public Layer {
 public:
  explicit SoftmaxLayer(int64_t axis) : axes_(axis) {}
  std::string_view class_name() const override { return "Softmax"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("axis", axes_); }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return kParameters;
  }
  Status build(const Shapes& inputs) override {
    return layers::resolve_axes(axes_, inputs[0].rank()).status();
  }
  // Positions that the mask leaves out have no part in it.
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = inputs[0];
    if (!g.status().ok()) return {};
    const int rank = g.shape(x).rank();
    const Endpoint mask = inputs.mask(0);
    if (mask) x = g.op("SelectV2", {mask, x, g.scalar_of(g.dtype(x), -1e9)});
    const StatusOr<std::vector<int64_t>> axes = layers::resolve_axes(axes_, rank);
    if (!axes.ok()) {
      g.fail(axes.status());
      return {};
    }
    const Endpoint y = axes->size() == 1 ? along(g, x, (*axes)[0]) : over_axes(g, x, *axes);
    return mask ? g.op("SelectV2", {mask, y, g.scalar_of(g.dtype(y), 0)}) : y;
  }

 private:
  static Endpoint along(GraphBuilder& g, Endpoint x, int64_t axis) {
    std::vector<int64_t> order(static_cast<size_t>(g.shape(x).rank()));
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto at = static_cast<size_t>(axis);
    std::swap(order[at], order.back());
    const bool last = at + 1 == order.size();
    if (!last) x = g.op("Transpose", {x, g.integers(order)});
    const Endpoint y = activate(g, "softmax", x);
    return last ? y : g.op("Transpose", {y, g.integers(order)});
  }
  static Endpoint over_axes(GraphBuilder& g, Endpoint x, std::span<const int64_t> axes) {
    const Endpoint most = g.op("Max", {x, g.integers(axes)}, {{"keep_dims", true}});
    const Endpoint y = g.op("Exp", {g.sub(x, g.op("StopGradient", {most}))});
    return g.div(y, g.sum(y, axes, true));
  }

  Json axes_;  // an integer or a list of them
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
std::shared_ptr<Layer> layers::make_elu() { return std::make_shared<ELULayer>(); }
std::shared_ptr<Layer> layers::make_identity() { return std::make_shared<IdentityLayer>(); }
std::shared_ptr<Layer> layers::make_softmax() { return std::make_shared<SoftmaxLayer>(-1); }

}  // namespace tenon::keras
