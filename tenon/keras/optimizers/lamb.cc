#include "tenon/keras/optimizers/moments.h"

namespace tenon::keras {

namespace {

class LambOptimizer final : public MomentsOptimizer {
 public:
  using MomentsOptimizer::MomentsOptimizer;
  std::string_view class_name() const override { return "Lamb"; }
  std::vector<std::vector<std::string>> slots() const override {
    return {{"momentum", "velocity"}};
  }

 protected:
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const Endpoint square = applied.size ? applied.size : g.op("Square", {applied.gradient});
    const Endpoint momentum = decay(trace, slot(index, "momentum"), applied.gradient, beta_1_);
    const Endpoint velocity = decay(trace, slot(index, "velocity"), square, beta_2_);
    const Endpoint root = g.op("Sqrt", {g.div(velocity, correction(step, w.dtype, beta_2_))});
    const Endpoint change = g.div(g.div(momentum, correction(step, w.dtype, beta_1_)),
                                  g.add(root, g.scalar_of(w.dtype, epsilon_)));
    const Endpoint rate = g.mul(trust(g, w, trace.read(w), change), g.cast(step.rate, w.dtype));
    trace.assign_sub(w, g.mul(rate, change));
  }

 private:
  // |weight| / |change|, 1 where either is 0.
  static Endpoint trust(GraphBuilder& g, const Weight& w, Endpoint value, Endpoint change) {
    std::vector<int64_t> axes;
    for (int axis = 0; axis < w.shape.rank(); ++axis) axes.push_back(axis);
    const auto norm = [&](Endpoint x) { return g.op("Sqrt", {g.sum(g.op("Square", {x}), axes)}); };
    const Endpoint of_weight = norm(value), of_change = norm(change);
    const Endpoint zero = g.scalar_of(w.dtype, 0);
    const Endpoint both = g.op(
        "LogicalAnd", {g.op("Greater", {of_weight, zero}), g.op("Greater", {of_change, zero})});
    return g.op("SelectV2", {both, g.div(of_weight, of_change), g.scalar_of(w.dtype, 1)});
  }
};

}  // namespace

OptimizerPtr Lamb(MomentsOptions options) {
  return std::make_shared<LambOptimizer>(std::move(options));
}

}  // namespace tenon::keras
