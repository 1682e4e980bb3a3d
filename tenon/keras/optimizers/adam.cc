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
    const auto one_minus_power = [&](double beta) {
      const Endpoint power = g.op("Pow", {g.scalar_of(DType::kFloat, beta), step.count});
      return g.sub(g.scalar_of(DType::kFloat, 1), power);
    };
    const Endpoint root = g.op("Sqrt", {one_minus_power(beta_2_)});
    alpha_ = g.div(g.mul(step.rate, root), one_minus_power(beta_1_));
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    GraphBuilder& g = step.trace.build();
    const Weight& w = weight(index);
    std::vector<const Weight*> changed = {&w, &slot(index, "momentum"), &slot(index, "velocity")};
    if (amsgrad_) changed.push_back(&slot(index, "velocity_hat"));
    std::vector<Endpoint> inputs = {g.cast(alpha_, w.dtype), g.scalar_of(w.dtype, 1 - beta_1_),
                                    g.scalar_of(w.dtype, 1 - beta_2_),
                                    g.scalar_of(w.dtype, epsilon_)};
    if (applied.size) inputs.push_back(applied.size);
    inputs.push_back(applied.gradient);
    step.trace.write_all(applied.size ? "_KerasAdamOfRows" : "_KerasAdam", changed,
                         std::move(inputs), {{"num_v_hat", int64_t{amsgrad_}}});
  }

 private:
  std::string_view class_name_;
  double beta_1_, beta_2_, epsilon_;
  bool amsgrad_;
  Endpoint alpha_;  // the learning rate with both bias corrections
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
