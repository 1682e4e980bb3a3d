#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/weights_file.h"

namespace tenon::keras {

namespace {

// A layer whose kernel is divided by its greatest singular value before each step of training,
// found by power iteration; in inference the layer alone.
class SpectralNormalizationLayer final : public Layer, public HasFileWeights {
 public:
  std::string_view class_name() const override { return "SpectralNormalization"; }
  void fields(ConfigFields& f) override {
    std::shared_ptr<Layer> layer = layer_;
    f.layer("layer", layer);
    if (!layer_ && layer) {
      layer_ = std::move(layer);
      if (layer_->name().empty()) layer_->set_name(to_snake_case(layer_->class_name()));
      add_child("layer", layer_);
    }
    f.field("power_iterations", power_iterations_);
  }
  Status build(const Shapes& inputs) override {
    if (!layer_) return invalid_argument("'layer' is missing");
    if (power_iterations_ < 1 || power_iterations_ > kMostIterations) {
      return invalid_argument("power_iterations is ", power_iterations_, ", expected 1 to ",
                              kMostIterations);
    }
    TENON_RETURN_IF_ERROR(with_context(layer_->ensure_built(inputs), layer_->who()));
    const Weight* own = kernel();
    if (!own || own->shape.rank() < 2) {
      return invalid_argument(layer_->class_name(), " has no attribute 'kernel' nor 'embeddings'");
    }
    add_weight("vector_u", {1, own->shape[own->shape.rank() - 1]},
               Initializer("TruncatedNormal").with("stddev", 0.02), WeightKind::kNonTrainable,
               own->dtype);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    if (trace.training()) normalize(trace);
    Outputs outputs = layer_->apply(trace, inputs);
    GraphBuilder& g = trace.build();
    for (Value& output : outputs) output.tensor = g.cast(output.tensor, g.dtype(inputs[0]));
    return outputs;
  }
  // Keras stores the kernel with this layer too, which has an attribute for it.
  std::vector<Weight*> file_weights() override {
    std::vector<Weight*> weights = stored_weights();
    weights.insert(weights.begin(), kernel());
    return weights;
  }

 private:
  static constexpr int64_t kMostIterations = 1000;

  Weight* kernel() const {
    for (Weight& weight : layer_->weights()) {
      if (weight.name == "kernel" || weight.name == "embeddings") return &weight;
    }
    return nullptr;
  }

  // keras.ops.normalize() over all elements.
  static Endpoint unit(GraphBuilder& g, Endpoint x) {
    constexpr int64_t kAxes[] = {0, 1};
    const Endpoint inverse = g.op("Rsqrt", {g.sum(g.op("Square", {x}), kAxes, true)});
    return g.mul(x, g.op("Minimum", {inverse, g.scalar_of(g.dtype(x), 1e7)}));
  }

  void normalize(Trace& trace) {
    GraphBuilder& g = trace.build();
    const Weight& own = *kernel();
    const Endpoint stored = trace.read_stored(own), first = trace.read_stored(weight(0));
    const Endpoint matrix = g.reshape(stored, g.integers({-1, weight(0).shape[1]}));
    Endpoint u = first, v;
    for (int64_t i = 0; i < power_iterations_; ++i) {
      v = unit(g, g.matmul(u, matrix, false, true));
      u = unit(g, g.matmul(v, matrix));
    }
    const Endpoint sigma = g.matmul(g.matmul(v, matrix), u, false, true);
    const Endpoint flat = g.reshape(stored, g.integers({-1}));
    const Endpoint is_zero =
        g.op("All", {g.op("Equal", {flat, g.scalar_of(own.dtype, 0)}), g.integers({0})});
    const Endpoint changed = g.op("SelectV2", {is_zero, stored, g.div(stored, sigma)});
    const Endpoint vector = g.op("SelectV2", {is_zero, first, u});
    trace.assign(weight(0), vector);
    trace.assign(own, changed);
  }

  std::shared_ptr<Layer> layer_;
  int64_t power_iterations_ = 1;
};

}  // namespace

std::shared_ptr<Layer> layers::make_spectral_normalization() {
  return std::make_shared<SpectralNormalizationLayer>();
}

}  // namespace tenon::keras
