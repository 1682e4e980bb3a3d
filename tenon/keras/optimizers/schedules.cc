#include <algorithm>
#include <cmath>
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
  Endpoint steps = s.constant_of("decay_steps"), step = s.step;
  if (s.flag("cycle")) {
    // To the end of the cycle that the step is in; the first one begins with 0.
    const Endpoint cycles = s.g.op("Ceil", {s.g.div(step, steps)});
    steps = s.g.mul(steps, s.g.op("Maximum", {cycles, s.constant(1)}));
  } else {
    step = s.g.op("Minimum", {step, steps});
  }
  const Endpoint p = s.g.div(step, steps);
  const double end = s.number("end_learning_rate", 1e-4);
  const Endpoint left = s.g.op("Pow", {s.g.sub(s.constant(1), p), s.constant_of("power", 1)});
  return s.g.add(s.g.mul(s.constant(s.number("initial_learning_rate") - end), left),
                 s.constant(end));
}

// rate * ((1 - alpha) * share * (1 + cos(pi * done)) / 2 + alpha).
Endpoint cosine(const ScheduleInput& s, Endpoint rate, Endpoint done, Endpoint share = {}) {
  const Endpoint cosine = s.g.op("Cos", {s.g.mul(s.constant(std::numbers::pi), done)});
  const double alpha = s.number("alpha");
  Endpoint decayed = s.g.mul(s.constant(0.5 * (1 - alpha)), s.g.add(s.constant(1), cosine));
  if (share) decayed = s.g.mul(share, decayed);
  return s.g.mul(rate, s.g.add(decayed, s.constant(alpha)));
}

Endpoint cosine_decay(const ScheduleInput& s) {
  GraphBuilder& g = s.g;
  const Endpoint steps = s.constant_of("decay_steps");
  const Endpoint initial = s.constant_of("initial_learning_rate");
  if (s.config["warmup_target"].is_null()) {
    return cosine(s, initial, g.div(g.op("Minimum", {s.step, steps}), steps));
  }
  const Endpoint warmup = s.constant_of("warmup_steps"), target = s.constant_of("warmup_target");
  const Endpoint step = g.op("Minimum", {s.step, g.add(steps, warmup)});
  const Endpoint rising = g.add(g.mul(g.sub(target, initial), g.div(step, warmup)), initial);
  const Endpoint falling = cosine(s, target, g.div(g.sub(step, warmup), steps));
  return g.op("SelectV2", {g.op("Less", {step, warmup}), rising, falling});
}

Endpoint cosine_decay_restarts(const ScheduleInput& s) {
  GraphBuilder& g = s.g;
  Endpoint done = g.div(s.step, s.constant_of("first_decay_steps")), restarts;
  if (s.number("t_mul", 2) == 1) {
    restarts = g.op("Floor", {done});
    done = g.sub(done, restarts);
  } else {
    const Endpoint one = s.constant(1), t = s.constant_of("t_mul", 2), rest = g.sub(one, t);
    const Endpoint grown = g.op("Log", {g.sub(one, g.mul(done, rest))});
    restarts = g.op("Floor", {g.div(grown, g.op("Log", {t}))});
    const Endpoint length = g.op("Pow", {t, restarts});
    done = g.div(g.sub(done, g.div(g.sub(one, length), rest)), length);
  }
  const Endpoint share = g.op("Pow", {s.constant_of("m_mul", 1), restarts});
  return cosine(s, s.constant_of("initial_learning_rate"), done, share);
}

Endpoint piecewise_constant_decay(const ScheduleInput& s) {
  const Json::Array *boundaries = s.config["boundaries"].items(),
                    *values = s.config["values"].items();
  Endpoint rate = s.constant(values->back().number().value_or(0));
  for (size_t i = boundaries->size(); i-- > 0;) {
    // Keras compares in the step's integers.
    const Endpoint end = s.constant(std::trunc((*boundaries)[i].number().value_or(0)));
    const Endpoint value = s.constant((*values)[i].number().value_or(0));
    rate = s.g.op("SelectV2", {s.g.op("LessEqual", {s.step, end}), value, rate});
  }
  return rate;
}

struct ScheduleRow {
  std::string_view class_name;
  Endpoint (*rate)(const ScheduleInput&);
  // The numbers without which there is none, and the one among them that must be above 0.
  std::vector<std::string_view> numbers;
  std::string_view length;
};

// formats.md 11.4, "Schedules".
const ScheduleRow kSchedules[] = {
    {"ExponentialDecay",
     exponential_decay,
     {"initial_learning_rate", "decay_steps", "decay_rate"},
     "decay_steps"},
    {"InverseTimeDecay",
     inverse_time_decay,
     {"initial_learning_rate", "decay_steps", "decay_rate"},
     "decay_steps"},
    {"PolynomialDecay", polynomial_decay, {"initial_learning_rate", "decay_steps"}, "decay_steps"},
    {"CosineDecay", cosine_decay, {"initial_learning_rate", "decay_steps"}, "decay_steps"},
    {"CosineDecayRestarts",
     cosine_decay_restarts,
     {"initial_learning_rate", "first_decay_steps"},
     "first_decay_steps"},
    {"PiecewiseConstantDecay", piecewise_constant_decay, {}, ""},
};

const ScheduleRow* find_schedule(const Json& schedule) {
  const std::string wanted = schedule.text("class_name");
  for (const ScheduleRow& row : kSchedules) {
    if (row.class_name == wanted) return &row;
  }
  return nullptr;
}

bool is_list_of_numbers(const Json& json) {
  const Json::Array* items = json.items();
  return items && std::all_of(items->begin(), items->end(),
                              [](const Json& item) { return item.number().has_value(); });
}

}  // namespace

Endpoint LearningRate::at(GraphBuilder& build, Endpoint iterations) const {
  if (Status status = check_schedule(schedule_); !status.ok()) {
    build.fail(std::move(status));
    return {};
  }
  return find_schedule(schedule_)->rate(
      {build, schedule_["config"], build.cast(iterations, DType::kFloat)});
}

Status check_schedule(const Json& schedule) {
  const ScheduleRow* row = find_schedule(schedule);
  if (!row) {
    std::vector<std::string_view> names;
    for (const ScheduleRow& known : kSchedules) names.push_back(known.class_name);
    return unimplemented("learning rate schedule '", schedule.text("class_name"),
                         "' is not implemented; there are ", join(names, ", "));
  }
  const Json& config = schedule["config"];
  for (const std::string_view name : row->numbers) {
    if (!config[name].number()) {
      return invalid_argument(row->class_name, ": '", name, "' is ", config[name].dump(),
                              ", expected a number");
    }
  }
  if (!row->length.empty() && !(*config[row->length].number() > 0)) {
    return invalid_argument(row->class_name, ": '", row->length, "' is ",
                            config[row->length].dump(), ", expected a number above 0");
  }
  if (row->rate != piecewise_constant_decay) return absl::OkStatus();
  const Json &boundaries = config["boundaries"], &values = config["values"];
  if (!is_list_of_numbers(boundaries) || !is_list_of_numbers(values) ||
      values.items()->size() != boundaries.items()->size() + 1) {
    return invalid_argument(row->class_name,
                            ": 'boundaries' and 'values' are lists of numbers, with one value "
                            "more than boundaries");
  }
  return absl::OkStatus();
}

}  // namespace tenon::keras
