#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// The middle of each image. Images smaller than that Keras enlarges; here they are refused.
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
      if (size_[axis] <= 0) return invalid_argument("height and width must be above 0");
      if (size_[axis] > from) {
        return unimplemented("an image of shape ", inputs[0], " is smaller than ", size_[0], "x",
                             size_[1], "; only cropping is implemented");
      }
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const PartialShape shape = g.shape(inputs[0]);
    const Endpoint begin = g.integers({0, (shape[1] - size_[0]) / 2, (shape[2] - size_[1]) / 2, 0});
    const Endpoint x = g.cast(inputs[0], policy().compute);
    return g.op("Slice", {x, begin, g.integers({-1, size_[0], size_[1], -1})});
  }

 private:
  std::array<int64_t, 2> size_ = {0, 0};
};

}  // namespace

std::shared_ptr<Layer> layers::make_center_crop() { return std::make_shared<CenterCropLayer>(); }

}  // namespace tenon::keras
