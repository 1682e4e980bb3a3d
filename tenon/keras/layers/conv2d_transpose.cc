#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class Conv2DTransposeLayer final : public Layer {
 public:
  explicit Conv2DTransposeLayer(Conv2DTransposeOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Conv2DTranspose"; }
  void fields(ConfigFields& f) override {
    f.field("filters", o_.filters);
    f.sizes("kernel_size", o_.kernel_size);
    f.sizes("strides", o_.strides);
    f.field("padding", o_.padding);
    f.only("output_padding", nullptr);
    f.only("data_format", "channels_last");
    f.only("dilation_rate", Json(Json::Array{1, 1}));
    f.activation("activation", o_.activation);
    f.field("use_bias", o_.use_bias);
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    if (std::min({o_.filters, o_.kernel_size[0], o_.kernel_size[1], o_.strides[0],
                  o_.strides[1]}) <= 0) {
      return invalid_argument("filters, kernel_size and strides must be above 0");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 4, -1));
    add_weight("kernel", {o_.kernel_size[0], o_.kernel_size[1], o_.filters, channels},
               o_.kernel_initializer);
    if (o_.use_bias) add_weight("bias", {o_.filters}, o_.bias_initializer);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    if (!g.status().ok()) return {};
    const PartialShape in = g.shape(inputs[0]);
    std::vector<int64_t> size = {-1, 0, 0, o_.filters};
    for (size_t axis = 0; axis < 2; ++axis) {
      size[axis + 1] = layers::transposed_size(g, in[static_cast<int>(axis) + 1],
                                               o_.kernel_size[axis], o_.strides[axis], o_.padding);
    }
    if (!g.status().ok()) return {};
    const Endpoint rows = g.slice(g.shape_of(inputs[0]), 0, 1);
    const Endpoint whole = g.concat({rows, g.integers({size[1], size[2], size[3]})}, 0);
    Endpoint x = g.op("Conv2DBackpropInput", {whole, trace.read(weight(0)), inputs[0]},
                      {{"strides", layers::window_attr(o_.strides)},
                       {"padding", layers::padding_attr(g, o_.padding)}});
    // The shape that is known of the result, for the layers above.
    x = g.reshape(x, size);
    if (o_.use_bias) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, o_.activation, x);
  }

 private:
  Conv2DTransposeOptions o_;
};

}  // namespace

int64_t layers::transposed_size(GraphBuilder& g, int64_t from, int64_t kernel, int64_t stride,
                                std::string_view padding) {
  int64_t to = 0;
  if (from < 0) {
    g.fail(unimplemented("the sizes of the input must be known"));
  } else if (__builtin_mul_overflow(from, stride, &to) ||
             (padding != "same" &&
              __builtin_add_overflow(to, std::max<int64_t>(kernel - stride, 0), &to)) ||
             to > INT32_MAX) {
    g.fail(invalid_argument("strides ", stride, " make the output too large"));
  }
  return g.status().ok() ? to : 0;
}

LayerRef Conv2DTranspose(Conv2DTransposeOptions options) {
  return std::make_shared<Conv2DTransposeLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_conv2d_transpose() {
  return std::make_shared<Conv2DTransposeLayer>(Conv2DTransposeOptions{});
}

}  // namespace tenon::keras
