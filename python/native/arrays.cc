#include "python/native/arrays.h"

#include "python/native/buffers.h"
#include "python/native/dtypes.h"

namespace tenon::python {
namespace {

// An attribute of the module numpy, never given back: it may outlive the interpreter.
nb::handle numpy(const char* name) {
  return nb::object(nb::module_::import_("numpy").attr(name)).release();
}

nb::handle numpy_empty() {
  static const nb::handle empty = numpy("empty");
  return empty;
}

nb::tuple shape_tuple(const Shape& shape) {
  nb::object dims = nb::steal(PyTuple_New(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i) {
    PyTuple_SET_ITEM(dims.ptr(), i, PyLong_FromLongLong(shape[i]));
  }
  return nb::borrow<nb::tuple>(dims);
}

// The dtype objects of NumPy, made once each.
nb::handle cached_numpy_dtype(DType dtype) {
  static std::array<PyObject*, 32> made{};
  PyObject*& object = made[static_cast<size_t>(dtype)];
  if (!object) object = numpy_dtype(dtype).release().ptr();
  return object;
}

bool is_ml_dtype(DType dtype) {
  return dtype == DType::kBfloat16 || dtype == DType::kFloat8E5m2 ||
         dtype == DType::kFloat8E4m3fn || dtype == DType::kInt4 || dtype == DType::kUint4;
}

// The integer of the same size, whose arrays have the buffer protocol.
DType carrier_of(DType dtype) {
  if (!is_ml_dtype(dtype)) return dtype;
  return size_of(dtype) == 2 ? DType::kUint16 : DType::kUint8;
}

nb::object strings_to_numpy(const Tensor& tensor) {
  nb::list items;
  for (int64_t i = 0; i < tensor.num_elements(); ++i) items.append(element(tensor, i));
  nb::object array = nb::borrow(numpy_empty())(nb::int_(tensor.num_elements()),
                                               cached_numpy_dtype(tensor.dtype()));
  array[nb::slice(nb::none(), nb::none(), nb::none())] = items;
  return array.attr("reshape")(shape_tuple(tensor.shape()));
}

std::vector<int64_t> dims_of(nb::handle array) {
  std::vector<int64_t> dims;
  for (nb::handle dim : array.attr("shape")) dims.push_back(nb::cast<int64_t>(dim));
  return dims;
}

// Text of NumPy's kinds S, U and O: one string an element.
Tensor strings_from_numpy(nb::handle array) {
  StringTensorBuilder builder(value_of(Shape::make(dims_of(array), sizeof(std::string_view))));
  int64_t at = 0;
  for (nb::handle item : nb::object(array.attr("ravel")().attr("tolist")())) {
    if (!PyUnicode_Check(item.ptr()) && !PyBytes_Check(item.ptr())) {
      raise(PyExc_ValueError,
            "Failed to convert a NumPy array to a Tensor (Unsupported object type ",
            Py_TYPE(item.ptr())->tp_name, ").");
    }
    builder.set(at++, text_of(item.ptr()));
  }
  return std::move(builder).build();
}

nb::object nested(const Tensor& tensor, int axis, int64_t& at) {
  if (axis == tensor.rank()) return element(tensor, at++);
  nb::list list;
  for (int64_t i = 0; i < tensor.dim(axis); ++i) list.append(nested(tensor, axis + 1, at));
  return list;
}

template <class T>
nb::object number(T value) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    return nb::steal(PyComplex_FromDoubles(value.real(), value.imag()));
  } else if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
    return nb::steal(PyLong_FromLongLong(value));
  } else if constexpr (std::is_integral_v<T>) {
    return nb::steal(PyLong_FromUnsignedLongLong(value));
  } else {
    return nb::steal(PyFloat_FromDouble(static_cast<double>(static_cast<float>(value))));
  }
}
template <>
nb::object number<double>(double value) {
  return nb::steal(PyFloat_FromDouble(value));
}

}  // namespace

std::string_view text_of(PyObject* object) {
  Py_ssize_t size = 0;
  if (PyBytes_Check(object)) return {PyBytes_AS_STRING(object), size_t(PyBytes_GET_SIZE(object))};
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (!text) throw nb::python_error();
  return {text, static_cast<size_t>(size)};
}

nb::object element(const Tensor& tensor, int64_t index) {
  const auto at = static_cast<size_t>(index);
  if (tensor.dtype() == DType::kString) {
    const std::string_view text = tensor.span<std::string_view>()[at];
    return nb::steal(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
  }
  if (tensor.dtype() == DType::kBool) return nb::bool_(tensor.span<bool>()[at]);
  nb::object result;
  visit<NumericTypes>(tensor.dtype(), [&]<class T>() { result = number<T>(tensor.span<T>()[at]); });
  if (result.is_valid()) return result;
  // What Python has no number for goes through NumPy.
  return to_numpy(tensor).attr("ravel")()[nb::int_(index)];
}

nb::object to_python(const Tensor& tensor) {
  int64_t at = 0;
  return nested(tensor, 0, at);
}

nb::object to_numpy(const Tensor& tensor) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::kResource || dtype == DType::kVariant) {
    raise(PyExc_TypeError, "A tensor of dtype ", info(dtype).name, " has no NumPy value.");
  }
  if (dtype == DType::kString) {
    return tensor.rank() == 0 ? element(tensor, 0) : strings_to_numpy(tensor);
  }
  nb::object array =
      nb::borrow(numpy_empty())(shape_tuple(tensor.shape()), cached_numpy_dtype(carrier_of(dtype)));
  {
    Py_buffer view;
    if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_WRITABLE) != 0) throw nb::python_error();
    if (tensor.num_bytes() > 0) std::memcpy(view.buf, tensor.raw(), tensor.num_bytes());
    PyBuffer_Release(&view);
  }
  if (is_ml_dtype(dtype)) array = array.attr("view")(cached_numpy_dtype(dtype));
  return tensor.rank() == 0 ? nb::object(array[nb::make_tuple()]) : array;
}

Tensor from_numpy(nb::handle object) {
  nb::object array = nb::borrow(object);
  if (PyObject_HasAttrString(object.ptr(), "dtype")) {
    const std::string kind = nb::cast<std::string>(nb::str(array.attr("dtype").attr("kind")));
    if (kind == "S" || kind == "U" || kind == "O") return strings_from_numpy(array);
  }
  if (Tensor tensor = from_buffer(array); tensor.has_value()) return tensor;
  // Bytes in another order, ml_dtypes' types, or NumPy's own that no tensor has.
  const DType dtype = dtype_if_any(array.attr("dtype")).value_or(DType::kInvalid);
  if (is_ml_dtype(dtype)) {
    static const nb::handle contiguous = numpy("ascontiguousarray");
    nb::object bytes = array.attr("reshape")(-1);
    bytes = nb::borrow(contiguous)(bytes).attr("view")(cached_numpy_dtype(carrier_of(dtype)));
    return from_buffer(bytes).as_dtype(dtype).reshaped(value_of(Shape::make(dims_of(array))));
  }
  if (dtype != DType::kInvalid && !is_object(dtype)) {
    if (Tensor tensor = from_buffer(array.attr("astype")(cached_numpy_dtype(dtype)));
        tensor.has_value()) {
      return tensor;
    }
  }
  raise(PyExc_ValueError, "Failed to convert a NumPy array to a Tensor (Unsupported numpy type: ",
        std::string_view(nb::repr(array.attr("dtype")).c_str()), ").");
}

}  // namespace tenon::python
