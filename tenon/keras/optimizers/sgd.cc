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
  std::string_view size_of_rows() const override { return ""; }
  void update(const Step& step, size_t index, const Applied& applied) override {
    const Weight& w = weight(index);
    const Endpoint gradient = applied.gradient;
    GraphBuilder& g = step.trace.build();
    const Endpoint rate = g.cast(step.rate, w.dtype);
    if (momentum_ == 0) {
      step.trace.write("ResourceApplyGradientDescent", w, {rate, gradient});
      return;
    }
    const Weight* const changed[] = {&w, &slot(index, "momentum")};
    step.trace.write_all("ResourceApplyKerasMomentum", changed,
                         {rate, gradient, g.scalar_of(w.dtype, momentum_)},
                         {{"use_nesterov", nesterov_}});
  }

 private:
  double momentum_;
  bool nesterov_;
};

}  // namespace

OptimizerPtr SGD(SGDOptions options) { return std::make_shared<SGDOptimizer>(std::move(options)); }

}  // namespace tenon::keras
