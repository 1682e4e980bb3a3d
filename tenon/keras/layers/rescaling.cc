#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class RescalingLayer final : public Layer {
 public:
  explicit RescalingLayer(RescalingOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Rescaling"; }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("scale", o_.scale);
    f.field("offset", o_.offset);
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = policy().compute;
    const Endpoint x = g.cast(inputs[0], dtype);
    return g.add(g.mul(x, g.scalar_of(dtype, o_.scale)), g.scalar_of(dtype, o_.offset));
  }

 private:
  RescalingOptions o_;
};

}  // namespace

LayerRef Rescaling(RescalingOptions options) {
  return std::make_shared<RescalingLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_rescaling() {
  return std::make_shared<RescalingLayer>(RescalingOptions{});
}

}  // namespace tenon::keras
