// Constraint: what a weight is brought back to after each step of its optimizer. Keras' names,
// defaults and formulas (keras/src/constraints/constraints.py).
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/keras/json.h"

namespace tenon::keras {

// A value type; null where there is none:
//   Dense({.units = 64}).with("kernel_constraint", MaxNorm(3));
class Constraint {
 public:
  Constraint() = default;
  // "max_norm", "non_neg", "unit_norm" or "min_max_norm", with Keras' defaults. What is not known
  // shows in check().
  explicit Constraint(std::string_view name);
  Constraint& with(std::string_view parameter, Json value);

  explicit operator bool() const { return !class_name_.empty(); }

  // From Keras' JSON: null, a name, or {"class_name": ..., "config": {...}}.
  static StatusOr<Constraint> from_json(const Json& json);
  Json to_json() const;
  Status check() const;

  // `w` as it may be. There must be a constraint.
  Endpoint operator()(GraphBuilder& build, Endpoint w) const;

 private:
  std::string class_name_;  // "MaxNorm"
  Json config_ = Json::object();
};

// `axes` are those that a norm goes over: 0 for a Dense kernel, 0 to 2 for that of a Conv2D.
Constraint MaxNorm(double max_value = 2, const std::vector<int64_t>& axes = {0});
Constraint NonNeg();
Constraint UnitNorm(const std::vector<int64_t>& axes = {0});
Constraint MinMaxNorm(double min_value = 0, double max_value = 1, double rate = 1,
                      const std::vector<int64_t>& axes = {0});

}  // namespace tenon::keras
