#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Steps whose features all have one value do not count.
class MaskingLayer final : public Layer {
 public:
  explicit MaskingLayer(double value) : mask_value_(value) {}
  std::string_view class_name() const override { return "Masking"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override { f.field("mask_value", mask_value_); }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const Endpoint differs = g.op("NotEqual", {x, g.scalar_of(g.dtype(x), mask_value_)});
    const Endpoint any = g.op("Any", {differs, g.integers({-1})}, {{"keep_dims", true}});
    const Endpoint y = g.op("SelectV2", {any, x, g.scalar_of(g.dtype(x), 0)});
    return Value(y, g.op("Squeeze", {any}, {{"squeeze_dims", std::vector<int64_t>{-1}}}));
  }

 private:
  double mask_value_;
};

}  // namespace

LayerRef Masking(double mask_value, std::string_view name) {
  auto layer = std::make_shared<MaskingLayer>(mask_value);
  layer->set_name(name);
  return LayerRef(std::move(layer));
}
std::shared_ptr<Layer> layers::make_masking() { return std::make_shared<MaskingLayer>(0.0); }

}  // namespace tenon::keras
