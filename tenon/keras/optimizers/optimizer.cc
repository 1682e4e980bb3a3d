#include "tenon/keras/optimizer.h"

#include <cmath>

namespace tenon::keras {

void Optimizer::build(std::span<Weight* const> weights) {
  if (built_) return;
  built_ = true;
  weights_.assign(weights.begin(), weights.end());
  if (loss_scale_) build_loss_scale();
  const auto add = [this](std::string path, std::string_view name, DType dtype, Shape shape,
                          Initializer initializer) {
    Weight weight;
    weight.name = name;
    weight.path = std::move(path);
    weight.dtype = dtype;
    weight.shape = std::move(shape);
    weight.initializer = std::move(initializer);
    weight.kind = WeightKind::kNonTrainable;
    state_.push_back(std::move(weight));
  };
  add("optimizer/iterations", "iterations", DType::kInt64, {}, "zeros");
  if (!rate_.is_schedule()) {
    add("optimizer/learning_rate", "learning_rate", DType::kFloat, {},
        Initializer("Constant").with("value", rate_.value()));
  }
  const auto add_for_each = [&](std::string_view name) {
    for (const Weight* weight : weights_) {
      add(cat("optimizer/", weight->path, "/", name), name, weight->dtype, weight->shape, "zeros");
    }
  };
  averages_at_ = state_.size();
  if (options_.use_ema) add_for_each("average");
  accumulators_at_ = state_.size();
  if (accumulates()) add_for_each("gradient_accumulator");
  for (const std::vector<std::string>& group : slots()) {
    for (size_t i = 0; i < weights_.size(); ++i) {
      for (const std::string& name : group) {
        const std::optional<SlotForm> form = slot_form(*weights_[i], name);
        if (!form) continue;
        slots_at_[{i, name}] = state_.size();
        add(cat("optimizer/", weights_[i]->path, "/", name), name, form->dtype, form->shape,
            slot_initializer(name));
      }
    }
  }
  for (const Scalar& scalar : scalars()) {
    add(cat("optimizer/", scalar.name), scalar.name,
        weights_.empty() ? DType::kFloat : weights_[0]->dtype, {},
        Initializer("Constant").with("value", scalar.initial));
  }
}

std::vector<Weight*> Optimizer::variables() {
  std::vector<Weight*> variables;
  for (Weight& weight : scale_state_) variables.push_back(&weight);
  for (Weight& weight : state_) variables.push_back(&weight);
  return variables;
}

Status Optimizer::check() const {
  const auto wrong = [&](std::string_view option, auto value, std::string_view expected) {
    return invalid_argument("optimizer ", class_name(), ": '", option, "' is ", value,
                            ", expected ", expected);
  };
  const int clips = options_.clipnorm.has_value() + options_.global_clipnorm.has_value() +
                    options_.clipvalue.has_value();
  if (clips > 1) {
    return invalid_argument("only one of clipnorm, clipvalue and global_clipnorm may be set");
  }
  if (options_.use_ema && !(options_.ema_momentum >= 0 && options_.ema_momentum <= 1)) {
    return wrong("ema_momentum", options_.ema_momentum, "0 to 1");
  }
  if (options_.use_ema && options_.ema_overwrite_frequency.value_or(1) < 0) {
    return wrong("ema_overwrite_frequency", *options_.ema_overwrite_frequency, "1 or more");
  }
  const int64_t steps = options_.gradient_accumulation_steps.value_or(0);
  if (steps != 0 && steps < 2) return wrong("gradient_accumulation_steps", steps, "2 or more");
  const double factor = options_.loss_scale_factor.value_or(1);
  if (factor == 0 || !std::isfinite(factor)) {
    return wrong("loss_scale_factor", factor, "a number that is not 0");
  }
  return absl::OkStatus();
}

Optimizer::Values Optimizer::values_of_all(Trace& trace) const {
  Values values;
  for (const Weight* weight : weights_) values.emplace_back(weight, trace.read_stored(*weight));
  for (const Weight& weight : state_) values.emplace_back(&weight, trace.read_stored(weight));
  return values;
}

void Optimizer::restore_unless(Trace& trace, Endpoint condition, const Values& before) {
  for (const auto& [weight, value] : before) {
    if (!trace.has_written(*weight)) continue;
    const Endpoint now = trace.read_stored(*weight);
    trace.assign(*weight, trace.build().op("SelectV2", {condition, now, value}));
  }
}

// What was looked up more than once counts and is clipped each time, as in Keras.
void Optimizer::clip(GraphBuilder& g, std::vector<WeightGradient>& gradients) const {
  const auto number = [&](Endpoint like, double value) {
    return g.scalar_of(g.dtype(like), value);
  };
  const auto square_sum = [&](Endpoint values) {
    std::vector<int64_t> axes;
    for (int axis = 0; axis < g.shape(values).rank(); ++axis) axes.push_back(axis);
    return g.sum(g.op("Square", {values}), axes);
  };
  std::vector<Endpoint*> all;
  for (WeightGradient& gradient : gradients) {
    if (gradient) all.push_back(&gradient.values);
  }
  if (options_.clipnorm.value_or(0) > 0) {
    for (Endpoint* values : all) {
      const Endpoint norm = g.op("Sqrt", {square_sum(*values)});
      const Endpoint limit = number(*values, *options_.clipnorm);
      *values = g.div(g.mul(*values, limit), g.op("Maximum", {norm, limit}));
    }
  } else if (options_.global_clipnorm.value_or(0) > 0) {
    Endpoint total;
    for (const Endpoint* values : all) {
      total = total ? g.add(total, square_sum(*values)) : square_sum(*values);
    }
    if (!total) return;
    const Endpoint norm = g.op("Sqrt", {total});
    // An infinite or undefined norm makes the scale NaN.
    const Endpoint scale = g.add(
        g.mul(number(norm, *options_.global_clipnorm),
              g.op("Minimum",
                   {g.div(number(norm, 1), norm), number(norm, 1 / *options_.global_clipnorm)})),
        g.sub(norm, norm));
    // This is where Keras adds up the rows.
    for (size_t i = 0; i < gradients.size(); ++i) {
      if (gradients[i]) gradients[i] = {g.mul(sum_rows(g, gradients[i], *weights_[i]), scale), {}};
    }
  } else if (options_.clipvalue.value_or(0) > 0) {
    for (Endpoint* values : all) {
      const Endpoint below = g.op("Minimum", {*values, number(*values, *options_.clipvalue)});
      *values = g.op("Maximum", {below, number(*values, -*options_.clipvalue)});
    }
  }
}

std::vector<Optimizer::Applied> Optimizer::sum(GraphBuilder& g,
                                               std::span<const WeightGradient> gradients,
                                               const Combine& combine) const {
  // The gradients, then the sizes of those that are rows.
  std::vector<Endpoint> values;
  std::vector<Weight*> weights = weights_;
  std::vector<size_t> measured;
  for (size_t i = 0; i < gradients.size(); ++i) {
    values.push_back(sum_rows(g, gradients[i], *weights_[i]));
    if (gradients[i].rows && !size_of_rows().empty()) measured.push_back(i);
  }
  for (const size_t i : measured) {
    const WeightGradient sizes{g.op(size_of_rows(), {gradients[i].values}), gradients[i].rows};
    values.push_back(sum_rows(g, sizes, *weights_[i]));
    weights.push_back(weights_[i]);
  }
  if (combine) values = combine(values, weights);
  std::vector<Applied> applied(gradients.size());
  for (size_t i = 0; i < applied.size(); ++i) applied[i].gradient = values[i];
  for (size_t i = 0; i < measured.size(); ++i) {
    applied[measured[i]].size = values[applied.size() + i];
  }
  return applied;
}

void Optimizer::apply(Trace& trace, std::span<const WeightGradient> gradients,
                      const Combine& combine) {
  GraphBuilder& g = trace.build();
  g.fail(check());
  Unscaled unscaled = unscale(trace, gradients);
  const Accumulated accumulated = accumulate(trace, unscaled.gradients);
  clip(g, unscaled.gradients);
  const std::vector<Applied> applied = sum(g, unscaled.gradients, combine);
  const Endpoint iterations = trace.read(state_[0]);
  const Endpoint rate = rate_.is_schedule() ? rate_.at(g, iterations) : trace.read(state_[1]);
  const Endpoint one = g.scalar<int64_t>(1);
  Endpoint updates = iterations, count;
  if (accumulates()) {
    updates = g.op("FloorDiv", {updates, g.scalar(*options_.gradient_accumulation_steps)});
    count = g.add(updates, one);
  } else {
    // Counted first and read again: one op less than a sum of its own.
    trace.assign_add(state_[0], one);
    count = trace.read(state_[0]);
  }
  const Step step{trace, rate, g.cast(count, DType::kFloat)};
  begin(step);
  for (size_t i = 0; i < weights_.size() && g.status().ok(); ++i) {
    if (!applied[i].gradient) continue;
    const Weight& w = *weights_[i];
    if (const std::optional<double> share = decay_of(w)) {
      const Endpoint decay = g.scalar_of(w.dtype, *share);
      trace.assign_sub(w, g.mul(g.mul(trace.read(w), decay), g.cast(rate, w.dtype)));
    }
    update(step, i, applied[i]);
  }
  settle(trace, accumulated);
  // Steps that only add up gradients count too.
  if (accumulates()) trace.assign_add(state_[0], one);
  average(trace, updates);
  for (size_t i = 0; i < weights_.size() && g.status().ok(); ++i) {
    const Weight& w = *weights_[i];
    if (applied[i].gradient && w.constraint) trace.assign(w, w.constraint(g, trace.read_stored(w)));
  }
  settle(trace, unscaled);
}

void Optimizer::fields(ConfigFields& f) {
  // Keras writes the rate as the float32 that its variable holds.
  Json rate = rate_.is_schedule() ? rate_.schedule()
                                  : Json(static_cast<double>(static_cast<float>(rate_.value())));
  const Json before = rate;
  std::string name = to_snake_case(class_name());
  f.field("name", name);
  f.field("learning_rate", rate);
  if (rate.number() && !(rate == before)) rate_ = LearningRate(*rate.number());
  if (rate.is_object()) rate_ = LearningRate(rate);
  f.field("weight_decay", options_.weight_decay);
  f.field("clipnorm", options_.clipnorm);
  f.field("global_clipnorm", options_.global_clipnorm);
  f.field("clipvalue", options_.clipvalue);
  f.field("use_ema", options_.use_ema);
  f.field("ema_momentum", options_.ema_momentum);
  f.field("ema_overwrite_frequency", options_.ema_overwrite_frequency);
  f.field("loss_scale_factor", options_.loss_scale_factor);
  f.field("gradient_accumulation_steps", options_.gradient_accumulation_steps);
  own_fields(f);
}

Json Optimizer::describe() const {
  Json own = Json::object({{"module", "keras.optimizers"},
                           {"class_name", class_name()},
                           {"config", write_config(*this)},
                           {"registered_name", nullptr}});
  return loss_scale_ ? describe_loss_scale(std::move(own)) : own;
}

}  // namespace tenon::keras
