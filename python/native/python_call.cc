#include "python/native/python_call.h"

#include "python/native/convert.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon::python {
namespace {

thread_local int python_calls = 0;

// A Python object in a tensor.
class HeldObject final : public Object {
 public:
  explicit HeldObject(nb::object object) : object_(shared(std::move(object))) {}
  static constexpr std::string_view kTypeName = "PythonObject";
  std::string_view type_name() const override { return kTypeName; }
  nb::object object() const { return nb::borrow(object_.get()); }

 private:
  PythonObject object_;
};

// tenon.python_function raises errors of tenon.errors, which know their codes.
Status function_error(const nb::python_error& error) {
  const nb::object code = nb::getattr(error.value(), "error_code", nb::none());
  if (!nb::isinstance<nb::int_>(code)) return unknown_error(error.what());
  return Status(static_cast<absl::StatusCode>(nb::cast<int>(code)),
                nb::cast<std::string>(nb::str(error.value())));
}

Status call_function(const std::string& token, const std::vector<DType>& dtypes, KernelRun& r) {
  const PythonCall call;
  try {
    nb::list given;
    for (int i = 0; i < r.num_inputs(); ++i) given.append(wrap(Value(r.input(i).keep())));
    const nb::object results =
        nb::module_::import_("tenon.python_function").attr("call")(token, given);
    if (nb::len(results) != dtypes.size()) {
      return invalid_argument(token, " returns ", nb::len(results), " values, but expects to see ",
                              dtypes.size(), " values.");
    }
    int at = 0;
    for (nb::handle result : results) {
      const Value value = to_value(result);
      const Tensor& tensor = eager(value, "a result of a Python function");
      const DType expected = dtypes[static_cast<size_t>(at)];
      if (tensor.dtype() != expected) {
        return invalid_argument(at, "-th value returned by ", token, " is ", tensor.dtype(),
                                ", but expects ", expected);
      }
      r.set_output(at++, tensor);
    }
    return absl::OkStatus();
  } catch (nb::python_error& error) {
    return function_error(error);
  } catch (const StatusError& error) {
    return error.status();
  }
}

StatusOr<Kernel> make_python_function(Prepare& p) {
  return Kernel([token = p.attr<std::string>("token"), dtypes = p.attr<std::vector<DType>>("Tout")](
                    KernelRun& r) { return call_function(token, dtypes, r); });
}

Status python_function_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, PartialShape());
  return absl::OkStatus();
}

constexpr OpDecl kEagerPyFunc = {
    .inputs = "input: Tin",
    .outputs = "output: Tout",
    .attrs = "token: string; is_async: bool = false; Tin: list(type) >= 0; Tout: list(type) >= 0",
    .effect = Effect::kOutside,
    .supplies_outputs = true,
    .shape = python_function_shape,
    .gradient = not_differentiable,
    .kernels = {make_python_function},
};

}  // namespace

PythonCall::PythonCall() { ++python_calls; }
PythonCall::~PythonCall() { --python_calls; }
bool PythonCall::is_within() { return python_calls > 0; }

PythonObject shared(nb::object object) {
  return {object.release().ptr(), [](PyObject* held) {
            if (!Py_IsInitialized()) return;
            const PythonCall call;
            Py_DECREF(held);
          }};
}

void register_python_call(nb::module_& m) {
  check(OpRegistry::global().add("EagerPyFunc", kEagerPyFunc));
  m.def("hold_object", [](nb::object object) {
    return wrap(Value(Tensor::object(DType::kVariant, make_ref<HeldObject>(std::move(object)))));
  });
  m.def("held_object", [](nb::handle tensor) {
    const Value value = to_value(tensor);
    const auto* held = eager(value, "a Python object").object_as<HeldObject>();
    if (!held) check(invalid_argument("the tensor holds no Python object"));
    return held->object();
  });
}

}  // namespace tenon::python
