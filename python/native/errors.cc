#include "python/native/errors.h"

#include "python/native/slots.h"

namespace tenon::python {

StatusError::StatusError(Status status)
    : status_(std::move(status)), message_(message_of(status_)) {}

namespace {

// The classes are Python's own; they are looked for when the first error comes.
void set_status_error(const StatusError& error) {
  const nb::object raised =
      nb::module_::import_("tenon.errors")
          .attr("from_code")(static_cast<int>(error.status().code()), nb::str(error.what()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised.ptr())), raised.ptr());
}

}  // namespace

void set_python_error() {
  try {
    throw;
  } catch (const StatusError& error) {
    set_status_error(error);
  } catch (nb::python_error& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
}

void register_errors(nb::module_&) {
  nb::register_exception_translator(
      [](const std::exception_ptr& thrown, void*) {
        try {
          std::rethrow_exception(thrown);
        } catch (const StatusError& error) {
          set_status_error(error);
        }
      },
      nullptr);
}

}  // namespace tenon::python
