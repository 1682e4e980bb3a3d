#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class RMSpropOptimizer final : public Optimizer {
 public:
  explicit RMSpropOptimizer(RMSpropOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        rho_(o.rho),
        momentum_(o.momentum),
        epsilon_(o.epsilon),
        centered_(o.centered) {}
  std::string_view class_name() const override { return "RMSprop"; }
  void own_fields(ConfigFields& f) override {
    f.field("rho", rho_);
    f.field("momentum", momentum_);
    f.field("epsilon", epsilon_);
    f.field("centered", centered_);
  }
  std::vector<std::vector<std::string>> slots() const override {
    std::vector<std::vector<std::string>> slots = {{"velocity"}};
    if (momentum_ > 0) slots.push_back({"momentum"});
    if (centered_) slots.push_back({"average_gradient"});
    return slots;
  }

 protected:
  // Composed of element-wise ops, which fuse: TensorFlow's op keeps a momentum that Keras has not.
  void update(const Step& step, size_t index, Endpoint gradient) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const auto average = [&](const Weight& slot, Endpoint value) {
      const Endpoint mean =
          g.add(g.mul(number(rho_), trace.read(slot)), g.mul(number(1 - rho_), value));
      trace.assign(slot, mean);
      return mean;
    };
    Endpoint variance = average(slot(index, "velocity"), g.op("Square", {gradient}));
    if (centered_) {
      const Endpoint mean = average(slot(index, "average_gradient"), gradient);
      variance = g.sub(variance, g.op("Square", {mean}));
    }
    Endpoint step_taken =
        g.div(g.mul(step.rate, gradient), g.op("Sqrt", {g.add(variance, number(epsilon_))}));
    if (momentum_ > 0) {
      const Weight& m = slot(index, "momentum");
      step_taken = g.add(g.mul(number(momentum_), trace.read(m)), step_taken);
      trace.assign(m, step_taken);
    }
    trace.assign_sub(w, step_taken);
  }

 private:
  double rho_, momentum_, epsilon_;
  bool centered_;
};

}  // namespace

OptimizerPtr RMSprop(RMSpropOptions options) {
  return std::make_shared<RMSpropOptimizer>(std::move(options));
}

}  // namespace tenon::keras
