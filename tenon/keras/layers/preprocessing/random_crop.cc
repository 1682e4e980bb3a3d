#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// In training a part of each image, the same place for the whole batch; otherwise Keras' layer
// hands images on as they are.
class RandomCropLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "RandomCrop"; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"data"};
    return kParameters;
  }
  void fields(ConfigFields& f) override {
    f.only("data_format", "channels_last");
    f.field("height", size_[0]);
    f.field("width", size_[1]);
    f.field("seed", seed_);
  }
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(layers::check_window("height and width", size_));
    for (int axis : {1, 2, 3}) {
      TENON_RETURN_IF_ERROR(layers::known_dim(inputs[0], 4, axis).status());
    }
    layers::add_dropout_seed(*this, 1, seed_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = g.cast(inputs[0], policy().compute);
    if (!g.status().ok() || !(trace.training() || trace.symbolic())) return x;
    const PartialShape shape = g.shape(x);
    if (trace.symbolic()) return resized(g, x);  // of the size that Keras tells
    if (shape[1] > size_[0] && shape[2] > size_[1]) {
      const Endpoint zero = g.integers({0});
      const Endpoint row = begin(trace, shape[1] - size_[0] + 1);
      const Endpoint column = begin(trace, shape[2] - size_[1] + 1);
      return g.op("Slice", {x, g.concat({zero, row, column, zero}, 0),
                            g.integers({-1, size_[0], size_[1], -1})});
    }
    return middle(g, x, shape);
  }

 private:
  // A number in [0, count), as a list of one.
  Endpoint begin(Trace& trace, int64_t count) {
    GraphBuilder& g = trace.build();
    Endpoint counter;
    const Endpoint key = layers::random_key(trace, weight(0), counter);
    if (!key) return {};
    const Endpoint uniform =
        g.op("StatelessRandomUniformV2", {g.integers({1}), key, counter, g.scalar<int32_t>(1)},
             {{"dtype", DType::kFloat}});
    return g.cast(g.mul(uniform, g.scalar_of(DType::kFloat, static_cast<double>(count))),
                  DType::kInt32);
  }
  // Of images that are not larger both ways: what lies from the middle's beginning on, enlarged.
  Endpoint middle(GraphBuilder& g, Endpoint x, const PartialShape& shape) const {
    std::array<int64_t, 2> from, count;
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t own = shape[static_cast<int>(axis) + 1];
      const auto other = static_cast<double>(shape[2 - static_cast<int>(axis)]);
      const double wanted =
          other * static_cast<double>(size_[axis]) / static_cast<double>(size_[1 - axis]);
      const auto cut = static_cast<int64_t>(std::min(static_cast<double>(own), wanted));
      from[axis] = (own - std::max<int64_t>(1, cut)) / 2;
      count[axis] = std::min(size_[axis], own - from[axis]);
    }
    const Endpoint part = g.op("Slice", {x, g.integers({0, from[0], from[1], 0}),
                                         g.integers({-1, count[0], count[1], -1})});
    if (count == size_) return part;
    return resized(g, part);
  }
  Endpoint resized(GraphBuilder& g, Endpoint x) const {
    const Endpoint y = g.op("ResizeBilinear", {x, g.integers({size_[0], size_[1]})},
                            {{"half_pixel_centers", true}});
    return g.cast(y, policy().compute);
  }

  std::array<int64_t, 2> size_ = {0, 0};
  std::optional<int64_t> seed_;
};

}  // namespace

std::shared_ptr<Layer> layers::make_random_crop() { return std::make_shared<RandomCropLayer>(); }

}  // namespace tenon::keras
