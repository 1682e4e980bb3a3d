#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// A depthwise convolution, then one of 1x1.
class SeparableConv2DLayer final : public Layer {
 public:
  explicit SeparableConv2DLayer(SeparableConv2DOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "SeparableConv2D"; }
  void fields(ConfigFields& f) override {
    f.field("depth_multiplier", o_.depth_multiplier);
    f.field("filters", o_.filters);
    f.sizes("kernel_size", o_.kernel_size);
    f.sizes("strides", o_.strides);
    f.field("padding", o_.padding);
    f.only("data_format", "channels_last");
    f.sizes("dilation_rate", o_.dilation_rate);
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("depthwise_initializer", o_.depthwise_initializer);
    f.field("pointwise_initializer", o_.pointwise_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"depthwise_regularizer", "pointwise_regularizer", "bias_regularizer",
                    "activity_regularizer", "depthwise_constraint", "pointwise_constraint",
                    "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    for (const auto& pair : {o_.kernel_size, o_.strides, o_.dilation_rate}) {
      if (pair[0] <= 0 || pair[1] <= 0) {
        return invalid_argument("kernel_size, strides and dilation_rate must be above 0");
      }
    }
    if (o_.filters <= 0 || o_.depth_multiplier <= 0) {
      return invalid_argument("filters and depth_multiplier must be above 0");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 4, -1));
    int64_t between;
    if (__builtin_mul_overflow(channels, o_.depth_multiplier, &between)) {
      return invalid_argument("depth_multiplier ", o_.depth_multiplier, " is too large");
    }
    add_weight("depthwise_kernel",
               {o_.kernel_size[0], o_.kernel_size[1], channels, o_.depth_multiplier},
               o_.depthwise_initializer);
    add_weight("pointwise_kernel", {1, 1, between, o_.filters}, o_.pointwise_initializer);
    if (o_.use_bias) add_weight("bias", {o_.filters}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = g.op("DepthwiseConv2dNative", {inputs[0], trace.read(weight(0))},
                      {{"strides", layers::window_attr(o_.strides)},
                       {"padding", layers::padding_attr(g, o_.padding)},
                       {"dilations", layers::window_attr(o_.dilation_rate)}});
    x = g.op("Conv2D", {x, trace.read(weight(1))},
             {{"strides", layers::window_attr({1, 1})}, {"padding", std::string("VALID")}});
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(2))});
    return activate(g, o_.activation, x);
  }

 private:
  SeparableConv2DOptions o_;
};

}  // namespace

LayerRef SeparableConv2D(SeparableConv2DOptions options) {
  return std::make_shared<SeparableConv2DLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_separable_conv2d() {
  return std::make_shared<SeparableConv2DLayer>(SeparableConv2DOptions{});
}

}  // namespace tenon::keras
