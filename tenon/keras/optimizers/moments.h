// What the optimizers that keep a decayed mean of the gradient and of its size share. Internal to
// keras/.
#pragma once

#include "tenon/keras/optimizer.h"

namespace tenon::keras {

class MomentsOptimizer : public Optimizer {
 public:
  explicit MomentsOptimizer(MomentsOptions o)
      : Optimizer(std::move(o.learning_rate), o.gradient),
        beta_1_(o.beta_1),
        beta_2_(o.beta_2),
        epsilon_(o.epsilon) {}
  void own_fields(ConfigFields& f) override {
    f.field("beta_1", beta_1_);
    f.field("beta_2", beta_2_);
    f.field("epsilon", epsilon_);
  }

 protected:
  // state += (value - state) * share; returns the new one. A share of 1 - beta is taken in double
  // precision unless the caller gives its own.
  static Endpoint decay(Trace& trace, const Weight& state, Endpoint value, Endpoint share) {
    GraphBuilder& g = trace.build();
    trace.assign_add(state, g.mul(g.sub(value, trace.read(state)), share));
    return trace.read(state);
  }
  static Endpoint decay(Trace& trace, const Weight& state, Endpoint value, double beta) {
    return decay(trace, state, value, trace.build().scalar_of(state.dtype, 1 - beta));
  }
  // 1 - beta^(iterations + 1), of `dtype`: what a mean that began with 0 lacks.
  static Endpoint correction(const Step& step, DType dtype, double beta) {
    GraphBuilder& g = step.trace.build();
    const Endpoint power = g.op("Pow", {g.scalar_of(dtype, beta), g.cast(step.count, dtype)});
    return g.sub(g.scalar_of(dtype, 1), power);
  }

  double beta_1_, beta_2_, epsilon_;
};

}  // namespace tenon::keras
