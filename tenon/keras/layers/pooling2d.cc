#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Max and average pooling differ by the op alone.
class Pooling2DLayer final : public Layer {
 public:
  Pooling2DLayer(std::string_view class_name, std::string_view op, Pooling2DOptions o)
      : class_name_(class_name), op_(op), o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.pair("pool_size", o_.pool_size);
    f.field("padding", o_.padding);
    if (o_.strides[0] == 0) o_.strides = o_.pool_size;
    Json strides = Json::array(std::vector<int64_t>(o_.strides.begin(), o_.strides.end()));
    f.field("strides", strides);
    if (strides.is_null()) {
      o_.strides = o_.pool_size;
    } else {
      f.pair("strides", o_.strides);
    }
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes&) override {
    if (o_.strides[0] == 0) o_.strides = o_.pool_size;
    if (std::min({o_.pool_size[0], o_.pool_size[1], o_.strides[0], o_.strides[1]}) > 0) {
      return absl::OkStatus();
    }
    return invalid_argument("pool_size and strides must be above 0");
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return g.op(op_, {inputs[0]},
                {{"ksize", layers::nhwc(o_.pool_size)},
                 {"strides", layers::nhwc(o_.strides)},
                 {"padding", layers::padding_attr(g, o_.padding)}});
  }

 private:
  std::string_view class_name_, op_;
  Pooling2DOptions o_;
};

class GlobalPooling2DLayer final : public Layer {
 public:
  GlobalPooling2DLayer(std::string_view class_name, std::string_view op, GlobalPooling2DOptions o)
      : class_name_(class_name), op_(op), o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.only("data_format", "channels_last");
    f.field("keepdims", o_.keepdims);
  }
  Status build(const Shapes& inputs) override {
    return layers::known_dim(inputs[0], 4, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    return g.op(op_, {inputs[0], g.integers({1, 2})}, {{"keep_dims", o_.keepdims}});
  }

 private:
  std::string_view class_name_, op_;
  GlobalPooling2DOptions o_;
};

std::shared_ptr<Layer> max_pooling(Pooling2DOptions o) {
  return std::make_shared<Pooling2DLayer>("MaxPooling2D", "MaxPool", std::move(o));
}
std::shared_ptr<Layer> average_pooling(Pooling2DOptions o) {
  return std::make_shared<Pooling2DLayer>("AveragePooling2D", "AvgPool", std::move(o));
}
std::shared_ptr<Layer> global_average_pooling(GlobalPooling2DOptions o) {
  return std::make_shared<GlobalPooling2DLayer>("GlobalAveragePooling2D", "Mean", std::move(o));
}
std::shared_ptr<Layer> global_max_pooling(GlobalPooling2DOptions o) {
  return std::make_shared<GlobalPooling2DLayer>("GlobalMaxPooling2D", "Max", std::move(o));
}

}  // namespace

LayerRef MaxPooling2D(Pooling2DOptions options) { return max_pooling(std::move(options)); }
LayerRef AveragePooling2D(Pooling2DOptions options) { return average_pooling(std::move(options)); }
LayerRef GlobalAveragePooling2D(GlobalPooling2DOptions options) {
  return global_average_pooling(std::move(options));
}
LayerRef GlobalMaxPooling2D(GlobalPooling2DOptions options) {
  return global_max_pooling(std::move(options));
}
std::shared_ptr<Layer> layers::make_max_pooling2d() { return max_pooling({}); }
std::shared_ptr<Layer> layers::make_average_pooling2d() { return average_pooling({}); }
std::shared_ptr<Layer> layers::make_global_average_pooling2d() {
  return global_average_pooling({});
}
std::shared_ptr<Layer> layers::make_global_max_pooling2d() { return global_max_pooling({}); }

}  // namespace tenon::keras
