// Value: what a Python tensor holds: a value, or the place of one in a function that is being
// traced.
#pragma once

#include <memory>

#include "python/native/errors.h"
#include "tenon/graph/graph.h"

namespace tenon::python {

class Trace;

// A number for every value that a tape may want to know again.
int64_t next_value_id();

// Immutable. Its Python object is tenon.Tensor.
struct Value {
  Value() = default;
  explicit Value(Tensor tensor) : tensor(std::move(tensor)), id(next_value_id()) {}
  Value(std::shared_ptr<Trace> trace, Endpoint endpoint, int64_t id)
      : trace(std::move(trace)), endpoint(endpoint), id(id) {}

  bool symbolic() const { return trace != nullptr; }
  DType dtype() const;
  PartialShape shape() const;

  Tensor tensor;                 // without value: symbolic
  std::shared_ptr<Trace> trace;  // null: eager
  Endpoint endpoint;
  int64_t id = 0;
};

// A new tenon.Tensor.
nb::object wrap(Value value);

// The Value of a tenon.Tensor; null when `object` is something else.
const Value* value_if(nb::handle object);

// NotImplementedError, with `what` the caller wanted its value for, where it is symbolic.
void check_eager(const Value& value, std::string_view what);
// The tensor of an eager Value, in host memory.
Tensor eager(const Value& value, std::string_view what);

}  // namespace tenon::python
