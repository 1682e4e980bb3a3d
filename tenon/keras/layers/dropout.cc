#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// As tf.nn.experimental.stateless_dropout with a keras.random.SeedGenerator: from an equal seed,
// the same elements are dropped.
class DropoutLayer final : public Layer {
 public:
  explicit DropoutLayer(DropoutOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Dropout"; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("rate", o_.rate);
    f.field("seed", o_.seed);
    f.only("noise_shape", nullptr);
  }
  Status build(std::span<const PartialShape>) override {
    if (!(o_.rate >= 0 && o_.rate <= 1)) {
      return invalid_argument("rate is ", o_.rate, ", expected a number from 0 to 1");
    }
    if (o_.rate > 0) {
      Initializer seed = "zeros";
      if (o_.seed) seed = Initializer("Constant").with("value", *o_.seed);
      add_weight("seed_generator_state", {2}, seed, WeightKind::kSeed, DType::kInt64);
    }
    return absl::OkStatus();
  }
  Endpoint call(Trace& trace, std::span<const Endpoint> inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    if (!trace.training() || o_.rate == 0) return x;
    if (o_.rate == 1) return g.zeros_like(x);
    const Endpoint seed = trace.read(weight(0));
    const Endpoint folded = g.op("FloorMod", {seed, g.scalar<int64_t>(2147483646)});
    const std::vector<Endpoint> key = g.ops("StatelessRandomGetKeyCounter", {folded});
    if (key.size() != 2) return {};
    const Endpoint uniform =
        g.op("StatelessRandomUniformV2", {g.shape_of(x), key[0], key[1], g.scalar<int32_t>(1)},
             {{"dtype", g.dtype(x)}});
    const int64_t one_draw[] = {0, 1};
    trace.assign_add(weight(0), g.constant(Tensor::vector<int64_t>(one_draw)));
    const Endpoint keep = g.op("GreaterEqual", {uniform, g.scalar_of(g.dtype(x), o_.rate)});
    const Endpoint scaled = g.mul(x, g.scalar_of(g.dtype(x), 1 / (1 - o_.rate)));
    return g.op("SelectV2", {keep, scaled, g.scalar_of(g.dtype(x), 0)});
  }

 private:
  DropoutOptions o_;
};

}  // namespace

LayerRef Dropout(DropoutOptions options) {
  return std::make_shared<DropoutLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_dropout() {
  return std::make_shared<DropoutLayer>(DropoutOptions{});
}

}  // namespace tenon::keras
