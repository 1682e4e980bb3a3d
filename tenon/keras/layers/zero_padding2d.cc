#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

using PaddingPairs = std::array<std::array<int64_t, 2>, 2>;

class ZeroPadding2DLayer final : public Layer {
 public:
  explicit ZeroPadding2DLayer(PaddingPairs padding) : padding_(padding) {}
  std::string_view class_name() const override { return "ZeroPadding2D"; }
  void fields(ConfigFields& f) override {
    Json json{Json::Array()};
    for (const auto& side : padding_) {
      json.push(Json::array(std::vector<int64_t>{side[0], side[1]}));
    }
    f.field("padding", json);
    read(json);
    f.only("data_format", "channels_last");
  }
  Status build(const Shapes& inputs) override {
    for (const auto& side : padding_) {
      if (side[0] < 0 || side[1] < 0) {
        return invalid_argument(
            "padding must be a number, (height, width), or "
            "((top, bottom), (left, right)), none negative");
      }
    }
    return layers::known_dim(inputs[0], 4, -1).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<int32_t> rows = {0, 0};
    for (const auto& side : padding_) {
      rows.push_back(static_cast<int32_t>(side[0]));
      rows.push_back(static_cast<int32_t>(side[1]));
    }
    rows.insert(rows.end(), {0, 0});
    return g.op("Pad", {inputs[0], g.constant(Tensor::from<int32_t>({4, 2}, rows))});
  }

 private:
  // 1, [1, 2] or [[1, 1], [2, 2]]; anything else leaves -1, which build() refuses.
  void read(const Json& json) {
    const auto number = [](const Json& value) { return value.integer() ? *value.integer() : -1; };
    const auto at = [](const Json& value, size_t i) -> const Json& {
      static const Json none;
      return value.items() && value.items()->size() == 2 ? (*value.items())[i] : none;
    };
    for (size_t axis = 0; axis < 2; ++axis) {
      const Json& side = json.integer() ? json : at(json, axis);
      for (size_t end = 0; end < 2; ++end) {
        padding_[axis][end] = number(side.integer() ? side : at(side, end));
      }
    }
  }

  PaddingPairs padding_;
};

}  // namespace

LayerRef ZeroPadding2D(PaddingPairs padding, std::string_view name) {
  auto layer = std::make_shared<ZeroPadding2DLayer>(padding);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_zero_padding2d() {
  return std::make_shared<ZeroPadding2DLayer>(PaddingPairs{{{1, 1}, {1, 1}}});
}

}  // namespace tenon::keras
