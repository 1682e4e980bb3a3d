// A convolution of volumes: batch, depth, height, width, channels.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class Conv3DLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Conv3D"; }
  void fields(ConfigFields& f) override {
    f.field("filters", filters_);
    f.sizes("kernel_size", kernel_size_);
    f.sizes("strides", strides_);
    f.field("padding", padding_);
    f.only("data_format", "channels_last");
    f.only("dilation_rate", Json(Json::Array{1, 1, 1}));
    f.only("groups", 1);
    f.activation("activation", activation_);
    f.field("use_bias", use_bias_);
    f.field("kernel_initializer", kernel_initializer_);
    f.field("bias_initializer", bias_initializer_);
    rule_fields(f, {"kernel_regularizer", "bias_regularizer", "activity_regularizer",
                    "kernel_constraint", "bias_constraint"});
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(layers::check_window("kernel_size", kernel_size_));
    TENON_RETURN_IF_ERROR(layers::check_window("strides", strides_));
    if (filters_ <= 0) return invalid_argument("filters is ", filters_, ", expected more than 0");
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 5, -1));
    add_weight("kernel", {kernel_size_[0], kernel_size_[1], kernel_size_[2], channels, filters_},
               kernel_initializer_);
    if (use_bias_) add_weight("bias", {filters_}, bias_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = g.op("Conv3D", {inputs[0], trace.read(weight(0))},
                      {{"strides", layers::window_attr(strides_)},
                       {"padding", layers::padding_attr(g, padding_)}});
    if (use_bias_) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, activation_, x);
  }

 private:
  int64_t filters_ = 0;
  std::array<int64_t, 3> kernel_size_{}, strides_{1, 1, 1};
  std::string padding_ = "valid", activation_ = "linear";
  bool use_bias_ = true;
  Initializer kernel_initializer_ = "glorot_uniform", bias_initializer_ = "zeros";
};

}  // namespace

std::shared_ptr<Layer> layers::make_conv3d() { return std::make_shared<Conv3DLayer>(); }

}  // namespace tenon::keras
