#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Images of another size, whatever their aspect.
class ResizingLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Resizing"; }
  void fields(ConfigFields& f) override {
    f.field("height", size_[0]);
    f.field("width", size_[1]);
    f.field("interpolation", interpolation_);
    f.only("crop_to_aspect_ratio", false);
    f.only("pad_to_aspect_ratio", false);
    f.only("fill_mode", "constant");
    f.only("fill_value", 0.0);
    f.only("antialias", false);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    if (std::min(size_[0], size_[1]) <= 0 || std::max(size_[0], size_[1]) > INT32_MAX) {
      return invalid_argument("height and width are ", size_[0], " and ", size_[1],
                              ", expected numbers above 0");
    }
    if (op().empty()) {
      return unimplemented("interpolation '", interpolation_,
                           "' is not implemented; there are bilinear, nearest and bicubic");
    }
    return layers::known_dim(inputs[0], 4, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = policy().compute;
    const Endpoint size = g.integers({size_[0], size_[1]});
    return g.cast(g.op(op(), {g.cast(inputs[0], dtype), size}, {{"half_pixel_centers", true}}),
                  dtype);
  }

 private:
  std::string_view op() const {
    if (interpolation_ == "bilinear") return "ResizeBilinear";
    if (interpolation_ == "nearest") return "ResizeNearestNeighbor";
    return interpolation_ == "bicubic" ? "ResizeBicubic" : "";
  }

  std::array<int64_t, 2> size_ = {0, 0};
  std::string interpolation_ = "bilinear";
};

}  // namespace

std::shared_ptr<Layer> layers::make_resizing() { return std::make_shared<ResizingLayer>(); }

}  // namespace tenon::keras
