#include "python/native/convert.h"

#include "python/native/arrays.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "python/native/trace.h"
#include "python/native/variable.h"

namespace tenon::python {
namespace {

// What a Python number or text is, in the order in which mixed sequences widen.
enum class Kind : uint8_t { kNone, kBool, kInt, kFloat, kComplex, kText };

Kind kind_of(PyObject* object) {
  if (PyFloat_CheckExact(object)) return Kind::kFloat;
  if (PyBool_Check(object)) return Kind::kBool;
  if (PyLong_Check(object)) return Kind::kInt;
  if (PyUnicode_Check(object) || PyBytes_Check(object)) return Kind::kText;
  if (PyComplex_CheckExact(object)) return Kind::kComplex;
  return Kind::kNone;
}

bool is_sequence(PyObject* object) { return PyList_Check(object) || PyTuple_Check(object); }

// The leaves of nested sequences: a shape, and borrowed references in row-major order.
struct Leaves {
  Shape shape;
  std::vector<PyObject*> objects;
  bool plain = true;     // Python's own numbers and texts only
  bool tensors = false;  // tensors or variables among them
};

constexpr int kMostNested = 64;

void collect(PyObject* object, int depth, Leaves& leaves) {
  if (!is_sequence(object)) {
    if (depth != leaves.shape.rank()) {
      raise(PyExc_ValueError, "Can't convert non-rectangular Python sequence to Tensor.");
    }
    const Kind kind = kind_of(object);
    if (kind == Kind::kNone) leaves.plain = false;
    if (kind == Kind::kNone && (value_if(object) || variable_if(object))) leaves.tensors = true;
    leaves.objects.push_back(object);
    return;
  }
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(object);
  if (depth >= leaves.shape.rank() || leaves.shape[depth] != size) {
    raise(PyExc_ValueError, "Can't convert non-rectangular Python sequence to Tensor.");
  }
  PyObject** items = PySequence_Fast_ITEMS(object);
  for (Py_ssize_t i = 0; i < size; ++i) collect(items[i], depth + 1, leaves);
}

Leaves leaves_of(PyObject* object) {
  Leaves leaves;
  for (PyObject* at = object; is_sequence(at);) {
    if (leaves.shape.rank() >= kMostNested) {
      raise(PyExc_ValueError, "Python sequences nest more than ", kMostNested, " deep.");
    }
    const Py_ssize_t size = PySequence_Fast_GET_SIZE(at);
    leaves.shape.append(size);
    if (size == 0) break;
    at = PySequence_Fast_ITEMS(at)[0];
  }
  collect(object, 0, leaves);
  return leaves;
}

// The kind of a sequence of plain objects.
Kind common_kind(const Leaves& leaves) {
  Kind common = Kind::kNone;
  for (PyObject* object : leaves.objects) {
    const Kind kind = kind_of(object);
    const bool first = common == Kind::kNone;
    if (!first && ((common == Kind::kText) != (kind == Kind::kText) ||
                   (common == Kind::kBool && kind != Kind::kBool))) {
      raise(PyExc_ValueError, "Can't convert Python sequence with mixed types to Tensor.");
    }
    if (first || kind > common) common = kind;
  }
  return common;
}

// Whether Python's `kind` may become an element of `dtype`.
bool fits(Kind kind, DType dtype) {
  switch (kind) {
    case Kind::kText:
      return dtype == DType::kString;
    case Kind::kBool:
      return dtype == DType::kBool || is_integer(dtype) || is_floating(dtype) || is_complex(dtype);
    case Kind::kInt:
      return is_integer(dtype) || is_floating(dtype) || is_complex(dtype) || is_quantized(dtype);
    case Kind::kFloat:
      return is_floating(dtype) || is_complex(dtype);
    case Kind::kComplex:
      return is_complex(dtype);
    case Kind::kNone:
      break;
  }
  return true;
}

DType default_dtype(Kind kind, const Leaves& leaves) {
  switch (kind) {
    case Kind::kBool:
      return DType::kBool;
    case Kind::kInt:
      for (PyObject* object : leaves.objects) {
        int overflow = 0;
        const long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
        if (overflow) {
          raise(PyExc_ValueError,
                "Can't convert Python sequence with out-of-range integer to Tensor.");
        }
        if (value != static_cast<int32_t>(value)) return DType::kInt64;
      }
      return DType::kInt32;
    case Kind::kComplex:
      return DType::kComplex128;
    case Kind::kText:
      return DType::kString;
    default:
      return DType::kFloat;
  }
}

double number_of(PyObject* object) {
  const double number = PyFloat_AsDouble(object);
  if (number == -1.0 && PyErr_Occurred()) throw nb::python_error();
  return number;
}

// Integers wrap around where they do not fit, as TensorFlow's do.
uint64_t integer_of(PyObject* object) {
  const uint64_t number = PyLong_AsUnsignedLongLongMask(object);
  if (number == static_cast<uint64_t>(-1) && PyErr_Occurred()) throw nb::python_error();
  return number;
}

template <class T>
void fill(Tensor& tensor, const Leaves& leaves) {
  T* out = tensor.mutable_data<T>();
  for (PyObject* object : leaves.objects) {
    if constexpr (std::is_integral_v<T>) {
      *out++ = static_cast<T>(integer_of(object));
    } else if constexpr (std::is_same_v<T, std::complex<float>> ||
                         std::is_same_v<T, std::complex<double>>) {
      const Py_complex number = PyComplex_AsCComplex(object);
      if (PyErr_Occurred()) throw nb::python_error();
      using Part = typename T::value_type;
      *out++ = T(static_cast<Part>(number.real), static_cast<Part>(number.imag));
    } else if constexpr (std::is_same_v<T, double>) {
      *out++ = number_of(object);
    } else {
      *out++ = T(static_cast<float>(number_of(object)));
    }
  }
}

Tensor strings_of(const Leaves& leaves) {
  StringTensorBuilder builder(leaves.shape);
  int64_t at = 0;
  for (PyObject* object : leaves.objects) builder.set(at++, text_of(object));
  return std::move(builder).build();
}

DType storage_of(DType dtype) {
  switch (dtype) {
    case DType::kQint8:
      return DType::kInt8;
    case DType::kQuint8:
      return DType::kUint8;
    case DType::kQint16:
      return DType::kInt16;
    case DType::kQuint16:
      return DType::kUint16;
    case DType::kQint32:
      return DType::kInt32;
    default:
      return dtype;
  }
}

Tensor plain_tensor(nb::handle object, const Leaves& leaves, Wanted wanted) {
  const Kind kind = common_kind(leaves);
  DType dtype = wanted.dtype;
  if (dtype == DType::kInvalid || (wanted.hint && !fits(kind, dtype))) {
    dtype = default_dtype(kind, leaves);
  }
  if (!fits(kind, dtype)) {
    raise(PyExc_TypeError, "Cannot convert ", std::string_view(nb::repr(object).c_str()),
          " to EagerTensor of dtype ", info(dtype).name);
  }
  if (dtype == DType::kString) return strings_of(leaves);
  const DType storage = storage_of(dtype);
  Tensor tensor = value_of(Tensor::allocate(storage, leaves.shape));
  const bool filled = visit<NumericTypes>(storage, [&]<class T>() { fill<T>(tensor, leaves); }) ||
                      visit<TypeList<bool>>(storage, [&]<class T>() {
                        bool* out = tensor.mutable_data<bool>();
                        for (PyObject* each : leaves.objects) *out++ = each == Py_True;
                      });
  if (!filled && !leaves.objects.empty()) {
    raise(PyExc_TypeError, "Cannot convert ", std::string_view(nb::repr(object).c_str()),
          " to EagerTensor of dtype ", info(dtype).name);
  }
  return dtype == storage ? tensor : tensor.as_dtype(dtype);
}

// A sequence with tensors in it: one Pack for each level, the numbers taking the tensors' dtype.
Value packed(nb::handle object, Wanted wanted) {
  if (!is_sequence(object.ptr())) return to_value(object, wanted);
  std::vector<Value> parts;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(object.ptr()); ++i) {
    parts.push_back(packed(PySequence_Fast_ITEMS(object.ptr())[i], wanted));
  }
  return run_op("Pack", parts, {{"axis", int64_t{0}}})[0];
}

DType dtype_of_tensors(const Leaves& leaves) {
  for (PyObject* object : leaves.objects) {
    if (const Value* value = value_if(object)) return value->dtype();
    if (const VariableObject* variable = variable_if(object)) return variable->dtype();
  }
  return DType::kInvalid;
}

// `value` where a tensor of `wanted` is asked for.
Value expect_dtype(Value value, Wanted wanted, nb::handle object) {
  if (wanted.dtype == DType::kInvalid || wanted.hint || value.dtype() == wanted.dtype) {
    return value;
  }
  raise(PyExc_ValueError, "Tensor conversion requested dtype ", info(wanted.dtype).name,
        " for Tensor with dtype ", info(value.dtype()).name, ": ",
        std::string_view(nb::repr(object).c_str()));
}

// An array takes the dtype that is asked for, as NumPy's astype() has it.
Value from_array(nb::handle array, Wanted wanted) {
  Tensor tensor = from_numpy(array);
  const bool numbers = !is_object(tensor.dtype());
  if (wanted.dtype == DType::kInvalid || wanted.dtype == tensor.dtype() || !numbers ||
      is_object(wanted.dtype)) {
    return expect_dtype(Value(std::move(tensor)), wanted, array);
  }
  return Value(from_numpy(array.attr("astype")(numpy_dtype(wanted.dtype))));
}

bool has(nb::handle object, const char* name) {
  return PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object.ptr())), name) != 0;
}

