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
  void update(const Step& step, size_t index, Endpoint gradient) override {
    GraphBuilder& g = step.trace.build();
    const Weight& w = weight(index);
    const auto number = [&](double value) { return g.scalar_of(w.dtype, value); };
    std::vector<const Weight*> changed = {&w, &slot(index, "velocity")};
    if (momentum_ > 0) changed.push_back(&slot(index, "momentum"));
    if (centered_) changed.push_back(&slot(index, "average_gradient"));
    step.trace.write_all(
        "_KerasRmsProp", changed,
        {g.cast(step.rate, w.dtype), number(rho_), number(1 - rho_), number(momentum_),
         number(epsilon_), gradient},
        {{"num_momentum", int64_t{momentum_ > 0}}, {"num_average", int64_t{centered_}}});
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
