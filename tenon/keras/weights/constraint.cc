#include "tenon/keras/weights/constraint.h"

#include "tenon/keras/weights/named_object.h"

namespace tenon::keras {

namespace {

constexpr NamedObjectRow kConstraints[] = {
    {"MaxNorm", "max_norm",
     [] {
       return Json::object({{"max_value", 2}, {"axis", 0}});
     }},
    {"NonNeg", "non_neg", [] { return Json::object(); }},
    {"UnitNorm", "unit_norm",
     [] {
       return Json::object({{"axis", 0}});
     }},
    {"MinMaxNorm", "min_max_norm",
     [] {
       return Json::object({{"min_value", 0.0}, {"max_value", 1.0}, {"rate", 1.0}, {"axis", 0}});
     }},
};

Json axes_to_json(const std::vector<int64_t>& axes) {
  return axes.size() == 1 ? Json(axes[0]) : Json::array(axes);
}

// Null where they are no integers.
std::optional<std::vector<int64_t>> axes_from_json(const Json& json) {
  if (const int64_t* axis = json.integer()) return std::vector<int64_t>{*axis};
  if (!json.items()) return std::nullopt;
  std::vector<int64_t> axes;
  for (const Json& item : *json.items()) {
    if (!item.integer()) return std::nullopt;
    axes.push_back(*item.integer());
  }
  return axes;
}

}  // namespace

Constraint::Constraint(std::string_view name) : class_name_(name) {
  if (const NamedObjectRow* row = find_named_object(kConstraints, name)) {
    class_name_ = row->class_name;
    config_ = row->defaults();
  }
}

Constraint& Constraint::with(std::string_view parameter, Json value) {
  config_.set(parameter, std::move(value));
  return *this;
}

Status Constraint::check() const {
  TENON_RETURN_IF_ERROR(check_named_object("constraint", kConstraints, class_name_, config_));
  for (const auto& [name, value] : *config_.members()) {
    const bool axis = name == "axis";
    if (axis ? axes_from_json(value).has_value() : value.number().has_value()) continue;
    return invalid_argument("constraint ", class_name_, ": '", name, "' is ", value.dump(),
                            ", expected ", axis ? "an integer or a list of them" : "a number");
  }
  return absl::OkStatus();
}

StatusOr<Constraint> Constraint::from_json(const Json& json) {
  if (json.is_null()) return Constraint();
  return named_object_from_json<Constraint>(ObjectKind::kConstraint, json);
}

Json Constraint::to_json() const {
  return *this ? named_object_to_json("constraints", class_name_, config_) : Json();
}

Endpoint Constraint::operator()(GraphBuilder& g, Endpoint w) const {
  if (!g.status().ok()) return {};
  const auto number = [&](double value) { return g.scalar_of(g.dtype(w), value); };
  const auto parameter = [&](std::string_view name) {
    return number(config_[name].number().value_or(0));
  };
  if (class_name_ == "NonNeg") return g.op("Maximum", {w, number(0)});
  const std::vector<int64_t> axes =
      axes_from_json(config_["axis"]).value_or(std::vector<int64_t>{});
  const Endpoint norms = g.op("Sqrt", {g.sum(g.op("Square", {w}), axes, true)});
  constexpr double kEpsilon = 1e-7;  // keras.config.epsilon()
  const Endpoint divisor = g.add(number(kEpsilon), norms);
  if (class_name_ == "UnitNorm") return g.div(w, divisor);
  const bool both = class_name_ == "MinMaxNorm";
  const Endpoint low = both ? parameter("min_value") : number(0);
  Endpoint wanted = g.op("Minimum", {g.op("Maximum", {norms, low}), parameter("max_value")});
  if (both) {
    wanted = g.add(g.mul(parameter("rate"), wanted),
                   g.mul(number(1 - config_["rate"].number().value_or(1)), norms));
  }
  return g.mul(w, g.div(wanted, divisor));
}

Constraint MaxNorm(double max_value, const std::vector<int64_t>& axes) {
  return Constraint("MaxNorm").with("max_value", max_value).with("axis", axes_to_json(axes));
}
Constraint NonNeg() { return Constraint("NonNeg"); }
Constraint UnitNorm(const std::vector<int64_t>& axes) {
  return Constraint("UnitNorm").with("axis", axes_to_json(axes));
}
Constraint MinMaxNorm(double min_value, double max_value, double rate,
                      const std::vector<int64_t>& axes) {
  return Constraint("MinMaxNorm")
      .with("min_value", min_value)
      .with("max_value", max_value)
      .with("rate", rate)
      .with("axis", axes_to_json(axes));
}

}  // namespace tenon::keras