// As to_value(), but what is made of Python's data is eager.
Value converted(nb::handle object, Wanted wanted) {
  if (const Value* value = value_if(object)) return expect_dtype(*value, wanted, object);
  PyObject* p = object.ptr();
  if (const VariableObject* variable = variable_if(object)) {
    return expect_dtype(variable->read(), wanted, object);
  }
  if (kind_of(p) != Kind::kNone && Py_TYPE(p)->tp_as_buffer == nullptr) {
    Leaves leaf;
    leaf.objects.push_back(p);
    return Value(plain_tensor(object, leaf, wanted));
  }
  if (has(object, "__tf_tensor__")) {
    nb::object dtype = wanted.dtype == DType::kInvalid || wanted.hint
                           ? nb::none()
                           : nb::object(dtype_object(wanted.dtype));
    const nb::object given = object.attr("__tf_tensor__")(dtype);
    // TensorFlow's own tensors give themselves: they are arrays like others.
    if (value_if(given) || variable_if(given)) return to_value(given, wanted);
  }
  if (PyBytes_CheckExact(p)) {
    Leaves leaf;
    leaf.objects.push_back(p);
    return Value(plain_tensor(object, leaf, wanted));
  }
  if (is_sequence(p)) {
    const Leaves leaves = leaves_of(p);
    if (leaves.plain) return Value(plain_tensor(object, leaves, wanted));
    if (leaves.tensors) {
      const DType dtype = dtype_of_tensors(leaves);
      return expect_dtype(packed(object, {dtype, false}), wanted, object);
    }
    for (PyObject* leaf : leaves.objects) {
      if (leaf == Py_None) {
        raise(PyExc_ValueError,
              "Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) to "
              "a Tensor.");
      }
    }
    return from_array(nb::module_::import_("numpy").attr("asarray")(object), wanted);
  }
  if (has(object, "__array__")) {
    return from_array(nb::module_::import_("numpy").attr("asarray")(object), wanted);
  }
  if (PyObject_CheckBuffer(p)) {
    Tensor tensor = from_buffer(object);
    if (tensor.has_value()) return expect_dtype(Value(std::move(tensor)), wanted, object);
  }
  if (PyObject_HasAttrString(p, "__dlpack__")) {
    return expect_dtype(Value(from_dlpack(object)), wanted, object);
  }
  raise(PyExc_ValueError, "Attempt to convert a value (",
        std::string_view(nb::repr(object).c_str()), ") with an unsupported type (",
        std::string_view(nb::repr(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(p)))).c_str()),
        ") to a Tensor.");
}

}  // namespace

bool is_convertible(nb::handle object) {
  PyObject* p = object.ptr();
  if (kind_of(p) != Kind::kNone || is_sequence(p) || value_if(object) || variable_if(object)) {
    return true;
  }
  // NumPy's way of saying that operators are the object's own.
  if (has(object, "__array_ufunc__") && object.type().attr("__array_ufunc__").is_none()) {
    return false;
  }
  return has(object, "__tf_tensor__") || has(object, "__array__") || PyObject_CheckBuffer(p);
}

Value to_value(nb::handle object, Wanted wanted) {
  Value value = converted(object, wanted);
  Trace* const trace = Trace::current();
  const bool data = !value_if(object) && !variable_if(object) && !has(object, "__tf_tensor__");
  return trace && data && !value.symbolic() ? trace->constant(value.tensor) : value;
}

}  // namespace tenon::python
