// Pooling along one, two and three axes beside rows and channels.
#include <numeric>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

using Sizes = std::vector<int64_t>;

// Max and average pooling differ by the op alone. Along one axis it is that of images one pixel
// high.
class PoolingLayer final : public Layer {
 public:
  // Strides of 0 are as `pool_size`. Its size is how many axes there are.
  PoolingLayer(std::string_view class_name, std::string_view op, Sizes pool_size, Sizes strides,
               std::string padding, std::string_view name)
      : class_name_(class_name),
        op_(op),
        pool_size_(std::move(pool_size)),
        strides_(std::move(strides)),
        padding_(std::move(padding)) {
    set_name(name);
  }
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.sizes("pool_size", pool_size_);
    f.field("padding", padding_);
    use_default_strides();
    f.sizes("strides", strides_, pool_size_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    use_default_strides();
    TENON_RETURN_IF_ERROR(layers::check_window("pool_size", pool_size_));
    TENON_RETURN_IF_ERROR(layers::check_window("strides", strides_));
    return layers::check_rank(inputs[0], static_cast<int>(pool_size_.size()) + 2);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const bool flat = pool_size_.size() == 1;
    const auto window = [&](const Sizes& sizes) {
      return flat ? layers::window_attr({1, sizes[0]}) : layers::window_attr(sizes);
    };
    const Endpoint x =
        flat ? g.op("ExpandDims", {inputs[0], g.scalar<int32_t>(1)}) : Endpoint(inputs[0]);
    const Endpoint y = g.op(op_, {x},
                            {{"ksize", window(pool_size_)},
                             {"strides", window(strides_)},
                             {"padding", layers::padding_attr(g, padding_)}});
    return flat ? g.op("Squeeze", {y}, {{"squeeze_dims", std::vector<int64_t>{1}}}) : y;
  }

 private:
  void use_default_strides() {
    if (strides_[0] == 0) strides_ = pool_size_;
  }

  std::string_view class_name_, op_;
  Sizes pool_size_, strides_;
  std::string padding_;
};

// Over all of `rank` axes.
class GlobalPoolingLayer final : public Layer {
 public:
  GlobalPoolingLayer(std::string_view class_name, std::string_view op, int rank,
                     GlobalPooling2DOptions o)
      : class_name_(class_name), op_(op), rank_(rank), o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return class_name_; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.only("data_format", "channels_last");
    f.field("keepdims", o_.keepdims);
  }
  Status build(const Shapes& inputs) override { return layers::check_rank(inputs[0], rank_ + 2); }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"inputs", "mask"};
    return takes_mask() ? std::span<const std::string_view>(kParameters) : Layer::parameters();
  }
  // The mean is over the steps that the mask keeps.
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint mask = inputs.mask(0);
    if (!mask || !takes_mask()) {
      std::vector<int64_t> axes(static_cast<size_t>(rank_));
      std::iota(axes.begin(), axes.end(), 1);
      return g.op(op_, {inputs[0], g.integers(axes)}, {{"keep_dims", o_.keepdims}});
    }
    const int64_t steps[] = {1};
    const Endpoint column = g.op("ExpandDims", {mask, g.scalar<int32_t>(2)});
    const Endpoint kept = g.op("SelectV2", {column, inputs[0], g.scalar_of(g.dtype(inputs[0]), 0)});
    return g.div(g.sum(kept, steps, o_.keepdims),
                 g.sum(g.cast(column, g.dtype(inputs[0])), steps, o_.keepdims));
  }

 private:
  bool takes_mask() const { return rank_ == 1 && op_ == "Mean"; }

  std::string_view class_name_, op_;
  int rank_;
  GlobalPooling2DOptions o_;
};

