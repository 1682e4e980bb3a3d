// Keras' LossScaleOptimizer, as a part of the optimizer that it wraps: gradients in float16 are
// those of a loss that is made larger, so that small ones do not vanish. A step whose gradients are
// not finite changes nothing but the scale.
#include "tenon/keras/optimizer.h"

namespace tenon::keras {

OptimizerPtr LossScaleOptimizer(OptimizerPtr inner, LossScaleOptions options) {
  if (inner) inner->scale_losses(options);
  return inner;
}

void Optimizer::build_loss_scale() {
  const auto add = [this](std::string_view name, DType dtype, Initializer initializer) {
    Weight weight;
    weight.name = name;
    weight.path = cat("optimizer/loss_scale/", name);
    weight.dtype = dtype;
    weight.initializer = std::move(initializer);
    weight.kind = WeightKind::kNonTrainable;
    scale_state_.push_back(std::move(weight));
  };
  // The first two are Keras' too, and nobody uses them.
  add("iterations", DType::kInt64, "zeros");
  add("learning_rate", DType::kFloat, "zeros");
  add("step_counter", DType::kInt64, "zeros");
  add("dynamic_scale", DType::kFloat,
      Initializer("Constant").with("value", loss_scale_->initial_scale));
}

Endpoint Optimizer::scale_loss(Trace& trace, Endpoint loss) const {
  GraphBuilder& g = trace.build();
  if (loss_scale_) return g.mul(loss, trace.read(scale_state_[3]));
  if (!options_.loss_scale_factor) return loss;
  return g.mul(loss, g.scalar_of(g.dtype(loss), *options_.loss_scale_factor));
}

Optimizer::Unscaled Optimizer::unscale(Trace& trace,
                                       std::span<const WeightGradient> gradients) const {
  GraphBuilder& g = trace.build();
  Unscaled unscaled;
  unscaled.gradients.assign(gradients.begin(), gradients.end());
  for (WeightGradient& gradient : unscaled.gradients) {
    if (!options_.loss_scale_factor || !gradient) continue;
    const Endpoint factor = g.scalar_of(g.dtype(gradient.values), *options_.loss_scale_factor);
    gradient.values = g.div(gradient.values, factor);
  }
  if (!loss_scale_) return unscaled;
  const Endpoint scale = trace.read(scale_state_[3]);
  Endpoint finite = g.scalar(true);
  for (WeightGradient& of_weight : unscaled.gradients) {
    if (!of_weight) continue;
    Endpoint& gradient = of_weight.values;
    std::vector<int64_t> axes;
    for (int axis = 0; axis < g.shape(gradient).rank(); ++axis) axes.push_back(axis);
    const Endpoint all = g.op("All", {g.op("IsFinite", {gradient}), g.integers(axes)});
    finite = g.op("LogicalAnd", {finite, all});
    gradient = g.div(gradient, g.cast(scale, g.dtype(gradient)));
  }
  // Of all replicas.
  const Endpoint failed = g.cast(g.op("LogicalNot", {finite}), DType::kFloat);
  unscaled.finite = g.op("Equal", {trace.all_reduce({failed}, false)[0], g.scalar<float>(0)});
  unscaled.before = values_of_all(trace);
  return unscaled;
}

void Optimizer::settle(Trace& trace, const Unscaled& unscaled) const {
  if (!loss_scale_) return;
  GraphBuilder& g = trace.build();
  const Endpoint finite = unscaled.finite;
  restore_unless(trace, finite, unscaled.before);
  const Endpoint counter = trace.read(scale_state_[2]), scale = trace.read(scale_state_[3]);
  const Endpoint last = g.scalar<int64_t>(loss_scale_->dynamic_growth_steps - 1);
  const Endpoint grows = g.op("LogicalAnd", {finite, g.op("Equal", {counter, last})});
  const Endpoint one = g.scalar<int64_t>(1), none = g.scalar<int64_t>(0);
  const Endpoint counts = g.op("LogicalAnd", {finite, g.op("LogicalNot", {grows})});
  trace.assign(scale_state_[2], g.op("SelectV2", {counts, g.add(counter, one), none}));
  const Endpoint factor =
      g.op("SelectV2", {finite, g.op("SelectV2", {grows, g.scalar<float>(2), g.scalar<float>(1)}),
                        g.scalar<float>(0.5f)});
  trace.assign(scale_state_[3], g.mul(scale, factor));
}

Json Optimizer::describe_loss_scale(Json inner) const {
  const Json config = Json::object({{"name", "loss_scale_optimizer"},
                                    {"inner_optimizer", std::move(inner)},
                                    {"initial_scale", loss_scale_->initial_scale},
                                    {"dynamic_growth_steps", loss_scale_->dynamic_growth_steps}});
  return Json::object({{"module", "keras.optimizers"},
                       {"class_name", "LossScaleOptimizer"},
                       {"config", config},
                       {"registered_name", nullptr}});
}

}  // namespace tenon::keras
