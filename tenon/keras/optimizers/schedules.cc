#include <numbers>

#include "tenon/keras/optimizer.h"

namespace tenon::keras {

namespace {

// What a schedule's function works with: its numbers by Keras' names, all float32.
struct ScheduleInput {
  GraphBuilder& g;
  const Json& config;
  Endpoint step;

  double number(std::string_view name, double fallback = 0) const {
    return config[name].number().value_or(fallback);
  }
  bool flag(std::string_view name) const {
    return config[name].boolean() && *config[name].boolean();
  }
  Endpoint constant(double value) const { return g.scalar_of(DType::kFloat, value); }
  Endpoint constant_of(std::string_view name, double fallback = 0) const {
    return constant(number(name, fallback));
  }
};

Endpoint exponential_decay(const ScheduleInput& s) {
  Endpoint p = s.g.div(s.step, s.constant_of("decay_steps"));
  if (s.flag("staircase")) p = s.g.op("Floor", {p});
  return s.g.mul(s.constant_of("initial_learning_rate"),
                 s.g.op("Pow", {s.constant_of("decay_rate"), p}));
}

Endpoint inverse_time_decay(const ScheduleInput& s) {
  Endpoint p = s.g.div(s.step, s.constant_of("decay_steps"));
  if (s.flag("staircase")) p = s.g.op("Floor", {p});
  return s.g.div(s.constant_of("initial_learning_rate"),
                 s.g.add(s.constant(1), s.g.mul(s.constant_of("decay_rate"), p)));
}

Endpoint polynomial_decay(const ScheduleInput& s) {
  if (s.flag("cycle")) s.g.fail(unimplemented("PolynomialDecay with cycle is not implemented"));
  const Endpoint steps = s.constant_of("decay_steps");
  const Endpoint p = s.g.div(s.g.op("Minimum", {s.step, steps}), steps);
  const double end = s.number("end_learning_rate", 1e-4);
  const Endpoint left = s.g.op("Pow", {s.g.sub(s.constant(1), p), s.constant_of("power", 1)});
  return s.g.add(s.g.mul(s.constant(s.number("initial_learning_rate") - end), left),
                 s.constant(end));
}

Endpoint cosine_decay(const ScheduleInput& s) {
  if (!s.config["warmup_target"].is_null()) {
    s.g.fail(unimplemented("CosineDecay with warmup_target is not implemented"));
  }
  const Endpoint steps = s.constant_of("decay_steps");
  const Endpoint p = s.g.div(s.g.op("Minimum", {s.step, steps}), steps);
  const Endpoint cosine = s.g.op("Cos", {s.g.mul(s.constant(std::numbers::pi), p)});
  const double alpha = s.number("alpha");
  const Endpoint decayed = s.g.mul(s.constant(0.5 * (1 - alpha)), s.g.add(s.constant(1), cosine));
  return s.g.mul(s.constant_of("initial_learning_rate"), s.g.add(decayed, s.constant(alpha)));
}

struct ScheduleRow {
  std::string_view class_name;
  Endpoint (*rate)(const ScheduleInput&);
};

// formats.md 11.4, "Schedules".
constexpr ScheduleRow kSchedules[] = {
    {"ExponentialDecay", exponential_decay},
    {"InverseTimeDecay", inverse_time_decay},
    {"PolynomialDecay", polynomial_decay},
    {"CosineDecay", cosine_decay},
};

}  // namespace

Endpoint LearningRate::at(GraphBuilder& build, Endpoint iterations) const {
  const std::string wanted = schedule_.text("class_name");
  for (const ScheduleRow& row : kSchedules) {
    if (row.class_name == wanted) {
      return row.rate({build, schedule_["config"], build.cast(iterations, DType::kFloat)});
    }
  }
  std::vector<std::string_view> names;
  for (const ScheduleRow& row : kSchedules) names.push_back(row.class_name);
  build.fail(unimplemented("learning rate schedule '", wanted, "' is not implemented; there are ",
                           join(names, ", ")));
  return {};
}

}  // namespace tenon::keras
