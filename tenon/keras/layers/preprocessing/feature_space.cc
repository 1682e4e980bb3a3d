// The layers by which keras.utils.FeatureSpace joins what it has made of each feature. Keras does
// not export them, so files name the module.
#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

Json of_feature_space(Json described, std::string_view class_name) {
  described.set("module", "keras.src.layers.preprocessing.feature_space");
  described.set("registered_name", class_name);
  return described;
}

class FeatureConcatLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "TFDConcat"; }
  bool casts_inputs() const override { return false; }
  bool takes_list() const override { return true; }
  void fields(ConfigFields& f) override { f.field("axis", axis_); }
  Status build(const Shapes& inputs) override {
    if (inputs.empty()) return invalid_argument("nothing to concatenate");
    return resolve_axis(axis_, inputs[0].rank()).status();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> values;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (g.dtype(inputs[i]) == DType::kString) {
        g.fail(invalid_argument("an input holds strings, expected numbers"));
        return {};
      }
      values.push_back(g.cast(inputs[i], policy().compute));
    }
    return g.concat(std::move(values), axis_);
  }
  Json describe() const override { return of_feature_space(Layer::describe(), class_name()); }

 private:
  int64_t axis_ = -1;
};

class FeatureIdentityLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "TFDIdentity"; }
  bool casts_inputs() const override { return false; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"x"};
    return kParameters;
  }
  Outputs call(Trace&, const Arguments& inputs) override { return inputs[0]; }
  Json describe() const override { return of_feature_space(Layer::describe(), class_name()); }
};

}  // namespace

std::shared_ptr<Layer> layers::make_feature_concat() {
  return std::make_shared<FeatureConcatLayer>();
}
std::shared_ptr<Layer> layers::make_feature_identity() {
  return std::make_shared<FeatureIdentityLayer>();
}

}  // namespace tenon::keras
