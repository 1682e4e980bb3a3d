#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// What the options of both layers have in common.
template <class Options>
Status check_windows(const Options& o) {
  TENON_RETURN_IF_ERROR(layers::check_window("kernel_size", o.kernel_size));
  TENON_RETURN_IF_ERROR(layers::check_window("strides", o.strides));
  return layers::check_window("dilation_rate", o.dilation_rate);
}

template <class Options>
void window_fields(ConfigFields& f, Options& o) {
  f.sizes("kernel_size", o.kernel_size);
  f.sizes("strides", o.strides);
  f.field("padding", o.padding);
  f.only("data_format", "channels_last");
  f.sizes("dilation_rate", o.dilation_rate);
}

template <class Options>
Endpoint convolve(std::string_view op, const Options& o, GraphBuilder& g, Endpoint x,
                  Endpoint kernel) {
  return g.op(op, {x, kernel},
              {{"strides", layers::window_attr(o.strides)},
               {"padding", layers::padding_attr(g, o.padding)},
               {"dilations", layers::window_attr(o.dilation_rate)}});
}

class Conv2DLayer final : public Layer {
 public:
  explicit Conv2DLayer(Conv2DOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Conv2D"; }
  void fields(ConfigFields& f) override {
    f.field("filters", o_.filters);
    window_fields(f, o_);
    f.field("groups", o_.groups);
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_windows(o_));
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 4, -1));
    if (o_.filters <= 0 || o_.groups <= 0 || o_.filters % o_.groups || channels % o_.groups) {
      return invalid_argument("filters ", o_.filters, ", groups ", o_.groups, " and ", channels,
                              " input channels do not go together: groups must divide both");
    }
    add_weight("kernel", {o_.kernel_size[0], o_.kernel_size[1], channels / o_.groups, o_.filters},
               o_.kernel_initializer);
    if (o_.use_bias) add_weight("bias", {o_.filters}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = convolve("Conv2D", o_, g, inputs[0], trace.read(weight(0)));
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, o_.activation, x);
  }

 private:
  Conv2DOptions o_;
};

class DepthwiseConv2DLayer final : public Layer {
 public:
  explicit DepthwiseConv2DLayer(DepthwiseConv2DOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "DepthwiseConv2D"; }
  void fields(ConfigFields& f) override {
    f.field("depth_multiplier", o_.depth_multiplier);
    window_fields(f, o_);
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("depthwise_initializer", o_.depthwise_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"depthwise_regularizer", "bias_regularizer", "activity_regularizer",
                    "depthwise_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_windows(o_));
    if (o_.depth_multiplier <= 0) {
      return invalid_argument("depth_multiplier is ", o_.depth_multiplier,
                              ", expected more than 0");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 4, -1));
    add_weight("kernel", {o_.kernel_size[0], o_.kernel_size[1], channels, o_.depth_multiplier},
               o_.depthwise_initializer);
    if (o_.use_bias) add_weight("bias", {channels * o_.depth_multiplier}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = convolve("DepthwiseConv2dNative", o_, g, inputs[0], trace.read(weight(0)));
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, o_.activation, x);
  }

 private:
  DepthwiseConv2DOptions o_;
};

}  // namespace

LayerRef Conv2D(Conv2DOptions options) { return std::make_shared<Conv2DLayer>(std::move(options)); }
LayerRef DepthwiseConv2D(DepthwiseConv2DOptions options) {
  return std::make_shared<DepthwiseConv2DLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_conv2d() {
  return std::make_shared<Conv2DLayer>(Conv2DOptions{});
}
std::shared_ptr<Layer> layers::make_depthwise_conv2d() {
  return std::make_shared<DepthwiseConv2DLayer>(DepthwiseConv2DOptions{});
}

}  // namespace tenon::keras
