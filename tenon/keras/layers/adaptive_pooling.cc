// Pooling to a given size along one, two or three axes beside rows and channels: windows of equal
// length or longer by one, as keras/src/backend/tensorflow/nn.py lays them.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Along one axis; a file of a few bytes can ask for any.
constexpr int64_t kMostWindows = int64_t{1} << 24;

class AdaptivePoolingLayer final : public Layer {
 public:
  AdaptivePoolingLayer(std::string_view class_name, std::string_view op, size_t axes)
      : class_name_(class_name), op_(op), output_size_(axes, 0) {}
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    f.sizes("output_size", output_size_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(layers::check_window("output_size", output_size_));
    for (const int64_t size : output_size_) {
      if (size > kMostWindows) return invalid_argument("output_size ", size, " is too large");
    }
    const int rank = static_cast<int>(output_size_.size()) + 2;
    for (int axis = 1; axis < rank; ++axis) {
      TENON_ASSIGN_OR_RETURN(const int64_t size, layers::known_dim(inputs[0], rank, axis));
      if (size == 0) return invalid_argument("the input has shape ", inputs[0], ", which is empty");
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    Endpoint x = inputs[0];
    for (size_t i = 0; i < output_size_.size() && g.status().ok(); ++i) {
      x = pooled(g, x, static_cast<int>(i) + 1, output_size_[i]);
    }
    return x;
  }

 private:
  // Along one axis: the axis as an image's height, what follows it as its width.
  Endpoint pooled(GraphBuilder& g, Endpoint x, int axis, int64_t to) const {
    std::vector<int64_t> form(g.shape(x).dims().begin(), g.shape(x).dims().end());
    const int64_t from = form[static_cast<size_t>(axis)];
    int64_t inner = 1;
    for (size_t i = static_cast<size_t>(axis) + 1; i < form.size(); ++i) inner *= form[i];
    const Endpoint image = g.reshape(x, g.integers({-1, from, 1, inner}));
    const int64_t small = (from + to - 1) / to;
    std::vector<Endpoint> parts;
    for (const int64_t length : {small, small + 1}) {
      if (length > from) continue;  // no window is as long
      parts.push_back(g.op(op_, {image},
                           {{"ksize", std::vector<int64_t>{1, length, 1, 1}},
                            {"strides", std::vector<int64_t>{1, 1, 1, 1}},
                            {"padding", std::string("VALID")}}));
    }
    std::vector<int64_t> places;
    for (int64_t i = 0; i < to; ++i) {
      const int64_t begin = i * from / to, end = ((i + 1) * from + to - 1) / to;
      places.push_back(end - begin == small ? begin : from - small + 1 + begin);
    }
    const Endpoint all = parts.size() == 1 ? parts[0] : g.concat(parts, 1);
    const Endpoint chosen = g.op("GatherV2", {all, g.integers(places), g.scalar<int32_t>(1)});
    form[0] = -1;
    form[static_cast<size_t>(axis)] = to;
    return g.reshape(chosen, form);
  }

  std::string_view class_name_, op_;
  std::vector<int64_t> output_size_;
};

std::shared_ptr<Layer> average(std::string_view class_name, size_t axes) {
  return std::make_shared<AdaptivePoolingLayer>(class_name, "AvgPool", axes);
}
std::shared_ptr<Layer> largest(std::string_view class_name, size_t axes) {
  return std::make_shared<AdaptivePoolingLayer>(class_name, "MaxPool", axes);
}

}  // namespace

namespace layers {

std::shared_ptr<Layer> make_adaptive_average_pooling1d() {
  return average("AdaptiveAveragePooling1D", 1);
}
std::shared_ptr<Layer> make_adaptive_average_pooling2d() {
  return average("AdaptiveAveragePooling2D", 2);
}
std::shared_ptr<Layer> make_adaptive_average_pooling3d() {
  return average("AdaptiveAveragePooling3D", 3);
}
std::shared_ptr<Layer> make_adaptive_max_pooling1d() { return largest("AdaptiveMaxPooling1D", 1); }
std::shared_ptr<Layer> make_adaptive_max_pooling2d() { return largest("AdaptiveMaxPooling2D", 2); }
std::shared_ptr<Layer> make_adaptive_max_pooling3d() { return largest("AdaptiveMaxPooling3D", 3); }

}  // namespace layers

}  // namespace tenon::keras
