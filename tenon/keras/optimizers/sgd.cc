#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class SGDOptimizer final : public Optimizer {
 public:
  explicit SGDOptimizer(SGDOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        momentum_(o.momentum),
        nesterov_(o.nesterov) {}
  std::string_view class_name() const override { return "SGD"; }
  void own_fields(ConfigFields& f) override {
    f.field("momentum", momentum_);
    f.field("nesterov", nesterov_);
  }
  std::vector<std::vector<std::string>> slots() const override {
    if (momentum_ == 0) return {};
    return {{"momentum"}};
  }

 protected:
  void update(const Step& step, size_t index, Endpoint gradient) override {
    const Weight& w = weight(index);
    if (momentum_ == 0) {
      step.trace.write("ResourceApplyGradientDescent", w, {step.rate, gradient});
      return;
    }
    const Weight& m = slot(index, "momentum");
    const Weight* const changed[] = {&w, &m};
    GraphBuilder& g = step.trace.build();
    step.trace.write_all("ResourceApplyKerasMomentum", changed,
                         {step.trace.handle(w), step.trace.handle(m), step.rate, gradient,
                          g.scalar_of(w.dtype, momentum_)},
                         {{"use_nesterov", nesterov_}});
  }

 private:
  double momentum_;
  bool nesterov_;
};

}  // namespace

OptimizerPtr SGD(SGDOptions options) { return std::make_shared<SGDOptimizer>(std::move(options)); }

}  // namespace tenon::keras