std::shared_ptr<Layer> pooling(std::string_view class_name, std::string_view op,
                               const Pooling1DOptions& o) {
  return std::make_shared<PoolingLayer>(class_name, op, Sizes{o.pool_size}, Sizes{o.strides},
                                        o.padding, o.name);
}
std::shared_ptr<Layer> pooling(std::string_view class_name, std::string_view op,
                               const Pooling2DOptions& o) {
  return std::make_shared<PoolingLayer>(
      class_name, op, Sizes(o.pool_size.begin(), o.pool_size.end()),
      Sizes(o.strides.begin(), o.strides.end()), o.padding, o.name);
}
std::shared_ptr<Layer> pooling_of_volumes(std::string_view class_name, std::string_view op) {
  return std::make_shared<PoolingLayer>(class_name, op, Sizes{2, 2, 2}, Sizes{0, 0, 0}, "valid",
                                        "");
}
std::shared_ptr<Layer> global_pooling(std::string_view class_name, std::string_view op, int rank,
                                      GlobalPooling2DOptions o = {}) {
  return std::make_shared<GlobalPoolingLayer>(class_name, op, rank, std::move(o));
}

}  // namespace

LayerRef MaxPooling1D(Pooling1DOptions options) {
  return pooling("MaxPooling1D", "MaxPool", options);
}
LayerRef MaxPooling2D(Pooling2DOptions options) {
  return pooling("MaxPooling2D", "MaxPool", options);
}
LayerRef AveragePooling1D(Pooling1DOptions options) {
  return pooling("AveragePooling1D", "AvgPool", options);
}
LayerRef AveragePooling2D(Pooling2DOptions options) {
  return pooling("AveragePooling2D", "AvgPool", options);
}
LayerRef GlobalMaxPooling1D(GlobalPooling2DOptions options) {
  return global_pooling("GlobalMaxPooling1D", "Max", 1, std::move(options));
}
LayerRef GlobalMaxPooling2D(GlobalPooling2DOptions options) {
  return global_pooling("GlobalMaxPooling2D", "Max", 2, std::move(options));
}
LayerRef GlobalAveragePooling1D(GlobalPooling2DOptions options) {
  return global_pooling("GlobalAveragePooling1D", "Mean", 1, std::move(options));
}
LayerRef GlobalAveragePooling2D(GlobalPooling2DOptions options) {
  return global_pooling("GlobalAveragePooling2D", "Mean", 2, std::move(options));
}

namespace layers {

std::shared_ptr<Layer> make_max_pooling1d() {
  return pooling("MaxPooling1D", "MaxPool", Pooling1DOptions());
}
std::shared_ptr<Layer> make_max_pooling2d() {
  return pooling("MaxPooling2D", "MaxPool", Pooling2DOptions());
}
std::shared_ptr<Layer> make_max_pooling3d() {
  return pooling_of_volumes("MaxPooling3D", "MaxPool3D");
}
std::shared_ptr<Layer> make_average_pooling1d() {
  return pooling("AveragePooling1D", "AvgPool", Pooling1DOptions());
}
std::shared_ptr<Layer> make_average_pooling2d() {
  return pooling("AveragePooling2D", "AvgPool", Pooling2DOptions());
}
std::shared_ptr<Layer> make_average_pooling3d() {
  return pooling_of_volumes("AveragePooling3D", "AvgPool3D");
}
std::shared_ptr<Layer> make_global_max_pooling1d() {
  return global_pooling("GlobalMaxPooling1D", "Max", 1);
}
std::shared_ptr<Layer> make_global_max_pooling2d() {
  return global_pooling("GlobalMaxPooling2D", "Max", 2);
}
std::shared_ptr<Layer> make_global_max_pooling3d() {
  return global_pooling("GlobalMaxPooling3D", "Max", 3);
}
std::shared_ptr<Layer> make_global_average_pooling1d() {
  return global_pooling("GlobalAveragePooling1D", "Mean", 1);
}
std::shared_ptr<Layer> make_global_average_pooling2d() {
  return global_pooling("GlobalAveragePooling2D", "Mean", 2);
}
std::shared_ptr<Layer> make_global_average_pooling3d() {
  return global_pooling("GlobalAveragePooling3D", "Mean", 3);
}

}  // namespace layers

}  // namespace tenon::keras
