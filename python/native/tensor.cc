#include "python/native/tensor.h"

#include "python/native/arrays.h"
#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/devices.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "python/native/slots.h"
#include "python/native/trace.h"

namespace tenon::python {
namespace {

nb::handle tensor_type;

// The two operands of a binary operator as tensors; false: the other object's operator decides.
// TensorFlow takes the left tensor's dtype for a hint where `hint` is set; a tensor on the right
// wants its own.
bool operands(PyObject* a, PyObject* b, bool hint, Value& left, Value& right) {
  if (const Value* value = value_if(a)) {
    left = *value;
    if (const Value* other = value_if(b)) {
      right = *other;
      return true;
    }
    if (!is_convertible(b)) return false;
    right = to_value(b, {left.dtype(), hint});
    return true;
  }
  if (!is_convertible(a)) return false;
  right = *value_if(b);
  left = to_value(a, {right.dtype(), false});
  return true;
}

nb::object not_implemented() { return nb::borrow(Py_NotImplemented); }

Value run_one(const OpDef& op, std::span<const Value> inputs, AttrMap attrs = {}) {
  return std::move(run_op(op, inputs, std::move(attrs))[0]);
}
Value run_one(std::string_view op, std::span<const Value> inputs, AttrMap attrs = {}) {
  return run_one(find_op(op), inputs, std::move(attrs));
}

// The declarations of the ops behind operators, found once.
enum BinaryOperator { kAdd, kSub, kMul, kFloorDiv, kFloorMod, kPow, kNumOperators };
const OpDef& op_of(BinaryOperator which) {
  static const std::array<const OpDef*, kNumOperators> ops = {
      &find_op("AddV2"),    &find_op("Sub"),      &find_op("Mul"),
      &find_op("FloorDiv"), &find_op("FloorMod"), &find_op("Pow")};
  return *ops[which];
}

template <BinaryOperator which>
PyObject* binary(PyObject* a, PyObject* b) {
  return guarded([&]() -> nb::object {
    std::array<Value, 2> inputs;
    if (!operands(a, b, true, inputs[0], inputs[1])) return not_implemented();
    if (which == kAdd && inputs[0].dtype() == DType::kString) {
      return wrap(run_one("Add", inputs));
    }
    return wrap(run_one(op_of(which), inputs));
  });
}

PyObject* power(PyObject* a, PyObject* b, PyObject*) { return binary<kPow>(a, b); }

// Python's true division: integers divide as floating-point numbers wide enough for them.
PyObject* true_divide(PyObject* a, PyObject* b) {
  return guarded([&]() -> nb::object {
    std::array<Value, 2> inputs;
    if (!operands(a, b, true, inputs[0], inputs[1])) return not_implemented();
    const DType dtype = inputs[0].dtype();
    if (dtype != inputs[1].dtype()) {
      raise(PyExc_TypeError, "`x` and `y` must have the same dtype, got tf.", info(dtype).name,
            " != tf.", info(inputs[1].dtype()).name, ".");
    }
    if (is_integer(dtype)) {
      const DType wide = size_of(dtype) > 2 ? DType::kDouble : DType::kFloat;
      for (Value& input : inputs) input = run_one("Cast", {&input, 1}, {{"DstT", wide}});
    }
    return wrap(run_one("RealDiv", inputs));
  });
}

PyObject* matrix_multiply(PyObject* a, PyObject* b) {
  return guarded([&]() -> nb::object {
    std::array<Value, 2> inputs;
    if (!operands(a, b, true, inputs[0], inputs[1])) return not_implemented();
    const auto rank = [&](int i) {
      const PartialShape shape = inputs[static_cast<size_t>(i)].shape();
      return shape.has_rank() ? shape.rank() : -1;
    };
    const bool batched = rank(0) > 2 || rank(1) > 2 || rank(0) < 0 || rank(1) < 0;
    return wrap(run_one(batched ? "BatchMatMulV2" : "MatMul", inputs));
  });
}

enum class Logic { kAnd, kOr, kXor };

template <Logic logic>
PyObject* logical(PyObject* a, PyObject* b) {
  return guarded([&]() -> nb::object {
    std::array<Value, 2> inputs;
    if (!operands(a, b, true, inputs[0], inputs[1])) return not_implemented();
    if (inputs[0].dtype() == DType::kBool) {
      switch (logic) {
        case Logic::kAnd:
          return wrap(run_one("LogicalAnd", inputs));
        case Logic::kOr:
          return wrap(run_one("LogicalOr", inputs));
        case Logic::kXor:
          return wrap(run_one("NotEqual", inputs));
      }
    }
    constexpr std::string_view names[] = {"BitwiseAnd", "BitwiseOr", "BitwiseXor"};
    return wrap(run_one(names[static_cast<int>(logic)], inputs));
  });
}

PyObject* unary(PyObject* a, std::string_view op) {
  return guarded([&] { return wrap(run_one(op, {value_if(a), 1})); });
}
PyObject* negative(PyObject* a) { return unary(a, "Neg"); }
PyObject* positive(PyObject* a) { return Py_NewRef(a); }
PyObject* absolute(PyObject* a) {
  const DType dtype = value_if(a)->dtype();
  if (!is_complex(dtype)) return unary(a, "Abs");
  return guarded([&] {
    const DType out = dtype == DType::kComplex64 ? DType::kFloat : DType::kDouble;
    return wrap(run_one("ComplexAbs", {value_if(a), 1}, {{"Tout", out}}));
  });
}
PyObject* invert(PyObject* a) {
  return unary(a, value_if(a)->dtype() == DType::kBool ? "LogicalNot" : "Invert");
}

PyObject* compare(PyObject* a, PyObject* b, int how) {
  return guarded([&]() -> nb::object {
    const bool equality = how == Py_EQ || how == Py_NE;
    if (equality && b == Py_None) return nb::bool_(how == Py_NE);
    std::array<Value, 2> inputs;
    if (!operands(a, b, false, inputs[0], inputs[1])) return not_implemented();
    constexpr std::string_view names[] = {"Less",     "LessEqual", "Equal",
                                          "NotEqual", "Greater",   "GreaterEqual"};
    AttrMap attrs;
    if (equality) attrs.set("incompatible_shape_error", false);
    return wrap(run_one(names[how], inputs, std::move(attrs)));
  });
}

// Python's truth: of a tensor with one element.
int truth(PyObject* a) {
  try {
    const Value& value = *value_if(a);
    if (value.symbolic()) {
      nb::module_::import_("tenon.errors").attr("raise_symbolic_bool")();
    }
    const Tensor tensor = on_host(value.tensor);
    if (tensor.num_elements() != 1) {
      raise(PyExc_ValueError, "The truth value of an array with ",
            tensor.num_elements() == 0 ? "no elements" : "more than one element",
            " is ambiguous. Use a.any() or a.all()");
    }
    if (tensor.dtype() == DType::kBool) return *tensor.data<bool>() ? 1 : 0;
    return PyObject_IsTrue(element(tensor, 0).ptr());
  } catch (...) {
    set_python_error();
    return -1;
  }
}

// The Python number of a scalar.
nb::object scalar(PyObject* a, std::string_view what) {
  const Tensor tensor = eager(*value_if(a), what);
  if (tensor.rank() != 0) {
    raise(PyExc_TypeError, "only 0-dimensional arrays can be converted to Python scalars");
  }
  return element(tensor, 0);
}

PyObject* to_int(PyObject* a) {
  return guarded([&] { return nb::steal(PyNumber_Long(scalar(a, "int").ptr())); });
}
PyObject* to_float(PyObject* a) {
  return guarded([&] { return nb::steal(PyNumber_Float(scalar(a, "float").ptr())); });
}
PyObject* to_index(PyObject* a) {
  return guarded([&]() -> nb::object {
    if (!is_integer(value_if(a)->dtype())) {
      raise(PyExc_TypeError, "only integer scalar tensors can be converted to an index");
    }
    return scalar(a, "index");
  });
}

Py_ssize_t length(PyObject* a) {
  try {
    const PartialShape shape = value_if(a)->shape();
    if (!shape.has_rank() || (shape.rank() > 0 && shape[0] < 0)) {
      raise(PyExc_TypeError,
            "len is not well defined for a symbolic Tensor. Please call `x.shape` "
            "rather than `len(x)` for shape information.");
    }
    if (shape.rank() == 0) raise(PyExc_TypeError, "Scalar tensor has no `len()`");
    return shape[0];
  } catch (...) {
    set_python_error();
    return -1;
  }
}

template <class Function>
PyType_Slot slot(int id, Function* function) {
  return {id, reinterpret_cast<void*>(function)};
}

// Loans of memory are for versions of Python whose limited API has them; ours has.
std::vector<PyType_Slot> slots() {
  return {slot(Py_nb_add, binary<kAdd>),
          slot(Py_nb_subtract, binary<kSub>),
          slot(Py_nb_multiply, binary<kMul>),
          slot(Py_nb_true_divide, true_divide),
          slot(Py_nb_floor_divide, binary<kFloorDiv>),
          slot(Py_nb_remainder, binary<kFloorMod>),
          slot(Py_nb_power, power),
          slot(Py_nb_matrix_multiply, matrix_multiply),
          slot(Py_nb_and, logical<Logic::kAnd>),
          slot(Py_nb_or, logical<Logic::kOr>),
          slot(Py_nb_xor, logical<Logic::kXor>),
          slot(Py_nb_negative, negative),
          slot(Py_nb_positive, positive),
          slot(Py_nb_absolute, absolute),
          slot(Py_nb_invert, invert),
          slot(Py_nb_bool, truth),
          slot(Py_nb_int, to_int),
          slot(Py_nb_float, to_float),
          slot(Py_nb_index, to_index),
          slot(Py_mp_length, length),
          slot(Py_tp_richcompare, compare),
          slot(Py_bf_getbuffer, get_buffer),
          slot(Py_bf_releasebuffer, release_buffer),
          {0, nullptr}};
}

// Bytes that are equal for equal dtypes and shapes: what a trace depends on.
nb::object kind_bytes(DType dtype, const PartialShape& shape) {
  std::string kind(1, static_cast<char>(dtype));
  if (shape.has_rank()) {
    kind.push_back('[');
    const std::span<const int64_t> dims = shape.dims();
    kind.append(reinterpret_cast<const char*>(dims.data()), dims.size_bytes());
  }
  return nb::bytes(kind.data(), kind.size());
}

nb::object numpy_of(const Value& value) { return to_numpy(eager(value, "numpy()")); }

// A traced tensor is where its node is placed: nowhere yet, as a rule.
std::string device_name_of(const Value& value) {
  return value.trace->graph().node(value.endpoint.node).device;
}

// tensor.numpy. Programs ask by hasattr() whether there is a value.
nb::object numpy_method(nb::handle self) {
  if (nb::cast<const Value&>(self).symbolic()) {
    raise(PyExc_AttributeError,
          "a tensor of a traced function has no value: numpy() works on eager tensors only");
  }
  static PyMethodDef method = {
      "numpy",
      [](PyObject* tensor, PyObject*) -> PyObject* {
        try {
          return numpy_of(nb::cast<const Value&>(nb::handle(tensor))).release().ptr();
        } catch (...) {
          set_python_error();
          return nullptr;
        }
      },
      METH_NOARGS, "A copy as a NumPy array, which may be written to."};
  return nb::steal(PyCFunction_New(&method, self.ptr()));
}

nb::object array_of(const Value& value, nb::object dtype, nb::object) {
  nb::object array = nb::module_::import_("numpy").attr("asarray")(numpy_of(value));
  return dtype.is_none() ? array : array.attr("astype")(dtype, nb::arg("copy") = false);
}

nb::object dlpack(const Value& value, nb::kwargs options) {
  bool versioned = false;
  if (options.contains("max_version") && !nb::object(options["max_version"]).is_none()) {
    versioned = nb::cast<int>(nb::object(options["max_version"])[0]) >= 1;
  }
  return dlpack_of(eager(value, "__dlpack__"), versioned);
}

}  // namespace

int64_t next_value_id() {
  static std::atomic<int64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

DType Value::dtype() const { return trace ? trace->graph().value(endpoint).dtype : tensor.dtype(); }

PartialShape Value::shape() const {
  return trace ? trace->graph().value(endpoint).shape : PartialShape(tensor.shape());
}

nb::object wrap(Value value) { return nb::cast(std::move(value), nb::rv_policy::move); }

const Value* value_if(nb::handle object) {
  PyTypeObject* const type = Py_TYPE(object.ptr());
  if (type != reinterpret_cast<PyTypeObject*>(tensor_type.ptr()) &&
      !PyType_IsSubtype(type, reinterpret_cast<PyTypeObject*>(tensor_type.ptr()))) {
    return nullptr;
  }
  return nb::inst_ptr<Value>(object);
}

void check_eager(const Value& value, std::string_view what) {
  if (value.symbolic()) {
    raise(PyExc_NotImplementedError, "a tensor of a traced function has no value: ", what,
          " works on eager tensors only");
  }
}

Tensor eager(const Value& value, std::string_view what) {
  check_eager(value, what);
  return on_host(value.tensor);
}

void register_tensor(nb::module_& m) {
  const std::vector<PyType_Slot> members = slots();
  nb::class_<Value> type(m, "Tensor", nb::dynamic_attr(), nb::is_weak_referenceable(),
                         nb::type_slots(members.data()));
  tensor_type = type;
  type.def_prop_ro("dtype", [](const Value& v) { return dtype_object(v.dtype()); })
      .def_prop_ro("shape", [](const Value& v) { return shape_object(v.shape()); })
      .def_prop_ro("ndim", [](const Value& v) { return v.shape().rank(); })
      .def_prop_ro("device",
                   [](const Value& v) {
                     if (v.symbolic()) return device_name_of(v);
                     return full_name_of(device_of(v.tensor));
                   })
      .def_prop_ro("is_symbolic", [](const Value& v) { return v.symbolic(); })
      .def_prop_ro("_kind", [](const Value& v) { return kind_bytes(v.dtype(), v.shape()); })
      .def_prop_ro("numpy", numpy_method)
      .def("tolist", [](const Value& v) { return to_python(eager(v, "tolist()")); })
      .def("__array__", array_of, nb::arg("dtype") = nb::none(), nb::arg("copy") = nb::none())
      .def("__dlpack__", dlpack)
      .def("__dlpack_device__", [](const Value&) { return nb::make_tuple(1, 0); })
      .def("__complex__",
           [](nb::handle v) {
             return nb::steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyComplex_Type),
                                                  scalar(v.ptr(), "complex").ptr()));
           })
      // NumPy's operators leave it to ours.
      .attr("__array_priority__") = 100;
  m.def(
      "convert",
      [](nb::handle object, nb::handle dtype, bool hint) {
        if (dtype.is_none() && value_if(object)) return nb::borrow(object);
        return wrap(
            to_value(object, {dtype.is_none() ? DType::kInvalid : dtype_from(dtype), hint}));
      },
      nb::arg("value").none(), nb::arg("dtype") = nb::none(), nb::arg("hint") = false,
      "A tensor of what `value` holds.");
  m.def(
      "kind",
      [](nb::handle dtype, nb::handle shape) {
        return kind_bytes(dtype_from(dtype), shape_from(shape));
      },
      nb::arg("dtype"), nb::arg("shape").none());
  m.def("from_dlpack", [](nb::handle object) { return wrap(Value(from_dlpack(object))); });
  m.def("set_shape", [](nb::handle object, nb::handle shape) {
    const Value& value = *value_if(object);
    PartialShape merged = value_of(PartialShape::merge(value.shape(), shape_from(shape)));
    if (value.symbolic()) value.trace->graph().value(value.endpoint).shape = std::move(merged);
  });
}

}  // namespace tenon::python
