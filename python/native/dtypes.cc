#include "python/native/dtypes.h"

namespace tenon::python {
namespace {

struct DTypeObject {
  DType dtype;
};

constexpr DType kAll[] = {
    DType::kFloat,   DType::kDouble, DType::kInt32,      DType::kUint8,      DType::kInt16,
    DType::kInt8,    DType::kString, DType::kComplex64,  DType::kInt64,      DType::kBool,
    DType::kQint8,   DType::kQuint8, DType::kQint32,     DType::kBfloat16,   DType::kQint16,
    DType::kQuint16, DType::kUint16, DType::kComplex128, DType::kHalf,       DType::kResource,
    DType::kVariant, DType::kUint32, DType::kUint64,     DType::kFloat8E5m2, DType::kFloat8E4m3fn,
    DType::kInt4,    DType::kUint4};

// By enum value. The objects live as long as the process.
std::array<PyObject*, 32> objects{};

std::string name_of(DType dtype) { return std::string(info(dtype).name); }

// Python's types that TensorFlow takes for dtypes; int, complex and str are not among them.
std::optional<DType> dtype_of_type(PyObject* type) {
  if (type == reinterpret_cast<PyObject*>(&PyFloat_Type)) return DType::kFloat;
  if (type == reinterpret_cast<PyObject*>(&PyBool_Type)) return DType::kBool;
  if (type == reinterpret_cast<PyObject*>(&PyBaseObject_Type)) return DType::kString;
  return std::nullopt;
}

std::optional<DType> dtype_of_numpy_name(std::string_view name) {
  if (name == "object" || name.starts_with("str") || name.starts_with("bytes")) {
    return DType::kString;
  }
  return parse_dtype(name);
}

bool is_any_floating(DType dtype) {
  return is_floating(dtype) || dtype == DType::kFloat8E4m3fn || dtype == DType::kFloat8E5m2;
}

DType real_part(DType dtype) {
  if (dtype == DType::kComplex64) return DType::kFloat;
  return dtype == DType::kComplex128 ? DType::kDouble : dtype;
}

}  // namespace

bool is_quantized(DType dtype) {
  return dtype == DType::kQint8 || dtype == DType::kQuint8 || dtype == DType::kQint16 ||
         dtype == DType::kQuint16 || dtype == DType::kQint32;
}

nb::object dtype_object(DType dtype) {
  PyObject* object = objects[static_cast<size_t>(dtype)];
  if (!object) raise(PyExc_ValueError, "there is no dtype of number ", static_cast<int>(dtype));
  return nb::borrow(object);
}

std::optional<DType> dtype_if_any(nb::handle object) {
  DTypeObject* known = nullptr;
  if (nb::try_cast<DTypeObject*>(object, known) && known) return known->dtype;
  if (PyUnicode_Check(object.ptr())) return parse_dtype(nb::cast<std::string>(object));
  if (PyLong_CheckExact(object.ptr())) {
    int overflow = 0;
    const long number = PyLong_AsLongAndOverflow(object.ptr(), &overflow);
    if (overflow || number < 0 || number > 255) return std::nullopt;
    return dtype_from_enum(static_cast<int>(number));
  }
  if (PyType_Check(object.ptr())) {
    if (const auto dtype = dtype_of_type(object.ptr())) return dtype;
    if (nb::hasattr(object, "dtype") && nb::hasattr(object, "__name__")) {  // numpy.float32
      std::string name = nb::cast<std::string>(object.attr("__name__"));
      if (name.ends_with('_')) name.pop_back();
      return dtype_of_numpy_name(name);
    }
    return std::nullopt;
  }
  if (nb::hasattr(object, "itemsize") && nb::hasattr(object, "kind")) {  // numpy.dtype
    return dtype_of_numpy_name(nb::cast<std::string>(nb::str(object.attr("name"))));
  }
  return std::nullopt;
}

DType dtype_from(nb::handle object) {
  const std::optional<DType> dtype = dtype_if_any(object);
  if (!dtype || *dtype == DType::kInvalid) {
    raise(PyExc_TypeError,
          "Cannot convert the argument `type_value`: ", std::string_view(nb::repr(object).c_str()),
          " to a TensorFlow DType.");
  }
  return *dtype;
}

nb::object numpy_dtype(DType dtype) {
  nb::module_ numpy = nb::module_::import_("numpy");
  switch (dtype) {
    case DType::kString:
      return numpy.attr("dtype")("object");
    case DType::kBfloat16:
    case DType::kFloat8E4m3fn:
    case DType::kFloat8E5m2:
    case DType::kInt4:
    case DType::kUint4:
      return numpy.attr("dtype")(nb::module_::import_("ml_dtypes").attr(name_of(dtype).c_str()));
    default:
      break;
  }
  const std::string_view descr = info(dtype).numpy;
  if (descr.empty()) raise(PyExc_TypeError, "NumPy has no dtype for ", name_of(dtype));
  return numpy.attr("dtype")(std::string(descr));
}

void register_dtypes(nb::module_& m) {
  nb::class_<DTypeObject> type(m, "DType", "The type of a tensor's elements.");
  type.def_prop_ro("name", [](const DTypeObject& d) { return name_of(d.dtype); })
      .def_prop_ro("as_datatype_enum", [](const DTypeObject& d) { return int(d.dtype); })
      .def_prop_ro("size",
                   [](const DTypeObject& d) { return is_object(d.dtype) ? 1 : size_of(d.dtype); })
      .def_prop_ro("is_floating", [](const DTypeObject& d) { return is_any_floating(d.dtype); })
      .def_prop_ro("is_integer", [](const DTypeObject& d) { return is_integer(d.dtype); })
      .def_prop_ro("is_unsigned", [](const DTypeObject& d) { return is_unsigned_integer(d.dtype); })
      .def_prop_ro("is_complex", [](const DTypeObject& d) { return is_complex(d.dtype); })
      .def_prop_ro("is_bool", [](const DTypeObject& d) { return d.dtype == DType::kBool; })
      .def_prop_ro("is_quantized", [](const DTypeObject& d) { return is_quantized(d.dtype); })
      .def_prop_ro("is_numpy_compatible",
                   [](const DTypeObject& d) {
                     return d.dtype != DType::kResource && d.dtype != DType::kVariant;
                   })
      .def_prop_ro("base_dtype", [](const DTypeObject& d) { return dtype_object(d.dtype); })
      .def_prop_ro("real_dtype",
                   [](const DTypeObject& d) { return dtype_object(real_part(d.dtype)); })
      .def_prop_ro("as_numpy_dtype",
                   [](const DTypeObject& d) { return numpy_dtype(d.dtype).attr("type"); })
      .def("is_compatible_with",
           [](const DTypeObject& d, nb::object other) { return dtype_from(other) == d.dtype; })
      .def(
          "__eq__",
          [](const DTypeObject& d, nb::object other) { return dtype_if_any(other) == d.dtype; },
          nb::arg().none())
      .def("__hash__", [](const DTypeObject& d) { return static_cast<int>(d.dtype); })
      .def("__int__", [](const DTypeObject& d) { return static_cast<int>(d.dtype); })
      .def("__repr__", [](const DTypeObject& d) { return "tf." + name_of(d.dtype); })
      .def("__str__", [](const DTypeObject& d) { return "<dtype: '" + name_of(d.dtype) + "'>"; });
  nb::dict all;
  for (DType dtype : kAll) {
    nb::object object = nb::cast(DTypeObject{dtype});
    all[name_of(dtype).c_str()] = object;
    objects[static_cast<size_t>(dtype)] = object.release().ptr();
  }
  m.attr("dtypes") = all;
  m.def("as_dtype", [](nb::object object) { return dtype_object(dtype_from(object)); });
}

}  // namespace tenon::python
