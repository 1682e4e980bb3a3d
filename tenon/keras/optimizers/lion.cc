#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

class LionOptimizer final : public Optimizer {
 public:
  explicit LionOptimizer(LionOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient), beta_1_(o.beta_1), beta_2_(o.beta_2) {}
  std::string_view class_name() const override { return "Lion"; }
  void own_fields(ConfigFields& f) override {
    f.field("beta_1", beta_1_);
    f.field("beta_2", beta_2_);
  }
  std::vector<std::vector<std::string>> slots() const override { return {{"momentum"}}; }

 protected:
  std::string_view size_of_rows() const override { return ""; }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &momentum = slot(index, "momentum");
    const Endpoint before = trace.read(momentum);
    const auto mix = [&](double beta) {
      return g.add(g.mul(before, g.scalar_of(w.dtype, beta)),
                   g.mul(applied.gradient, g.scalar_of(w.dtype, 1 - beta)));
    };
    trace.assign_sub(w, g.mul(g.cast(step.rate, w.dtype), g.op("Sign", {mix(beta_1_)})));
    trace.assign(momentum, mix(beta_2_));
  }

 private:
  double beta_1_, beta_2_;
};

}  // namespace

OptimizerPtr Lion(LionOptions options) {
  return std::make_shared<LionOptimizer>(std::move(options));
}

}  // namespace tenon::keras
