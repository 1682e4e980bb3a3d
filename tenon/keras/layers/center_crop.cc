#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// The middle of each image. Of images smaller than that the largest part of that aspect is enlarged
// (keras/src/utils/image_utils.py, smart_resize).
class CenterCropLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "CenterCrop"; }
  void fields(ConfigFields& f) override {
    f.field("height", size_[0]);
    f.field("width", size_[1]);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    for (size_t axis = 0; axis < 2; ++axis) {
      const int at = static_cast<int>(axis) + 1;
      TENON_ASSIGN_OR_RETURN(const int64_t from, layers::known_dim(inputs[0], 4, at));
      if (from == 0) return invalid_argument("the input has shape ", inputs[0], ", which is empty");
      enlarges_ |= size_[axis] > from;
    }
    return layers::check_window("height and width", size_);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = g.cast(inputs[0], policy().compute);
    if (!g.status().ok()) return {};
    const std::array<int64_t, 2> part = enlarges_ ? part_in_aspect(g.shape(x)) : size_;
    const Endpoint cut = middle(g, x, part);
    if (!enlarges_) return cut;
    return g.cast(g.op("ResizeBilinear", {cut, g.integers({size_[0], size_[1]})},
                       {{"half_pixel_centers", true}}),
                  policy().compute);
  }

 private:
  static Endpoint middle(GraphBuilder& g, Endpoint x, const std::array<int64_t, 2>& size) {
    const PartialShape& shape = g.shape(x);
    const Endpoint begin = g.integers({0, (shape[1] - size[0]) / 2, (shape[2] - size[1]) / 2, 0});
    return g.op("Slice", {x, begin, g.integers({-1, size[0], size[1], -1})});
  }
  std::array<int64_t, 2> part_in_aspect(const PartialShape& shape) const {
    std::array<int64_t, 2> part;
    for (size_t axis = 0; axis < 2; ++axis) {
      const auto own = static_cast<double>(shape[static_cast<int>(axis) + 1]);
      const auto other = static_cast<double>(shape[2 - static_cast<int>(axis)]);
      const double wanted =
          other * static_cast<double>(size_[axis]) / static_cast<double>(size_[1 - axis]);
      part[axis] = static_cast<int64_t>(std::max(1.0, std::min(own, wanted)));
    }
    return part;
  }

  bool enlarges_ = false;
  std::array<int64_t, 2> size_ = {0, 0};
};

}  // namespace

std::shared_ptr<Layer> layers::make_center_crop() { return std::make_shared<CenterCropLayer>(); }

}  // namespace tenon::keras
