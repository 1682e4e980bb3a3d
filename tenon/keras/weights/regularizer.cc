#include "tenon/keras/weights/regularizer.h"

#include <cmath>

#include "tenon/keras/weights/named_object.h"

namespace tenon::keras {

namespace {

// Keras keeps these as float32.
double as_float(double value) { return static_cast<double>(static_cast<float>(value)); }

constexpr NamedObjectRow kRegularizers[] = {
    {"L1", "l1",
     [] {
       return Json::object({{"l1", as_float(0.01)}});
     }},
    {"L2", "l2",
     [] {
       return Json::object({{"l2", 0.01}});
     }},
    {"L1L2", "l1l2",
     [] {
       return Json::object({{"l1", 0.0}, {"l2", 0.0}});
     }},
    {"OrthogonalRegularizer", "orthogonal_regularizer",
     [] {
       return Json::object({{"factor", as_float(0.01)}, {"mode", "rows"}});
     }},
};

// keras.ops.normalize with order 2 (keras/src/ops/nn.py).
Endpoint normalize(GraphBuilder& g, Endpoint x, int64_t axis) {
  const int64_t axes[] = {axis};
  const Endpoint inverse = g.op("Rsqrt", {g.sum(g.op("Square", {x}), axes, true)});
  return g.mul(x, g.op("Minimum", {inverse, g.scalar_of(g.dtype(x), 1e7)}));
}

// The sum of all elements of any shape.
Endpoint sum_of_all(GraphBuilder& g, Endpoint x) {
  const int64_t axes[] = {0};
  return g.sum(g.reshape(x, g.integers({-1})), axes);
}

}  // namespace

Regularizer::Regularizer(std::string_view name) : class_name_(name) {
  if (const NamedObjectRow* row = find_named_object(kRegularizers, name)) {
    class_name_ = row->class_name;
    config_ = row->defaults();
  }
}

Regularizer& Regularizer::with(std::string_view parameter, Json value) {
  config_.set(parameter, std::move(value));
  return *this;
}

Status Regularizer::check() const {
  TENON_RETURN_IF_ERROR(check_named_object("regularizer", kRegularizers, class_name_, config_));
  for (const auto& [name, value] : *config_.members()) {
    if (name == "mode") {
      if (value == Json("rows") || value == Json("columns")) continue;
      return invalid_argument("regularizer ", class_name_, ": 'mode' is ", value.dump(),
                              ", expected \"rows\" or \"columns\"");
    }
    const std::optional<double> number = value.number();
    if (!number || !std::isfinite(*number) || *number < 0) {
      return invalid_argument("regularizer ", class_name_, ": '", name, "' is ", value.dump(),
                              ", expected a number, 0 or more");
    }
  }
  return absl::OkStatus();
}

StatusOr<Regularizer> Regularizer::from_json(const Json& json) {
  if (json.is_null()) return Regularizer();
  return named_object_from_json<Regularizer>(ObjectKind::kRegularizer, json);
}

Json Regularizer::to_json() const {
  return *this ? named_object_to_json("regularizers", class_name_, config_) : Json();
}

Endpoint Regularizer::operator()(GraphBuilder& g, Endpoint x) const {
  if (!g.status().ok()) return {};
  if (class_name_ == "OrthogonalRegularizer") return orthogonal(g, x);
  const DType dtype = g.dtype(x);
  Endpoint penalty;
  const auto add = [&](std::string_view parameter, std::string_view op) {
    const double factor = config_[parameter].number().value_or(0);
    if (factor == 0) return;
    const Endpoint part = g.mul(g.scalar_of(dtype, factor), sum_of_all(g, g.op(op, {x})));
    penalty = penalty ? g.add(penalty, part) : part;
  };
  add("l1", "Abs");
  add("l2", "Square");
  return penalty ? penalty : g.scalar_of(dtype, 0);
}

Endpoint Regularizer::orthogonal(GraphBuilder& g, Endpoint x) const {
  const PartialShape shape = g.shape(x);
  const bool rows = config_["mode"] != Json("columns");
  if (shape.rank() != 2 || shape[rows ? 0 : 1] < 0) {
    g.fail(invalid_argument("OrthogonalRegularizer takes a matrix of known size, not ", shape));
    return {};
  }
  const int64_t size = shape[rows ? 0 : 1];
  const Endpoint unit = normalize(g, x, rows ? 1 : 0);
  const Endpoint products =
      g.op("MatMul", {unit, unit}, {{"transpose_a", !rows}, {"transpose_b", rows}});
  // The diagonal, a vector's product with itself, counts for nothing.
  const Endpoint zeros = g.op("Fill", {g.integers({size}), g.scalar_of(g.dtype(x), 0)});
  const Endpoint others = g.op("MatrixSetDiag", {products, zeros});
  const double pairs = static_cast<double>(size) * (static_cast<double>(size) - 1) / 2;
  const double factor = config_["factor"].number().value_or(0) * 0.5;
  const Endpoint sum = g.mul(g.scalar_of(g.dtype(x), factor), sum_of_all(g, g.op("Abs", {others})));
  return g.div(sum, g.scalar_of(g.dtype(x), pairs));
}

Regularizer L1(double l1) { return Regularizer("L1").with("l1", as_float(l1)); }
Regularizer L2(double l2) { return Regularizer("L2").with("l2", l2); }
Regularizer L1L2(double l1, double l2) { return Regularizer("L1L2").with("l1", l1).with("l2", l2); }
Regularizer OrthogonalRegularizer(double factor, std::string_view mode) {
  return Regularizer("OrthogonalRegularizer").with("factor", as_float(factor)).with("mode", mode);
}

}  // namespace tenon::keras
