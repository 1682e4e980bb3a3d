#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// A depthwise convolution of images one pixel high; SeparableConv1D mixes the channels after it.
class DepthwiseConv1DLayer final : public Layer {
 public:
  explicit DepthwiseConv1DLayer(bool separable) : separable_(separable) {}
  std::string_view class_name() const override {
    return separable_ ? "SeparableConv1D" : "DepthwiseConv1D";
  }
  void fields(ConfigFields& f) override {
    f.field("depth_multiplier", depth_multiplier_);
    if (separable_) f.field("filters", filters_);
    f.size("kernel_size", kernel_size_);
    f.size("strides", strides_);
    f.field("padding", padding_);
    f.only("data_format", "channels_last");
    f.size("dilation_rate", dilation_rate_);
    f.activation("activation", activation_);
    f.field("use_bias", use_bias_);
    f.field("depthwise_initializer", depthwise_initializer_);
    if (separable_) f.field("pointwise_initializer", pointwise_initializer_);
    f.field("bias_initializer", bias_initializer_);
    rule_fields(f, {"depthwise_regularizer", "bias_regularizer", "activity_regularizer",
                    "depthwise_constraint", "bias_constraint"});
    if (separable_) rule_fields(f, {"pointwise_regularizer", "pointwise_constraint"});
  }
  Status build(const Shapes& inputs) override {
    if (std::min({kernel_size_, strides_, dilation_rate_, depth_multiplier_}) <= 0 ||
        (separable_ && filters_ <= 0)) {
      return invalid_argument("filters, kernel_size, strides, dilation_rate and depth_multiplier ",
                              "must be above 0");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 3, -1));
    int64_t width = 0;
    if (__builtin_mul_overflow(channels, depth_multiplier_, &width)) {
      return invalid_argument("depth_multiplier ", depth_multiplier_, " is too large");
    }
    add_weight(separable_ ? "depthwise_kernel" : "kernel",
               {kernel_size_, channels, depth_multiplier_}, depthwise_initializer_);
    if (separable_) add_weight("pointwise_kernel", {1, width, filters_}, pointwise_initializer_);
    if (use_bias_) add_weight("bias", {separable_ ? filters_ : width}, bias_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint zero = g.scalar<int32_t>(0);
    const auto image = [&](size_t index) {
      return g.op("ExpandDims", {trace.read(weight(index)), zero});
    };
    Endpoint x = g.op("ExpandDims", {inputs[0], g.scalar<int32_t>(1)});
    x = g.op("DepthwiseConv2dNative", {x, image(0)},
             {{"strides", layers::window_attr({strides_, strides_})},
              {"padding", layers::padding_attr(g, padding_)},
              {"dilations", layers::window_attr({dilation_rate_, dilation_rate_})}});
    if (separable_) {
      x = g.op("Conv2D", {x, image(1)},
               {{"strides", layers::window_attr({1, 1})}, {"padding", std::string("VALID")}});
    }
    x = g.op("Squeeze", {x}, {{"squeeze_dims", std::vector<int64_t>{1}}});
    if (use_bias_) x = g.op("BiasAdd", {x, trace.read(weight(separable_ ? 2 : 1))});
    return activate(g, activation_, x);
  }

 private:
  bool separable_;
  int64_t depth_multiplier_ = 1, filters_ = 0, kernel_size_ = 0, strides_ = 1, dilation_rate_ = 1;
  std::string padding_ = "valid", activation_ = "linear";
  bool use_bias_ = true;
  Initializer depthwise_initializer_ = "glorot_uniform", pointwise_initializer_ = "glorot_uniform";
  Initializer bias_initializer_ = "zeros";
};

}  // namespace

std::shared_ptr<Layer> layers::make_depthwise_conv1d() {
  return std::make_shared<DepthwiseConv1DLayer>(false);
}
std::shared_ptr<Layer> layers::make_separable_conv1d() {
  return std::make_shared<DepthwiseConv1DLayer>(true);
}

}  // namespace tenon::keras
