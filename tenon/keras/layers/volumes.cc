// Layers of volumes: batch, depth, height, width, channels.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

using Sizes = std::vector<int64_t>;

Status check_three(std::string_view name, const Sizes& sizes) {
  const bool fits = sizes.size() == 3 && std::all_of(sizes.begin(), sizes.end(), [](int64_t size) {
                      return size > 0 && size <= INT32_MAX;
                    });
  if (fits) return absl::OkStatus();
  return invalid_argument(name, " is (", join(sizes, ", "), "), expected three numbers above 0");
}

Sizes whole_window(const Sizes& sizes) { return {1, sizes[0], sizes[1], sizes[2], 1}; }

class Conv3DLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Conv3D"; }
  void fields(ConfigFields& f) override {
    f.field("filters", filters_);
    f.field("kernel_size", kernel_size_);
    f.field("strides", strides_);
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
    TENON_RETURN_IF_ERROR(check_three("kernel_size", kernel_size_));
    TENON_RETURN_IF_ERROR(check_three("strides", strides_));
    if (filters_ <= 0) return invalid_argument("filters is ", filters_, ", expected more than 0");
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], 5, -1));
    add_weight("kernel", {kernel_size_[0], kernel_size_[1], kernel_size_[2], channels, filters_},
               kernel_initializer_);
    if (use_bias_) add_weight("bias", {filters_}, bias_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x =
        g.op("Conv3D", {inputs[0], trace.read(weight(0))},
             {{"strides", whole_window(strides_)}, {"padding", layers::padding_attr(g, padding_)}});
    if (use_bias_) x = g.op("BiasAdd", {x, trace.read(weight(1))});
    return activate(g, activation_, x);
  }

 private:
  int64_t filters_ = 0;
  Sizes kernel_size_, strides_ = {1, 1, 1};
  std::string padding_ = "valid", activation_ = "linear";
  bool use_bias_ = true;
  Initializer kernel_initializer_ = "glorot_uniform", bias_initializer_ = "zeros";
};

// Max and average pooling differ by the op alone.
class Pooling3DLayer final : public Layer {
 public:
  Pooling3DLayer(std::string_view class_name, std::string_view op)
      : class_name_(class_name), op_(op) {}
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("pool_size", pool_size_);
    f.field("padding", padding_);
    f.field("strides", strides_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(check_three("pool_size", pool_size_));
    TENON_RETURN_IF_ERROR(check_three("strides", strides_));
    return layers::known_dim(inputs[0], 5, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return g.op(op_, {inputs[0]},
                {{"ksize", whole_window(pool_size_)},
                 {"strides", whole_window(strides_)},
                 {"padding", layers::padding_attr(g, padding_)}});
  }

 private:
  std::string_view class_name_, op_;
  Sizes pool_size_ = {2, 2, 2}, strides_ = {2, 2, 2};
  std::string padding_ = "valid";
};

class GlobalPooling3DLayer final : public Layer {
 public:
  GlobalPooling3DLayer(std::string_view class_name, std::string_view op)
      : class_name_(class_name), op_(op) {}
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.only("data_format", "channels_last");
    f.field("keepdims", keepdims_);
  }
  Status build(const Shapes& inputs) override {
    return layers::known_dim(inputs[0], 5, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return g.op(op_, {inputs[0], g.integers({1, 2, 3})}, {{"keep_dims", keepdims_}});
  }

 private:
  std::string_view class_name_, op_;
  bool keepdims_ = false;
};

}  // namespace

std::shared_ptr<Layer> layers::make_conv3d() { return std::make_shared<Conv3DLayer>(); }
std::shared_ptr<Layer> layers::make_max_pooling3d() {
  return std::make_shared<Pooling3DLayer>("MaxPooling3D", "MaxPool3D");
}
std::shared_ptr<Layer> layers::make_average_pooling3d() {
  return std::make_shared<Pooling3DLayer>("AveragePooling3D", "AvgPool3D");
}
std::shared_ptr<Layer> layers::make_global_average_pooling3d() {
  return std::make_shared<GlobalPooling3DLayer>("GlobalAveragePooling3D", "Mean");
}
std::shared_ptr<Layer> layers::make_global_max_pooling3d() {
  return std::make_shared<GlobalPooling3DLayer>("GlobalMaxPooling3D", "Max");
}

}  // namespace tenon::keras
