#include <cmath>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// Layers that do something random in training and nothing otherwise: one row each.
struct NoiseRow {
  std::string_view class_name;
  std::string_view option;  // "rate" or "stddev"
  int rank;                 // of the input; 0: any
  Endpoint (*noise)(Trace& trace, Endpoint x, double amount, const Weight& state);
};

Endpoint normal(Trace& trace, Endpoint x, double mean, double deviation, const Weight& state) {
  GraphBuilder& g = trace.build();
  Endpoint counter;
  const Endpoint key = layers::random_key(trace, state, counter);
  if (!key) return {};
  const Endpoint drawn =
      g.op("StatelessRandomNormalV2", {g.shape_of(x), key, counter, g.scalar<int32_t>(1)},
           {{"dtype", g.dtype(x)}});
  const Endpoint scaled = g.mul(drawn, g.scalar_of(g.dtype(x), deviation));
  return g.add(scaled, g.scalar_of(g.dtype(x), mean));
}

Endpoint gaussian_noise(Trace& trace, Endpoint x, double deviation, const Weight& state) {
  return trace.build().add(x, normal(trace, x, 0, deviation, state));
}

Endpoint gaussian_dropout(Trace& trace, Endpoint x, double rate, const Weight& state) {
  return trace.build().mul(x, normal(trace, x, 1, std::sqrt(rate / (1 - rate)), state));
}

// Keeps mean and variance of what a SELU gives (Klambauer et al. 2017, equation 17).
Endpoint alpha_dropout(Trace& trace, Endpoint x, double rate, const Weight& state) {
  constexpr double kAlpha = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
  GraphBuilder& g = trace.build();
  Endpoint counter;
  const Endpoint key = layers::random_key(trace, state, counter);
  if (!key) return {};
  const Endpoint uniform =
      g.op("StatelessRandomUniformV2", {g.shape_of(x), key, counter, g.scalar<int32_t>(1)},
           {{"dtype", g.dtype(x)}});
  const Endpoint keep = g.op("GreaterEqual", {uniform, g.scalar_of(g.dtype(x), rate)});
  const double a = 1 / std::sqrt((1 - rate) * (1 + rate * kAlpha * kAlpha));
  const Endpoint kept = g.op("SelectV2", {keep, x, g.scalar_of(g.dtype(x), kAlpha)});
  return g.add(g.mul(kept, g.scalar_of(g.dtype(x), a)),
               g.scalar_of(g.dtype(x), -a * kAlpha * rate));
}

// Whole channels are dropped.
Endpoint spatial_dropout(Trace& trace, Endpoint x, double rate, const Weight& state) {
  GraphBuilder& g = trace.build();
  const Endpoint shape = g.shape_of(x);
  const int64_t rank = g.shape(x).rank();
  const auto part = [&](int64_t from) { return g.slice(shape, from, from + 1); };
  const std::vector<int64_t> ones(static_cast<size_t>(rank - 2), 1);
  const Endpoint noise_shape = g.concat({part(0), g.integers(ones), part(rank - 1)}, 0);
  return layers::dropout(trace, x, rate, state, noise_shape);
}

constexpr NoiseRow kGaussianNoise = {"GaussianNoise", "stddev", 0, gaussian_noise};
constexpr NoiseRow kGaussianDropout = {"GaussianDropout", "rate", 0, gaussian_dropout};
constexpr NoiseRow kAlphaDropout = {"AlphaDropout", "rate", 0, alpha_dropout};
constexpr NoiseRow kSpatialDropout1D = {"SpatialDropout1D", "rate", 3, spatial_dropout};
constexpr NoiseRow kSpatialDropout2D = {"SpatialDropout2D", "rate", 4, spatial_dropout};
constexpr NoiseRow kSpatialDropout3D = {"SpatialDropout3D", "rate", 5, spatial_dropout};

class NoiseLayer final : public Layer {
 public:
  explicit NoiseLayer(const NoiseRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  bool supports_masking() const override { return row_.rank == 0; }
  bool is_built_at_init() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field(row_.option, amount_);
    f.field("seed", seed_);
    if (row_.rank > 3) f.only("data_format", "channels_last");
    if (row_.noise == alpha_dropout) f.only("noise_shape", nullptr);
  }
  Status build(const Shapes& inputs) override {
    const bool is_rate = row_.option == "rate";
    if (!(amount_ >= 0 && amount_ <= 1) || (is_rate && amount_ == 1)) {
      return invalid_argument(row_.option, " is ", amount_, ", expected a number from 0 to ",
                              is_rate ? "below 1" : "1");
    }
    if (row_.rank > 0 && inputs[0].rank() != row_.rank) {
      return invalid_argument("the input has shape ", inputs[0], ", expected ", row_.rank,
                              " dimensions");
    }
    layers::add_dropout_seed(*this, amount_, seed_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    if (!trace.training() || amount_ == 0) return inputs[0];
    return row_.noise(trace, inputs[0], amount_, weight(0));
  }

  // Keras leaves the spatial ones' trainable out, and names their dtype.
  Json describe() const override {
    Json json = Layer::describe();
    if (row_.rank == 0) return json;
    Json config = Json::object();
    for (const auto& [name, value] : *json["config"].members()) {
      if (name == "dtype") config.append(name, policy().name);
      if (name != "dtype" && name != "trainable") config.append(name, value);
    }
    json.set("config", std::move(config));
    return json;
  }

 private:
  const NoiseRow& row_;
  double amount_ = 0.5;
  std::optional<int64_t> seed_;
};

}  // namespace

namespace layers {

std::shared_ptr<Layer> make_gaussian_noise() {
  return std::make_shared<NoiseLayer>(kGaussianNoise);
}
std::shared_ptr<Layer> make_gaussian_dropout() {
  return std::make_shared<NoiseLayer>(kGaussianDropout);
}
std::shared_ptr<Layer> make_alpha_dropout() { return std::make_shared<NoiseLayer>(kAlphaDropout); }
std::shared_ptr<Layer> make_spatial_dropout1d() {
  return std::make_shared<NoiseLayer>(kSpatialDropout1D);
}
std::shared_ptr<Layer> make_spatial_dropout2d() {
  return std::make_shared<NoiseLayer>(kSpatialDropout2D);
}
std::shared_ptr<Layer> make_spatial_dropout3d() {
  return std::make_shared<NoiseLayer>(kSpatialDropout3D);
}

}  // namespace layers

}  // namespace tenon::keras
