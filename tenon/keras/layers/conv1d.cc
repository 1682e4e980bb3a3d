#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// A convolution of images one pixel high.
class Conv1DLayer final : public Layer {
 public:
  explicit Conv1DLayer(Conv1DOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Conv1D"; }
  void fields(ConfigFields& f) override {
    f.field("filters", o_.filters);
    f.size("kernel_size", o_.kernel_size);
    f.size("strides", o_.strides);
    f.field("padding", o_.padding);
    f.only("data_format", "channels_last");
    f.size("dilation_rate", o_.dilation_rate);
    f.field("groups", o_.groups);
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    if (std::min({o_.kernel_size, o_.strides, o_.dilation_rate, o_.filters, o_.groups}) <= 0) {
      return invalid_argument(
          "filters, kernel_size, strides, dilation_rate and groups must be above 0");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 3, -1));
    if (o_.filters % o_.groups || channels % o_.groups) {
      return invalid_argument("groups ", o_.groups, " must divide filters ", o_.filters, " and ",
                              channels, " input channels");
    }
    add_weight("kernel", {o_.kernel_size, channels / o_.groups, o_.filters}, o_.kernel_initializer);
    if (o_.use_bias) add_weight("bias", {o_.filters}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint height = g.scalar<int32_t>(1);
    Endpoint x = g.op("ExpandDims", {inputs[0], height});
    const bool causal = o_.padding == "causal";
    if (causal) {
      const std::vector<int32_t> before = {
          0, 0, 0, 0, static_cast<int32_t>((o_.kernel_size - 1) * o_.dilation_rate), 0, 0, 0};
      x = g.op("Pad", {x, g.constant(Tensor::from<int32_t>({4, 2}, before))});
    }
    const Endpoint kernel = g.op("ExpandDims", {trace.read(weight(0)), g.scalar<int32_t>(0)});
    x = g.op("Conv2D", {x, kernel},
             {{"strides", layers::window_attr({1, o_.strides})},
              {"padding", causal ? std::string("VALID") : layers::padding_attr(g, o_.padding)},
              {"dilations", layers::window_attr({1, o_.dilation_rate})}});
    x = g.op("Squeeze", {x}, {{"squeeze_dims", std::vector<int64_t>{1}}});
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, o_.activation, x);
  }

 private:
  Conv1DOptions o_;
};

}  // namespace

LayerRef Conv1D(Conv1DOptions options) { return std::make_shared<Conv1DLayer>(std::move(options)); }
std::shared_ptr<Layer> layers::make_conv1d() {
  return std::make_shared<Conv1DLayer>(Conv1DOptions{});
}

}  // namespace tenon::keras
