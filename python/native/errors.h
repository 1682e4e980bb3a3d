// Errors of the engine as Python exceptions: tenon.errors has a class for each of TensorFlow's
// codes.
#pragma once

#include "python/native/binding.h"
#include "tenon/base/status.h"

namespace tenon::python {

// A Status on its way to Python, where it becomes the class of tenon.errors for its code. Thrown
// and caught within python/ alone.
class StatusError : public std::exception {
 public:
  explicit StatusError(Status status);
  const Status& status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Status status_;
  std::string message_;
};

inline void check(const Status& status) {
  if (!status.ok()) throw StatusError(status);
}

template <class T>
T value_of(StatusOr<T> result) {
  if (!result.ok()) throw StatusError(result.status());
  return *std::move(result);
}

// The message of any error that Python raised, as a Python exception of built-in class `type`.
template <class... Parts>
[[noreturn]] void raise(PyObject* type, const Parts&... parts) {
  PyErr_SetString(type, cat(parts...).c_str());
  throw nb::python_error();
}

void register_errors(nb::module_& m);

}  // namespace tenon::python
