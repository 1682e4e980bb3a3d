#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// (x - mean) / deviation by feature, with moments that Keras' adapt() found or the config gives.
class NormalizationLayer final : public Layer {
 public:
  explicit NormalizationLayer(NormalizationOptions o) : o_(std::move(o)) { set_name(o_.name); }
  std::string_view class_name() const override { return "Normalization"; }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("axis", axis_);
    f.field("invert", o_.invert);
    f.field("mean", o_.mean);
    f.field("variance", o_.variance);
  }
  Status build(const Shapes& inputs) override {
    if (!is_last_axis(inputs[0].rank())) {
      return unimplemented("'axis' is not the last; only that is implemented");
    }
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, -1));
    if (o_.mean.is_null() != o_.variance.is_null()) {
      return invalid_argument("mean and variance are given together or not at all");
    }
    if (!o_.mean.is_null()) {
      TENON_ASSIGN_OR_RETURN(mean_, moments(o_.mean, width));
      TENON_ASSIGN_OR_RETURN(variance_, moments(o_.variance, width));
      return absl::OkStatus();
    }
    add_weight("mean", {width}, "zeros", WeightKind::kNonTrainable);
    add_weight("variance", {width}, "ones", WeightKind::kNonTrainable);
    add_weight("count", {}, "zeros", WeightKind::kNonTrainable, DType::kInt64);
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const bool given = mean_.has_value();
    const DType dtype = policy().compute;
    const Endpoint mean = g.cast(given ? g.constant(mean_) : trace.read(weight(0)), dtype);
    const Endpoint variance = g.cast(given ? g.constant(variance_) : trace.read(weight(1)), dtype);
    const Endpoint deviation =
        g.op("Maximum", {g.op("Sqrt", {variance}), g.scalar_of(dtype, 1e-7)});
    const Endpoint x = g.cast(inputs[0], dtype);
    return o_.invert ? g.add(mean, g.mul(x, deviation)) : g.div(g.sub(x, mean), deviation);
  }

 private:
  // Keras turns a number into a list of one.
  bool is_last_axis(int rank) const {
    const Json& axis = axis_.items() && axis_.items()->size() == 1 ? (*axis_.items())[0] : axis_;
    const int64_t* value = axis.integer();
    return value && (*value == -1 || *value == rank - 1);
  }
  // A number for all features, or a list of one for each, nested as Keras nests it.
  static StatusOr<Tensor> moments(const Json& json, int64_t width) {
    const Json* at = &json;
    while (at->items() && at->items()->size() == 1) at = &(*at->items())[0];
    std::vector<float> values;
    for (const Json& item : at->items() ? *at->items() : Json::Array{*at}) {
      if (!item.number()) return invalid_argument("mean or variance is no list of numbers");
      values.push_back(static_cast<float>(*item.number()));
    }
    if (values.size() != 1 && static_cast<int64_t>(values.size()) != width) {
      return invalid_argument("mean and variance have ", values.size(), " numbers, the input ",
                              width, " features");
    }
    return Tensor::vector<float>(values);
  }

  NormalizationOptions o_;
  Json axis_{Json::Array{-1}};
  Tensor mean_, variance_;
};

}  // namespace

LayerRef Normalization(NormalizationOptions options) {
  return std::make_shared<NormalizationLayer>(std::move(options));
}
std::shared_ptr<Layer> layers::make_normalization() {
  return std::make_shared<NormalizationLayer>(NormalizationOptions{});
}

}  // namespace tenon::keras
