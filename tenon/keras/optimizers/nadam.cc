#include "tenon/keras/optimizers/moments.h"

namespace tenon::keras {

namespace {

class NadamOptimizer final : public MomentsOptimizer {
 public:
  using MomentsOptimizer::MomentsOptimizer;
  std::string_view class_name() const override { return "Nadam"; }
  std::vector<std::vector<std::string>> slots() const override {
    return {{"momentum", "velocity"}};
  }

 protected:
  // The product of the momentum of all steps so far.
  std::vector<Scalar> scalars() const override { return {{"u_product", 1}}; }
  void begin(const Step& step) override {
    GraphBuilder& g = step.trace.build();
    const Weight& product = scalar(0);
    const auto momentum_at = [&](Endpoint count) {
      const Endpoint power = g.op("Pow", {g.scalar<float>(0.96f), count});
      const Endpoint share = g.sub(g.scalar<float>(1), g.mul(g.scalar<float>(0.5f), power));
      return g.mul(g.scalar_of(DType::kFloat, beta_1_), share);
    };
    now_ = momentum_at(step.count);
    next_ = momentum_at(g.add(step.count, g.scalar<float>(1)));
    product_ = g.mul(g.cast(step.trace.read(product), DType::kFloat), now_);
    step.trace.assign(product, g.cast(product_, product.dtype));
  }
  void update(const Step& step, size_t index, const Applied& applied) override {
    Trace& trace = step.trace;
    GraphBuilder& g = trace.build();
    const Weight& w = weight(index);
    const Endpoint one = g.scalar<float>(1);
    const Endpoint square = applied.size ? applied.size : g.op("Square", {applied.gradient});
    // Keras subtracts the betas from one in the weight's own type here, unlike in Adam.
    const auto rest_of = [&](double beta) {
      return g.sub(g.scalar_of(w.dtype, 1), g.scalar_of(w.dtype, beta));
    };
    const Endpoint momentum =
        decay(trace, slot(index, "momentum"), applied.gradient, rest_of(beta_1_));
    const Endpoint velocity = decay(trace, slot(index, "velocity"), square, rest_of(beta_2_));
    const auto part = [&](Endpoint share, Endpoint value, Endpoint product) {
      return g.div(g.mul(g.cast(share, w.dtype), value), g.cast(g.sub(one, product), w.dtype));
    };
    const Endpoint ahead = g.add(part(next_, momentum, g.mul(product_, next_)),
                                 part(g.sub(one, now_), applied.gradient, product_));
    const Endpoint root = g.op("Sqrt", {g.div(velocity, correction(step, w.dtype, beta_2_))});
    trace.assign_sub(w, g.div(g.mul(ahead, g.cast(step.rate, w.dtype)),
                              g.add(root, g.scalar_of(w.dtype, epsilon_))));
  }

 private:
  Endpoint now_, next_, product_;  // of this step: float32 scalars
};

}  // namespace

OptimizerPtr Nadam(MomentsOptions options) {
  return std::make_shared<NadamOptimizer>(std::move(options));
}

}  // namespace tenon::keras
