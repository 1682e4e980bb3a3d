// Regularizer: a penalty for large weights or outputs, which is added to a model's loss. Keras'
// names, defaults and formulas (keras/src/regularizers/regularizers.py).
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/keras/json.h"

namespace tenon::keras {

// A value type; null where there is none:
//   Dense({.units = 64}).with("kernel_regularizer", L2(1e-4));
class Regularizer {
 public:
  Regularizer() = default;
  // "l1", "l2", "L1L2" or "OrthogonalRegularizer", with Keras' defaults. What is not known shows in
  // check().
  explicit Regularizer(std::string_view name);
  Regularizer& with(std::string_view parameter, Json value);

  explicit operator bool() const { return !class_name_.empty(); }

  // From Keras' JSON: null, a name, or {"class_name": ..., "config": {...}}.
  static StatusOr<Regularizer> from_json(const Json& json);
  Json to_json() const;
  // Parameters are finite numbers, 0 or more.
  Status check() const;

  // The penalty for `x`, a scalar of its dtype. There must be one.
  Endpoint operator()(GraphBuilder& build, Endpoint x) const;

 private:
  Endpoint orthogonal(GraphBuilder& build, Endpoint x) const;

  std::string class_name_;  // "L2"
  Json config_ = Json::object();
};

Regularizer L1(double l1 = 0.01);
Regularizer L2(double l2 = 0.01);
Regularizer L1L2(double l1 = 0.0, double l2 = 0.0);
// `mode`: "rows" or "columns" of a matrix.
Regularizer OrthogonalRegularizer(double factor = 0.01, std::string_view mode = "rows");

}  // namespace tenon::keras
