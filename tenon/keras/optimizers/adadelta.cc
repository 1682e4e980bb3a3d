#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class AdadeltaOptimizer final : public Optimizer {
 public:
  explicit AdadeltaOptimizer(AdadeltaOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient), rho_(o.rho), epsilon_(o.epsilon) {}
  std::string_view class_name() const override { return "Adadelta"; }
  void own_fields(ConfigFields& f) override {
    f.field("rho", rho_);
    f.field("epsilon", epsilon_);
  }
  std::vector<std::vector<std::string>> slots() const override {
    return {{"accumulated_grad", "accumulated_delta_var"}};
  }

 protected:
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &grads = slot(index, "accumulated_grad"),
                 &deltas = slot(index, "accumulated_delta_var");
    const auto root = [&](const Weight& of) {
      return g.op("Sqrt", {g.add(trace.read(of), g.scalar_of(w.dtype, epsilon_))});
    };
    const auto average = [&](const Weight& of, Endpoint square) {
      trace.assign(of, g.add(g.mul(g.scalar_of(w.dtype, rho_), trace.read(of)),
                             g.mul(g.scalar_of(w.dtype, 1 - rho_), square)));
    };
    average(grads, applied.size ? applied.size : g.op("Square", {applied.gradient}));
    const Endpoint above = root(deltas), below = root(grads);
    const Endpoint change = g.neg(g.div(g.mul(above, applied.gradient), below));
    // What was looked up twice changes by the sum of two, and counts the sum of their squares.
    average(deltas, applied.size ? g.mul(g.op("Square", {g.div(above, below)}), applied.size)
                                 : g.op("Square", {change}));
    trace.assign_add(w, g.mul(g.cast(step.rate, w.dtype), change));
  }

 private:
  double rho_, epsilon_;
};

}  // namespace

OptimizerPtr Adadelta(AdadeltaOptions options) {
  return std::make_shared<AdadeltaOptimizer>(std::move(options));
}

}  // namespace tenon::keras
