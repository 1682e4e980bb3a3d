#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class LayerNormalizationLayer final : public Layer {
 public:
  explicit LayerNormalizationLayer(LayerNormalizationOptions o) : o_(std::move(o)), axis_(o_.axis) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return "LayerNormalization"; }
  bool supports_masking() const override { return true; }
  bool casts_inputs() const override { return false; }
  void fields(ConfigFields& f) override {
    // Keras turns a number into a list of one when the layer is built.
    if (built() && axis_.integer()) axis_ = Json(Json::Array{axis_});
    f.field("axis", axis_);
    f.field("epsilon", o_.epsilon);
    f.field("center", o_.center);
    f.field("scale", o_.scale);
    f.only("rms_scaling", false);
    f.field("beta_initializer", beta_initializer_);
    f.field("gamma_initializer", gamma_initializer_);
    rule_fields(f,
                {"beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint"});
  }
  Status build(const Shapes& inputs) override {
    TENON_ASSIGN_OR_RETURN(axes_, layers::resolve_axes(axis_, inputs[0].rank()));
    std::vector<int64_t> sizes;
    for (int64_t axis : axes_) {
      TENON_ASSIGN_OR_RETURN(const int64_t size,
                             layers::known_dim(inputs[0], -1, static_cast<int>(axis)));
      sizes.push_back(size);
    }
    if (o_.scale) gamma_ = add_weight("gamma", Shape(sizes), gamma_initializer_);
    if (o_.center) beta_ = add_weight("beta", Shape(sizes), beta_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = layers::at_least_float(g.dtype(inputs[0]));
    const Endpoint x = g.cast(inputs[0], dtype);
    const int rank = g.shape(x).rank();
    // Keras stores weights in the order of `axis` and reads them as they lie.
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    for (int64_t axis : axes_) {
      shape[static_cast<size_t>(axis)] = g.shape(x)[static_cast<int>(axis)];
    }
    const bool last = axes_.size() == 1 && axes_[0] == rank - 1;
    const auto spread = [&](const Weight& v) {
      const Endpoint value = g.cast(trace.read_stored(v), dtype);
      return last ? value : g.reshape(value, g.integers(shape));
    };
    const Endpoint mean = g.mean(x, axes_, true);
    const Endpoint variance =
        g.mean(g.op("SquaredDifference", {x, g.op("StopGradient", {mean})}), axes_, true);
    Endpoint inverse = g.op("Rsqrt", {g.add(variance, g.scalar_of(dtype, o_.epsilon))});
    if (o_.scale) inverse = g.mul(inverse, spread(weight(gamma_)));
    Endpoint shift = g.mul(g.neg(mean), inverse);
    if (o_.center) shift = g.add(shift, spread(weight(beta_)));
    return g.cast(g.add(g.mul(x, inverse), shift), policy().compute);
  }

 private:
  LayerNormalizationOptions o_;
  Initializer beta_initializer_ = "zeros", gamma_initializer_ = "ones";
  Json axis_;                  // as in the config
  std::vector<int64_t> axes_;  // from 0 on
  size_t gamma_ = 0, beta_ = 0;
};

}  // namespace

LayerRef LayerNormalization(LayerNormalizationOptions options) {
  return std::make_shared<LayerNormalizationLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_layer_normalization() {
  return std::make_shared<LayerNormalizationLayer>(LayerNormalizationOptions{});
}

}  // namespace tenon::keras
