#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// As tf.nn.experimental.stateless_dropout with a keras.random.SeedGenerator: from an equal seed,
// the same elements are dropped.
class DropoutLayer final : public Layer {
 public:
  explicit DropoutLayer(DropoutOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Dropout"; }
  bool supports_masking() const override { return true; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("rate", o_.rate);
    f.field("seed", o_.seed);
    f.field("noise_shape", noise_shape_);
  }
  Status build(const Shapes& inputs) override {
    if (!(o_.rate >= 0 && o_.rate <= 1)) {
      return invalid_argument("rate is ", o_.rate, ", expected a number from 0 to 1");
    }
    TENON_RETURN_IF_ERROR(check_noise_shape(inputs[0]));
    layers::add_dropout_seed(*this, o_.rate, o_.seed);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    if (!trace.training() || o_.rate == 0) return x;
    if (o_.rate == 1) return g.zeros_like(x);
    return layers::dropout(trace, x, o_.rate, weight(0), noise_shape(g, x));
  }

 private:
  // Null, or for each axis null (the input's size) or a size that is broadcast to the input's.
  Status check_noise_shape(const PartialShape& x) const {
    if (noise_shape_.is_null()) return absl::OkStatus();
    const Json::Array* sizes = noise_shape_.items();
    bool fits = sizes && x.has_rank() && sizes->size() == static_cast<size_t>(x.rank());
    for (int axis = 0; fits && axis < x.rank(); ++axis) {
      const Json& entry = (*sizes)[static_cast<size_t>(axis)];
      const int64_t* size = entry.integer();
      fits = entry.is_null() || (size && (*size == 1 || x[axis] < 0 || *size == x[axis]));
    }
    if (fits) return absl::OkStatus();
    return invalid_argument("noise_shape is ", noise_shape_.dump(), ", which is not broadcast to ",
                            x);
  }
  // Of the draws, as a tensor; none: the input's own.
  Endpoint noise_shape(GraphBuilder& g, Endpoint x) const {
    if (noise_shape_.is_null()) return {};
    const Endpoint own = g.shape_of(x);
    std::vector<Endpoint> sizes;
    for (const Json& entry : *noise_shape_.items()) {
      const auto at = static_cast<int64_t>(sizes.size());
      const int64_t* size = entry.integer();
      sizes.push_back(size ? g.integers({*size}) : g.slice(own, at, at + 1));
    }
    return g.concat(std::move(sizes), 0);
  }

  DropoutOptions o_;
  Json noise_shape_;  // as Keras writes it
};

}  // namespace

size_t layers::add_dropout_seed(Layer& layer, double rate, std::optional<int64_t> seed) {
  if (rate == 0) return 0;
  Initializer first = "zeros";
  if (seed) first = Initializer("Constant").with("value", *seed);
  return layer.add_weight("seed_generator_state", {2}, first, WeightKind::kSeed, DType::kInt64);
}

Endpoint layers::random_key(Trace& trace, const Weight& state, Endpoint& counter) {
  GraphBuilder& g = trace.build();
  const Endpoint seed = trace.read(state);
  const Endpoint folded = g.op("FloorMod", {seed, g.scalar<int64_t>(2147483646)});
  const std::vector<Endpoint> key = g.ops("StatelessRandomGetKeyCounter", {folded});
  if (key.size() != 2) return {};
  const int64_t one_draw[] = {0, 1};
  trace.assign_add(state, g.constant(Tensor::vector<int64_t>(one_draw)));
  counter = key[1];
  return key[0];
}

Endpoint layers::dropout(Trace& trace, Endpoint x, double rate, const Weight& state,
                         Endpoint noise_shape) {
  GraphBuilder& g = trace.build();
  Endpoint counter;
  const Endpoint key = random_key(trace, state, counter);
  if (!key) return {};
  const Endpoint shape = noise_shape ? noise_shape : g.shape_of(x);
  const Endpoint uniform =
      g.op("StatelessRandomUniformV2", {shape, key, counter, g.scalar<int32_t>(1)},
           {{"dtype", g.dtype(x)}});
  const Endpoint keep = g.op("GreaterEqual", {uniform, g.scalar_of(g.dtype(x), rate)});
  const Endpoint scaled = g.mul(x, g.scalar_of(g.dtype(x), 1 / (1 - rate)));
  return g.op("SelectV2", {keep, scaled, g.scalar_of(g.dtype(x), 0)});
}

LayerRef Dropout(DropoutOptions options) {
  return std::make_shared<DropoutLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_dropout() {
  return std::make_shared<DropoutLayer>(DropoutOptions{});
}

}  // namespace tenon::keras
