#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class AdagradOptimizer final : public Optimizer {
 public:
  explicit AdagradOptimizer(AdagradOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        initial_(o.initial_accumulator_value),
        epsilon_(o.epsilon) {}
  std::string_view class_name() const override { return "Adagrad"; }
  void own_fields(ConfigFields& f) override {
    f.field("initial_accumulator_value", initial_);
    f.field("epsilon", epsilon_);
  }
  std::vector<std::vector<std::string>> slots() const override { return {{"accumulator"}}; }

 protected:
  Initializer slot_initializer(std::string_view) const override {
    return Initializer("Constant").with("value", initial_);
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &sum = slot(index, "accumulator");
    trace.assign_add(sum, applied.size ? applied.size : g.op("Square", {applied.gradient}));
    const Endpoint size = g.add(trace.read(sum), g.scalar_of(w.dtype, epsilon_));
    const Endpoint scaled = g.mul(g.cast(step.rate, w.dtype), applied.gradient);
    trace.assign_sub(w, g.div(scaled, g.op("Sqrt", {size})));
  }

 private:
  double initial_, epsilon_;
};

}  // namespace

OptimizerPtr Adagrad(AdagradOptions options) {
  return std::make_shared<AdagradOptimizer>(std::move(options));
}

}  // namespace tenon::keras
