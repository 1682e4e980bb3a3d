// Python's code that the engine calls: generators of datasets, and functions that stand in graphs
// as EagerPyFunc.
#pragma once

#include "python/native/trace.h"

namespace tenon::python {

// Takes the interpreter's lock for a call of Python's code, on whatever thread; ops of such code
// run, also where a function is being traced.
class PythonCall {
 public:
  PythonCall();
  ~PythonCall();
  PythonCall(const PythonCall&) = delete;
  PythonCall& operator=(const PythonCall&) = delete;

  // Whether this thread is in one: it may be a thread of a pipeline then, which must not wait for
  // that pipeline's threads to end.
  static bool is_within();

 private:
  nb::gil_scoped_acquire acquired_;
  Untraced untraced_;
};

using PythonObject = std::shared_ptr<PyObject>;

// An object that whatever thread may let go of.
PythonObject shared(nb::object object);

// Adds the op EagerPyFunc, which calls tenon.python_function.call(token, tensors) when it runs, and
// the functions that put Python's objects into tensors of variants and take them out. Once.
void register_python_call(nb::module_& m);

}  // namespace tenon::python
