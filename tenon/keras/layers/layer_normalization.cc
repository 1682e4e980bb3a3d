#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

class LayerNormalizationLayer final : public Layer {
 public:
  explicit LayerNormalizationLayer(LayerNormalizationOptions o) : o_(std::move(o)) {
    set_name(o_.name);
  }
  std::string_view class_name() const override { return "LayerNormalization"; }
  bool supports_masking() const override { return true; }
  bool casts_inputs() const override { return false; }
  void fields(ConfigFields& f) override {
    // Keras turns a number into a list of one when the layer is built.
    Json axis = built() ? Json(Json::Array{o_.axis}) : Json(o_.axis);
    f.field("axis", axis);
    if (axis.items() && axis.items()->size() == 1) axis = Json((*axis.items())[0]);
    axis_is_number_ = axis.integer() != nullptr;
    if (axis_is_number_) o_.axis = *axis.integer();
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
    if (!axis_is_number_) return unimplemented("normalising over several axes is not implemented");
    TENON_ASSIGN_OR_RETURN(axis_, resolve_axis(o_.axis, inputs[0].rank()));
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, axis_));
    if (o_.scale) gamma_ = add_weight("gamma", {width}, gamma_initializer_);
    if (o_.center) beta_ = add_weight("beta", {width}, beta_initializer_);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = layers::at_least_float(g.dtype(inputs[0]));
    const Endpoint x = g.cast(inputs[0], dtype);
    const int rank = g.shape(x).rank();
    const int64_t axes[] = {axis_};
    std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
    const auto spread = [&](const Weight& v) {
      shape[static_cast<size_t>(axis_)] = v.shape[0];
      const Endpoint value = g.cast(trace.read_stored(v), dtype);
      return axis_ == rank - 1 ? value : g.reshape(value, g.integers(shape));
    };
    const Endpoint mean = g.mean(x, axes, true);
    const Endpoint variance =
        g.mean(g.op("SquaredDifference", {x, g.op("StopGradient", {mean})}), axes, true);
    Endpoint inverse = g.op("Rsqrt", {g.add(variance, g.scalar_of(dtype, o_.epsilon))});
    if (o_.scale) inverse = g.mul(inverse, spread(weight(gamma_)));
    Endpoint shift = g.mul(g.neg(mean), inverse);
    if (o_.center) shift = g.add(shift, spread(weight(beta_)));
    return g.cast(g.add(g.mul(x, inverse), shift), policy().compute);
  }

 private:
  LayerNormalizationOptions o_;
  Initializer beta_initializer_ = "zeros", gamma_initializer_ = "ones";
  bool axis_is_number_ = true;
  int axis_ = -1;
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
