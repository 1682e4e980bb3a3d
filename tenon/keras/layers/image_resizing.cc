#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Images of another size: whatever their aspect, or cut or padded to that of the size first.
class ResizingLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "Resizing"; }
  void fields(ConfigFields& f) override {
    f.field("height", size_[0]);
    f.field("width", size_[1]);
    f.field("interpolation", interpolation_);
    f.field("crop_to_aspect_ratio", crop_);
    f.field("pad_to_aspect_ratio", pad_);
    f.only("fill_mode", "constant");
    f.field("fill_value", fill_value_);
    f.field("antialias", antialias_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    if (std::min(size_[0], size_[1]) <= 0 || std::max(size_[0], size_[1]) > INT32_MAX) {
      return invalid_argument("height and width are ", size_[0], " and ", size_[1],
                              ", expected numbers above 0");
    }
    if (op().empty() && filter().empty()) {
      return invalid_argument("interpolation '", interpolation_,
                              "'; expected bilinear, nearest, bicubic, lanczos3 or lanczos5");
    }
    if (crop_ && pad_) {
      return invalid_argument(
          "Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`.");
    }
    for (int axis = 1; axis < 3 && (crop_ || pad_); ++axis) {
      TENON_RETURN_IF_ERROR(layers::known_dim(inputs[0], 4, axis).status());
    }
    if (pad_) TENON_RETURN_IF_ERROR(layers::check_window("the padded size", in_aspect(inputs[0])));
    return layers::known_dim(inputs[0], 4, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = policy().compute;
    Endpoint x = g.cast(inputs[0], dtype);
    if (!g.status().ok()) return {};
    if (crop_) x = cropped(g, x);
    if (pad_) x = padded(g, x);
    const Endpoint size = g.integers({size_[0], size_[1]});
    if (!antialias_ && !op().empty()) {
      return g.cast(g.op(op(), {x, size}, {{"half_pixel_centers", true}}), dtype);
    }
    if (filter().empty()) {  // of nearest neighbours there is no other way
      return g.op(op(), {x, size}, {{"half_pixel_centers", true}});
    }
    const Endpoint from = g.slice(g.shape_of(x), 1, 3);
    const Endpoint scale = g.div(g.cast(size, DType::kFloat), g.cast(from, DType::kFloat));
    const Endpoint origin = g.constant(Tensor::vector<float>(std::vector<float>{0, 0}));
    const Endpoint y = g.op("ScaleAndTranslate", {x, size, scale, origin},
                            {{"kernel_type", std::string(filter())}, {"antialias", antialias_}});
    return g.cast(y, dtype);
  }

 private:
  // The height and width of the aspect wanted that an image of `shape` has room for, or that have
  // room for it: keras/src/backend/tensorflow/image.py, resize, in its float32.
  std::array<int64_t, 2> in_aspect(const PartialShape& shape) const {
    const auto scaled = [&](int64_t other, size_t to, size_t from) {
      const double product = static_cast<double>(other) * static_cast<double>(size_[to]);
      const float size = static_cast<float>(product) / static_cast<float>(size_[from]);
      return size < 0x1p62f ? static_cast<int64_t>(size) : int64_t{1} << 62;
    };
    std::array<int64_t, 2> sizes = {scaled(shape[2], 0, 1), scaled(shape[1], 1, 0)};
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t now = shape[static_cast<int>(axis) + 1];
      sizes[axis] =
          crop_ ? std::max<int64_t>(1, std::min(now, sizes[axis])) : std::max(now, sizes[axis]);
    }
    return sizes;
  }
  Endpoint cropped(GraphBuilder& g, Endpoint x) const {
    const PartialShape shape = g.shape(x);
    const auto [height, width] = in_aspect(shape);
    const Endpoint begin = g.integers({0, (shape[1] - height) / 2, (shape[2] - width) / 2, 0});
    return g.op("Slice", {x, begin, g.integers({-1, height, width, -1})});
  }
  // As many rows and columns on both sides.
  Endpoint padded(GraphBuilder& g, Endpoint x) const {
    const PartialShape shape = g.shape(x);
    const auto [height, width] = in_aspect(shape);
    const auto above = static_cast<int32_t>((height - shape[1]) / 2);
    const auto before = static_cast<int32_t>((width - shape[2]) / 2);
    const std::vector<int32_t> pads = {0, 0, above, above, before, before, 0, 0};
    return g.op("PadV2", {x, g.constant(Tensor::from<int32_t>(Shape{4, 2}, pads)),
                          g.scalar_of(g.dtype(x), fill_value_)});
  }

  // ScaleAndTranslate's filter for what is resized by it: all but nearest neighbours, where the
  // interpolation has no op of its own or has to take all pixels into account.
  std::string_view filter() const {
    if (interpolation_ == "bilinear") return "triangle";
    if (interpolation_ == "bicubic") return "keyscubic";
    if (interpolation_ == "lanczos3") return "lanczos3";
    return interpolation_ == "lanczos5" ? "lanczos5" : "";
  }
  std::string_view op() const {
    if (interpolation_ == "bilinear") return "ResizeBilinear";
    if (interpolation_ == "nearest") return "ResizeNearestNeighbor";
    return interpolation_ == "bicubic" ? "ResizeBicubic" : "";
  }

  std::array<int64_t, 2> size_ = {0, 0};
  std::string interpolation_ = "bilinear";
  bool crop_ = false, pad_ = false, antialias_ = false;
  double fill_value_ = 0;
};

}  // namespace

std::shared_ptr<Layer> layers::make_resizing() { return std::make_shared<ResizingLayer>(); }

}  // namespace tenon::keras
