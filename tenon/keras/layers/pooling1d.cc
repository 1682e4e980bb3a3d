#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Pooling of images one pixel high; max and average differ by the op alone.
class Pooling1DLayer final : public Layer {
 public:
  Pooling1DLayer(std::string_view class_name, std::string_view op, Pooling1DOptions o)
      : class_name_(class_name), op_(op), o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.single("pool_size", o_.pool_size);
    f.field("padding", o_.padding);
    if (o_.strides == 0) o_.strides = o_.pool_size;
    Json strides = Json::array(std::vector<int64_t>{o_.strides});
    f.field("strides", strides);
    if (strides.is_null()) {
      o_.strides = o_.pool_size;
    } else {
      f.single("strides", o_.strides);
    }
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    if (o_.strides == 0) o_.strides = o_.pool_size;
    if (std::min(o_.pool_size, o_.strides) <= 0) {
      return invalid_argument("pool_size and strides must be above 0");
    }
    return layers::known_dim(inputs[0], 3, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = g.op("ExpandDims", {inputs[0], g.scalar<int32_t>(1)});
    const Endpoint y = g.op(op_, {x},
                            {{"ksize", layers::nhwc({1, o_.pool_size})},
                             {"strides", layers::nhwc({1, o_.strides})},
                             {"padding", layers::padding_attr(g, o_.padding)}});
    return g.op("Squeeze", {y}, {{"squeeze_dims", std::vector<int64_t>{1}}});
  }

 private:
  std::string_view class_name_, op_;
  Pooling1DOptions o_;
};

class GlobalPooling1DLayer final : public Layer {
 public:
  GlobalPooling1DLayer(std::string_view class_name, std::string_view op, GlobalPooling2DOptions o)
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
    return layers::known_dim(inputs[0], 3, -1).status();
  }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return averages() ? std::span<const std::string_view>(kParameters) : Layer::parameters();
  }
  // The mean is over the steps that the mask keeps.
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint mask = inputs.mask(0);
    if (!mask || !averages()) {
      return g.op(op_, {inputs[0], g.integers({1})}, {{"keep_dims", o_.keepdims}});
    }
    const int64_t steps[] = {1};
    const Endpoint column = g.op("ExpandDims", {mask, g.scalar<int32_t>(2)});
    const Endpoint kept = g.op("SelectV2", {column, inputs[0], g.scalar_of(g.dtype(inputs[0]), 0)});
    return g.div(g.sum(kept, steps, o_.keepdims),
                 g.sum(g.cast(column, g.dtype(inputs[0])), steps, o_.keepdims));
  }

 private:
  bool averages() const { return op_ == "Mean"; }

  std::string_view class_name_, op_;
  GlobalPooling2DOptions o_;
};

std::shared_ptr<Layer> max_pooling1d(Pooling1DOptions o) {
  return std::make_shared<Pooling1DLayer>("MaxPooling1D", "MaxPool", std::move(o));
}
std::shared_ptr<Layer> average_pooling1d(Pooling1DOptions o) {
  return std::make_shared<Pooling1DLayer>("AveragePooling1D", "AvgPool", std::move(o));
}
std::shared_ptr<Layer> global_average_pooling1d(GlobalPooling2DOptions o) {
  return std::make_shared<GlobalPooling1DLayer>("GlobalAveragePooling1D", "Mean", std::move(o));
}
std::shared_ptr<Layer> global_max_pooling1d(GlobalPooling2DOptions o) {
  return std::make_shared<GlobalPooling1DLayer>("GlobalMaxPooling1D", "Max", std::move(o));
}

}  // namespace

LayerRef MaxPooling1D(Pooling1DOptions options) { return max_pooling1d(std::move(options)); }
LayerRef AveragePooling1D(Pooling1DOptions options) {
  return average_pooling1d(std::move(options));
}
LayerRef GlobalAveragePooling1D(GlobalPooling2DOptions options) {
  return global_average_pooling1d(std::move(options));
}
LayerRef GlobalMaxPooling1D(GlobalPooling2DOptions options) {
  return global_max_pooling1d(std::move(options));
}
std::shared_ptr<Layer> layers::make_max_pooling1d() { return max_pooling1d({}); }
std::shared_ptr<Layer> layers::make_average_pooling1d() { return average_pooling1d({}); }
std::shared_ptr<Layer> layers::make_global_average_pooling1d() {
  return global_average_pooling1d({});
}
std::shared_ptr<Layer> layers::make_global_max_pooling1d() { return global_max_pooling1d({}); }

}  // namespace tenon::keras
