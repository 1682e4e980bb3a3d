// Layers that repeat, cut off or add positions.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Each position of the axes from 1 on `sizes` times, one after the other: the nearest neighbours of
// a larger image.
Endpoint repeat_positions(GraphBuilder& g, Endpoint x, std::span<const int64_t> sizes) {
  if (!g.status().ok()) return {};
  const PartialShape shape = g.shape(x);
  std::vector<int64_t> split = {-1}, times = {1}, joined = {-1};
  for (int axis = 1; axis < shape.rank(); ++axis) {
    const size_t at = static_cast<size_t>(axis) - 1;
    split.push_back(shape[axis]);
    times.push_back(1);
    joined.push_back(shape[axis]);
    if (at >= sizes.size()) continue;
    split.push_back(1);
    times.push_back(sizes[at]);
    if (__builtin_mul_overflow(joined.back(), sizes[at], &joined.back()) ||
        joined.back() > INT32_MAX) {
      g.fail(invalid_argument("size ", sizes[at], " makes the output too large"));
      return {};
    }
  }
  x = g.op("Tile", {g.reshape(x, split), g.integers(times)});
  return g.reshape(x, joined);
}

Status check_known(const PartialShape& input, int rank) {
  for (int axis = 1; axis < rank; ++axis) {
    TENON_RETURN_IF_ERROR(layers::known_dim(input, rank, axis).status());
  }
  return absl::OkStatus();
}

class UpSampling1DLayer final : public Layer {
 public:
  explicit UpSampling1DLayer(int64_t size) : size_(size) {}
  std::string_view class_name() const override { return "UpSampling1D"; }
  void fields(ConfigFields& f) override { f.field("size", size_); }
  Status build(const Shapes& inputs) override {
    if (size_ <= 0) return invalid_argument("size is ", size_, ", expected more than 0");
    return check_known(inputs[0], 3);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return repeat_positions(trace.build(), inputs[0], {&size_, 1});
  }

 private:
  int64_t size_;
};

class UpSampling2DLayer final : public Layer {
 public:
  explicit UpSampling2DLayer(std::array<int64_t, 2> size) : size_(size) {}
  std::string_view class_name() const override { return "UpSampling2D"; }
  void fields(ConfigFields& f) override {
    f.sizes("size", size_);
    f.only("data_format", "channels_last");
    f.field("interpolation", interpolation_);
  }
  Status build(const Shapes& inputs) override {
    if (std::min(size_[0], size_[1]) <= 0 || std::max(size_[0], size_[1]) > INT32_MAX) {
      return invalid_argument("size must be above 0");
    }
    if (interpolation_ != "nearest" && interpolation_ != "bilinear" &&
        interpolation_ != "bicubic") {
      return unimplemented("interpolation '", interpolation_,
                           "' is not implemented; there are nearest, bilinear and bicubic");
    }
    return check_known(inputs[0], 4);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    if (interpolation_ == "nearest") return repeat_positions(g, inputs[0], size_);
    std::vector<int64_t> sizes;
    for (int axis : {1, 2}) {
      int64_t size = 0;
      if (__builtin_mul_overflow(g.shape(inputs[0])[axis], size_[static_cast<size_t>(axis) - 1],
                                 &size) ||
          size > INT32_MAX) {
        g.fail(invalid_argument("size makes the output too large"));
        return {};
      }
      sizes.push_back(size);
    }
    const Endpoint y = g.op(interpolation_ == "bilinear" ? "ResizeBilinear" : "ResizeBicubic",
                            {inputs[0], g.integers(sizes)}, {{"half_pixel_centers", true}});
    return g.cast(y, g.dtype(inputs[0]));
  }

 private:
  std::array<int64_t, 2> size_;
  std::string interpolation_ = "nearest";
};

class UpSampling3DLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "UpSampling3D"; }
  void fields(ConfigFields& f) override {
    f.field("size", sizes_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    if (sizes_.size() != 3 || *std::min_element(sizes_.begin(), sizes_.end()) <= 0) {
      return invalid_argument("size is (", join(sizes_, ", "), "), expected three numbers above 0");
    }
    return check_known(inputs[0], 5);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    return repeat_positions(trace.build(), inputs[0], sizes_);
  }

 private:
  std::vector<int64_t> sizes_ = {2, 2, 2};
};

