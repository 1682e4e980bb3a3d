#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Vectors along an axis, divided by their length.
class UnitNormalizationLayer final : public Layer {
 public:
  explicit UnitNormalizationLayer(int64_t axis) : axis_(axis) {}
  std::string_view class_name() const override { return "UnitNormalization"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("axis", axis_); }
  Status build(const Shapes& inputs) override {
    return resolve_axis(axis_, inputs[0].rank()).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const int64_t axes[] = {axis_};
    const Endpoint inverse = g.op("Rsqrt", {g.sum(g.op("Square", {x}), axes, true)});
    return g.mul(x, g.op("Minimum", {inverse, g.scalar_of(g.dtype(x), 1e12)}));
  }

 private:
  int64_t axis_;
};

}  // namespace

LayerRef UnitNormalization(int64_t axis, std::string_view name) {
  auto layer = std::make_shared<UnitNormalizationLayer>(axis);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_unit_normalization() {
  return std::make_shared<UnitNormalizationLayer>(-1);
}

}  // namespace tenon::keras
