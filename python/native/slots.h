// Functions of CPython's type slots: C++ exceptions become Python's, as nanobind's functions do it.
#pragma once

#include "python/native/errors.h"

namespace tenon::python {

// Sets the Python exception that stands for the C++ exception being handled.
void set_python_error();

// The new reference that `body` gives, or null with a Python exception set.
template <class Body>
PyObject* guarded(Body&& body) {
  try {
    nb::object result = body();
    return result.release().ptr();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

}  // namespace tenon::python