class RepeatVectorLayer final : public Layer {
 public:
  explicit RepeatVectorLayer(int64_t n) : n_(n) {}
  std::string_view class_name() const override { return "RepeatVector"; }
  void fields(ConfigFields& f) override { f.field("n", n_); }
  Status build(const Shapes& inputs) override {
    if (n_ <= 0 || n_ > INT32_MAX) return invalid_argument("n is ", n_, ", expected more than 0");
    return layers::known_dim(inputs[0], 2, 1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = g.op("ExpandDims", {inputs[0], g.scalar<int32_t>(1)});
    return g.op("Tile", {x, g.integers({1, n_, 1})});
  }

 private:
  int64_t n_;
};

// [[top, bottom], [left, right]] as Keras writes it, or [left, right] along one axis.
using Margins = std::vector<std::array<int64_t, 2>>;

void margin_field(ConfigFields& f, std::string_view name, Margins& margins) {
  if (margins.size() == 1) return f.sizes(name, margins[0]);
  Json json{Json::Array()};
  for (const auto& [before, after] : margins) json.push(Json(Json::Array{before, after}));
  f.field(name, json);
  const auto* items = json.items();
  for (size_t i = 0; i < margins.size(); ++i) {
    const Json& one = items && i < items->size() ? (*items)[i] : json;
    const auto* both = one.items();
    for (size_t side = 0; side < 2; ++side) {
      const Json& value = both && both->size() == 2 ? (*both)[side] : one;
      margins[i][side] = value.integer() ? *value.integer() : -1;
    }
  }
}

class CroppingLayer final : public Layer {
 public:
  CroppingLayer(std::string_view class_name, Margins margins)
      : class_name_(class_name), margins_(std::move(margins)) {}
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    margin_field(f, "cropping", margins_);
    if (margins_.size() > 1) f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    const int rank = static_cast<int>(margins_.size()) + 2;
    TENON_RETURN_IF_ERROR(check_known(inputs[0], rank));
    for (int axis = 1; axis + 1 < rank; ++axis) {
      const auto& [before, after] = margins_[static_cast<size_t>(axis) - 1];
      const int64_t size = inputs[0][axis];
      if (before < 0 || after < 0 || before >= size || after >= size - before) {
        return invalid_argument("cropping (", before, ", ", after, ") leaves nothing of ", size,
                                " positions, or is negative");
      }
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<int64_t> begin = {0}, size = {-1};
    for (size_t i = 0; i < margins_.size(); ++i) {
      const int64_t all = g.shape(inputs[0])[static_cast<int>(i) + 1];
      begin.push_back(margins_[i][0]);
      size.push_back(all - margins_[i][0] - margins_[i][1]);
    }
    begin.push_back(0);
    size.push_back(-1);
    return g.op("Slice", {inputs[0], g.integers(begin), g.integers(size)});
  }

 private:
  std::string_view class_name_;
  Margins margins_;
};

class ZeroPaddingLayer final : public Layer {
 public:
  ZeroPaddingLayer(std::string_view class_name, Margins margins)
      : class_name_(class_name), margins_(std::move(margins)) {}
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    margin_field(f, "padding", margins_);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    for (const auto& [before, after] : margins_) {
      if (std::min(before, after) < 0 || std::max(before, after) > INT32_MAX) {
        return invalid_argument("padding (", before, ", ", after, "): expected numbers from 0 on");
      }
    }
    return layers::known_dim(inputs[0], static_cast<int>(margins_.size()) + 2, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<int32_t> pads = {0, 0};
    for (const auto& [before, after] : margins_) {
      pads.push_back(static_cast<int32_t>(before));
      pads.push_back(static_cast<int32_t>(after));
    }
    pads.insert(pads.end(), {0, 0});
    const Shape shape{static_cast<int64_t>(margins_.size()) + 2, 2};
    return g.op("Pad", {inputs[0], g.constant(Tensor::from<int32_t>(shape, pads))});
  }

 private:
  std::string_view class_name_;
  Margins margins_;
};

template <class T, class... Args>
LayerRef named(std::string_view name, Args&&... args) {
  auto layer = std::make_shared<T>(std::forward<Args>(args)...);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}

}  // namespace

LayerRef UpSampling1D(int64_t size, std::string_view name) {
  return named<UpSampling1DLayer>(name, size);
}
LayerRef UpSampling2D(std::array<int64_t, 2> size, std::string_view name) {
  return named<UpSampling2DLayer>(name, size);
}
LayerRef RepeatVector(int64_t n, std::string_view name) {
  return named<RepeatVectorLayer>(name, n);
}
LayerRef Cropping1D(std::array<int64_t, 2> cropping, std::string_view name) {
  return named<CroppingLayer>(name, "Cropping1D", Margins{cropping});
}
LayerRef Cropping2D(std::array<std::array<int64_t, 2>, 2> cropping, std::string_view name) {
  return named<CroppingLayer>(name, "Cropping2D", Margins(cropping.begin(), cropping.end()));
}
LayerRef ZeroPadding1D(std::array<int64_t, 2> padding, std::string_view name) {
  return named<ZeroPaddingLayer>(name, "ZeroPadding1D", Margins{padding});
}
std::shared_ptr<Layer> layers::make_up_sampling1d() { return UpSampling1D().ptr(); }
std::shared_ptr<Layer> layers::make_up_sampling2d() { return UpSampling2D().ptr(); }
std::shared_ptr<Layer> layers::make_repeat_vector() { return RepeatVector(0).ptr(); }
std::shared_ptr<Layer> layers::make_cropping1d() { return Cropping1D().ptr(); }
std::shared_ptr<Layer> layers::make_cropping2d() { return Cropping2D().ptr(); }
std::shared_ptr<Layer> layers::make_zero_padding1d() { return ZeroPadding1D().ptr(); }
std::shared_ptr<Layer> layers::make_up_sampling3d() {
  return std::make_shared<UpSampling3DLayer>();
}
std::shared_ptr<Layer> layers::make_cropping3d() {
  return std::make_shared<CroppingLayer>("Cropping3D", Margins(3, {1, 1}));
}
std::shared_ptr<Layer> layers::make_zero_padding3d() {
  return std::make_shared<ZeroPaddingLayer>("ZeroPadding3D", Margins(3, {1, 1}));
}

}  // namespace tenon::keras
