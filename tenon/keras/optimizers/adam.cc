#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

// AdamW differs by its name and the weight decay that it has by default.
class AdamOptimizer final : public Optimizer {
 public:
  AdamOptimizer(std::string_view class_name, AdamOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        class_name_(class_name),
        beta_1_(o.beta_1),
        beta_2_(o.beta_2),
        epsilon_(o.epsilon),
        amsgrad_(o.amsgrad) {}
  std::string_view class_name() const override { return class_name_; }
  void own_fields(ConfigFields& f) override {
    f.field("beta_1", beta_1_);
    f.field("beta_2", beta_2_);
    f.field("epsilon", epsilon_);
    f.field("amsgrad", amsgrad_);
  }
  std::vector<std::vector<std::string>> slots() const override {
    if (!amsgrad_) return {{"momentum", "velocity"}};
    return {{"momentum", "velocity"}, {"velocity_hat"}};
  }

 protected:
  void begin(const Step& step) override {
    GraphBuilder& g = step.trace.build();
    beta_1_value_ = g.scalar_of(DType::kFloat, beta_1_);
    beta_2_value_ = g.scalar_of(DType::kFloat, beta_2_);
    epsilon_value_ = g.scalar_of(DType::kFloat, epsilon_);
    beta_1_power_ = g.op("Pow", {beta_1_value_, step.count});
    beta_2_power_ = g.op("Pow", {beta_2_value_, step.count});
  }
  void update(const Step& step, size_t index, Endpoint gradient) override {
    const Weight& w = weight(index);
    const Weight& m = slot(index, "momentum");
    const Weight& v = slot(index, "velocity");
    std::vector<const Weight*> changed = {&w, &m, &v};
    if (amsgrad_) changed.push_back(&slot(index, "velocity_hat"));
    std::vector<Endpoint> inputs;
    for (const Weight* weight : changed) inputs.push_back(step.trace.handle(*weight));
    for (Endpoint value : {beta_1_power_, beta_2_power_, step.rate, beta_1_value_, beta_2_value_,
                           epsilon_value_, gradient}) {
      inputs.push_back(value);
    }
    step.trace.write_all(amsgrad_ ? "ResourceApplyAdamWithAmsgrad" : "ResourceApplyAdam", changed,
                         std::move(inputs));
  }

 private:
  std::string_view class_name_;
  double beta_1_, beta_2_, epsilon_;
  bool amsgrad_;
  Endpoint beta_1_value_, beta_2_value_, epsilon_value_, beta_1_power_, beta_2_power_;
};

}  // namespace

OptimizerPtr Adam(AdamOptions options) {
  return std::make_shared<AdamOptimizer>("Adam", std::move(options));
}
OptimizerPtr AdamW(AdamOptions options) {
  if (!options.gradient.weight_decay) options.gradient.weight_decay = 0.004;
  return std::make_shared<AdamOptimizer>("AdamW", std::move(options));
}

}  // namespace tenon::keras
