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
  // Composed of element-wise ops, which fuse: TensorFlow's op takes 1 - beta in float32, Keras in
  // double, and that shows in the sixth digit of an update.
  void begin(const Step& step) override {
    GraphBuilder& g = step.trace.build();
    const auto one_minus_power = [&](double beta) {
      const Endpoint power = g.op("Pow", {g.scalar_of(DType::kFloat, beta), step.count});
      return g.sub(g.scalar_of(DType::kFloat, 1), power);
    };
    const Endpoint root = g.op("Sqrt", {one_minus_power(beta_2_)});
    alpha_ = g.div(g.mul(step.rate, root), one_minus_power(beta_1_));
  }
  void update(const Step& step, size_t index, Endpoint gradient) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const auto average = [&](const Weight& slot, Endpoint value, double beta) {
      trace.assign_add(slot, g.mul(g.sub(value, trace.read(slot)), number(1 - beta)));
      return trace.read(slot);
    };
    const Endpoint m = average(slot(index, "momentum"), gradient, beta_1_);
    Endpoint v = average(slot(index, "velocity"), g.op("Square", {gradient}), beta_2_);
    if (amsgrad_) {
      const Weight& largest = slot(index, "velocity_hat");
      trace.assign(largest, g.op("Maximum", {trace.read(largest), v}));
      v = trace.read(largest);
    }
    const Endpoint divisor = g.add(g.op("Sqrt", {v}), number(epsilon_));
    trace.assign_sub(w, g.div(g.mul(m, alpha_), divisor));
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
