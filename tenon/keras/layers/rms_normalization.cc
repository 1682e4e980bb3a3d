#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// x / sqrt(mean(x^2) + epsilon), times a scale for each feature.
class RMSNormalizationLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "RMSNormalization"; }
  void fields(ConfigFields& f) override {
    // Keras turns a number into a list of one when the layer is built.
    Json axis = built() ? Json(Json::Array{axis_}) : Json(axis_);
    f.field("axis", axis);
    if (axis.items() && axis.items()->size() == 1) axis = Json((*axis.items())[0]);
    axis_is_number_ = axis.integer() != nullptr;
    if (axis_is_number_) axis_ = *axis.integer();
    f.field("epsilon", epsilon_);
  }
  Status build(const Shapes& inputs) override {
    if (!axis_is_number_) return unimplemented("normalising over several axes is not implemented");
    TENON_ASSIGN_OR_RETURN(at_, resolve_axis(axis_, inputs[0].rank()));
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, at_));
    add_weight("scale", {width}, "ones");
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType dtype = layers::at_least_float(g.dtype(inputs[0]));
    const Endpoint x = g.cast(inputs[0], dtype), scale = g.cast(trace.read(weight(0)), dtype);
    const int64_t axes[] = {at_};
    const Endpoint squares = g.mean(g.op("Square", {x}), axes, true);
    const Endpoint inverse = g.op("Rsqrt", {g.add(squares, g.scalar_of(dtype, epsilon_))});
    std::vector<int64_t> shape(g.shape(x).dims().size(), 1);
    shape[static_cast<size_t>(at_)] = weight(0).shape[0];
    const Endpoint y = g.mul(g.mul(x, inverse), g.reshape(scale, g.integers(shape)));
    return g.cast(y, g.dtype(inputs[0]));
  }

 private:
  int64_t axis_ = -1;
  int at_ = -1;
  bool axis_is_number_ = true;
  double epsilon_ = 1e-6;
};

}  // namespace

std::shared_ptr<Layer> layers::make_rms_normalization() {
  return std::make_shared<RMSNormalizationLayer>();
}

}  // namespace tenon::keras
