#include "tenon/keras/optimizers/moments.h"

namespace tenon::keras {

namespace {

class AdamaxOptimizer final : public MomentsOptimizer {
 public:
  using MomentsOptimizer::MomentsOptimizer;
  std::string_view class_name() const override { return "Adamax"; }
  std::vector<std::vector<std::string>> slots() const override { return {{"momentum", "norm"}}; }

 protected:
  std::string_view size_of_rows() const override { return "Abs"; }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight &w = weight(index), &norm = slot(index, "norm");
    const Endpoint momentum = decay(trace, slot(index, "momentum"), applied.gradient, beta_1_);
    const Endpoint faded = g.mul(trace.read(norm), g.scalar_of(w.dtype, beta_2_));
    const Endpoint size = applied.size ? applied.size : g.op("Abs", {applied.gradient});
    const Endpoint largest = g.op("Maximum", {faded, size});
    trace.assign(norm, largest);
    const Endpoint below = g.add(largest, g.scalar_of(w.dtype, epsilon_));
    trace.assign_sub(w, g.div(g.mul(g.cast(step.rate, w.dtype), momentum),
                              g.mul(correction(step, w.dtype, beta_1_), below)));
  }
};

}  // namespace

OptimizerPtr Adamax(MomentsOptions options) {
  return std::make_shared<AdamaxOptimizer>(std::move(options));
}

}  // namespace tenon::keras
