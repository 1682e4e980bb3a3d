// Value: an endpoint with operators, so that gradient formulas read as in a book. Every operator
// adds a graph op; the first error sticks in the builder.
#pragma once

#include "tenon/graph/gradient.h"

namespace tenon {

struct Value {
  GraphBuilder* builder;
  Endpoint endpoint;
  operator Endpoint() const { return endpoint; }  // NOLINT: a Value is an endpoint
  DType dtype() const { return builder->dtype(endpoint); }

  // A scalar of this value's dtype.
  Value like(double constant) const { return {builder, builder->scalar_of(dtype(), constant)}; }
};

inline Value apply(std::string_view op, Value a) { return {a.builder, a.builder->op(op, {a})}; }
inline Value apply(std::string_view op, Value a, Value b) {
  return {a.builder, a.builder->op(op, {a, b})};
}
inline Value select(Value condition, Value a, Value b) {
  return {a.builder, a.builder->op("SelectV2", {condition, a, b})};
}

inline Value operator-(Value a) { return apply("Neg", a); }
inline Value operator+(Value a, Value b) { return apply("AddV2", a, b); }
inline Value operator-(Value a, Value b) { return apply("Sub", a, b); }
inline Value operator*(Value a, Value b) { return apply("Mul", a, b); }
inline Value operator/(Value a, Value b) { return apply("RealDiv", a, b); }
inline Value operator+(Value a, double b) { return a + a.like(b); }
inline Value operator+(double a, Value b) { return b.like(a) + b; }
inline Value operator-(Value a, double b) { return a - a.like(b); }
inline Value operator-(double a, Value b) { return b.like(a) - b; }
inline Value operator*(Value a, double b) { return a * a.like(b); }
inline Value operator*(double a, Value b) { return b.like(a) * b; }
inline Value operator/(double a, Value b) { return b.like(a) / b; }
inline Value square(Value a) { return apply("Square", a); }
inline Value zeros_like(Value a) { return apply("ZerosLike", a); }

// The complex conjugate; a real value unchanged.
inline Value conj(Value a) { return is_complex(a.dtype()) ? apply("Conj", a) : a; }

// Input, output and upstream gradient of a node with one input and one output.
struct UnaryValues {
  Value x, y, dy;
};

// Inputs, output and upstream gradient of a node with two inputs and one output.
struct BinaryValues {
  Value a, b, y, dy;
};
// Gradients with respect to both inputs, before the sum over broadcast dimensions. An invalid
// endpoint: none.
struct BinaryGradients {
  Endpoint da, db;
};

// Gradient functions made of a formula: a captureless lambda UnaryValues -> Value, or
// BinaryValues -> BinaryGradients.
template <class Formula>
Status unary_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const UnaryValues values{{b, g.input(0)}, {b, g.output(0)}, {b, g.dy()}};
  g.set_dx(0, Formula{}(values));
  return absl::OkStatus();
}
template <class Formula>
Status binary_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const BinaryValues values{{b, g.input(0)}, {b, g.input(1)}, {b, g.output(0)}, {b, g.dy()}};
  const BinaryGradients gradients = Formula{}(values);
  if (gradients.da) g.set_dx_broadcast(0, gradients.da);
  if (gradients.db) g.set_dx_broadcast(1, gradients.db);
  return absl::OkStatus();
}

}  // namespace tenon
