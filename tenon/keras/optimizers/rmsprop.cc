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
  void update(const Step& step, size_t index, const Applied& applied) override {
    if (applied.size) return update_by_formula(step, index, applied);
    GraphBuilder& g = step.trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    std::vector<const Weight*> changed = {&w, &slot(index, "velocity")};
    if (momentum_ > 0) changed.push_back(&slot(index, "momentum"));
    if (centered_) changed.push_back(&slot(index, "average_gradient"));
    step.trace.write_all(
        "_KerasRmsProp", changed,
        {g.cast(step.rate, w.dtype), number(rho_), number(1 - rho_), number(momentum_),
         number(epsilon_), applied.gradient},
        {{"num_momentum", int64_t{momentum_ > 0}}, {"num_average", int64_t{centered_}}});
  }

 private:
  // Keras' update_step().
  void update_by_formula(const Step& step, size_t index, const Applied& applied) {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    const auto average = [&](const Weight& of, Endpoint value) {
      const Endpoint next =
          g.add(g.mul(number(rho_), trace.read(of)), g.mul(number(1 - rho_), value));
      trace.assign(of, next);
      return next;
    };
    Endpoint denominator = average(slot(index, "velocity"), applied.size);
    if (centered_) {
      const Endpoint mean = average(slot(index, "average_gradient"), applied.gradient);
      denominator = g.sub(denominator, g.op("Square", {mean}));
    }
    denominator = g.op("Sqrt", {g.add(denominator, number(epsilon_))});
    Endpoint change = g.div(g.mul(g.cast(step.rate, w.dtype), applied.gradient), denominator);
    if (momentum_ > 0) {
      const Weight& momentum = slot(index, "momentum");
      change = g.add(g.mul(number(momentum_), trace.read(momentum)), change);
      trace.assign(momentum, change);
    }
    trace.assign_sub(w, change);
  }

  double rho_, momentum_, epsilon_;
  bool centered_;
};

}  // namespace

OptimizerPtr RMSprop(RMSpropOptions options) {
  return std::make_shared<RMSpropOptimizer>(std::move(options));
}

}  // namespace tenon::keras
