#include "python/native/attributes.h"

#include "python/native/arrays.h"
#include "python/native/convert.h"
#include "python/native/dtypes.h"
#include "python/native/trace.h"

namespace tenon::python {
namespace {

[[noreturn]] void wrong_kind(const OpDef& op, const AttrDef& attr, nb::handle object,
                             std::string_view expected) {
  raise(PyExc_TypeError, "Expected ", expected, " for argument '", attr.name, "' of op ", op.name(),
        ", not ", std::string_view(nb::repr(object).c_str()), ".");
}

int64_t integer_from(nb::handle object) {
  const nb::object index = nb::steal(PyNumber_Index(object.ptr()));
  if (!index.is_valid()) throw nb::python_error();
  const int64_t value = PyLong_AsLongLong(index.ptr());
  if (value == -1 && PyErr_Occurred()) throw nb::python_error();
  return value;
}

AttrValue single(const OpDef& op, const AttrDef& attr, nb::handle object) {
  PyObject* p = object.ptr();
  switch (attr.kind) {
    case AttrKind::kInt:
      if (!PyIndex_Check(p)) wrong_kind(op, attr, object, "int");
      return integer_from(object);
    case AttrKind::kFloat: {
      const double value = PyFloat_AsDouble(p);
      if (value == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        wrong_kind(op, attr, object, "float");
      }
      return static_cast<float>(value);
    }
    case AttrKind::kBool: {
      if (!PyBool_Check(p) && !PyIndex_Check(p)) wrong_kind(op, attr, object, "bool");
      return PyObject_IsTrue(p) == 1;
    }
    case AttrKind::kString:
      if (!PyUnicode_Check(p) && !PyBytes_Check(p)) wrong_kind(op, attr, object, "string");
      return std::string(text_of(object.ptr()));
    case AttrKind::kType:
      return dtype_from(object);
    case AttrKind::kShape:
      return shape_from(object);
    case AttrKind::kTensor: {
      const Untraced untraced;
      return eager(to_value(object), attr.name);
    }
    case AttrKind::kFunc:
      break;
  }
  // A function of the library: its name.
  if (!PyUnicode_Check(p)) wrong_kind(op, attr, object, "the name of a function");
  return FunctionAttr{std::string(text_of(object.ptr())), nullptr};
}

template <class T>
AttrValue list_of(const OpDef& op, const AttrDef& attr, nb::handle object) {
  std::vector<T> values;
  for (nb::handle item : nb::borrow(object)) {
    values.push_back(std::get<T>(single(op, attr, item)));
  }
  return values;
}

void append(std::string& key, std::string_view bytes) {
  const size_t size = bytes.size();
  key.append(reinterpret_cast<const char*>(&size), sizeof size);
  key.append(bytes);
}

}  // namespace

AttrValue attr_from(const OpDef& op, const AttrDef& attr, nb::handle object) {
  if (!attr.is_list) return single(op, attr, object);
  if (!PyList_Check(object.ptr()) && !PyTuple_Check(object.ptr())) {
    raise(PyExc_TypeError, "Expected list for '", attr.name, "' argument to '", op.name(),
          "' Op, not ", std::string_view(nb::repr(object).c_str()), ".");
  }
  switch (attr.kind) {
    case AttrKind::kInt:
      return list_of<int64_t>(op, attr, object);
    case AttrKind::kFloat:
      return list_of<float>(op, attr, object);
    case AttrKind::kBool:
      return list_of<bool>(op, attr, object);
    case AttrKind::kString:
      return list_of<std::string>(op, attr, object);
    case AttrKind::kType:
      return list_of<DType>(op, attr, object);
    case AttrKind::kShape:
      return list_of<PartialShape>(op, attr, object);
    case AttrKind::kTensor:
      return list_of<Tensor>(op, attr, object);
    case AttrKind::kFunc:
      break;
  }
  return list_of<FunctionAttr>(op, attr, object);
}

PartialShape shape_from(nb::handle object) {
  if (object.is_none()) return {};
  if (PyIndex_Check(object.ptr())) return PartialShape({integer_from(object)});
  if (PyObject_HasAttrString(object.ptr(), "rank") && object.attr("rank").is_none()) return {};
  std::vector<int64_t> dims;
  for (nb::handle item : nb::borrow(object)) {
    dims.push_back(item.is_none() ? -1 : integer_from(item));
    if (dims.back() < -1) {
      raise(PyExc_ValueError, "Dimension ", dims.back(), " must be >= 0");
    }
  }
  if (dims.size() > static_cast<size_t>(kMaxRank)) {
    raise(PyExc_ValueError, "a shape of rank ", dims.size(), " exceeds ", kMaxRank);
  }
  return PartialShape(dims);
}

nb::object shape_object(const PartialShape& shape) {
  static const nb::handle type =
      nb::object(nb::module_::import_("tenon.tensor_shape").attr("TensorShape")).release();
  if (!shape.has_rank()) return nb::borrow(type)(nb::none());
  const nb::object dims = nb::steal(PyTuple_New(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i) {
    PyObject* dim = shape[i] < 0 ? nb::none().release().ptr() : PyLong_FromLongLong(shape[i]);
    PyTuple_SET_ITEM(dims.ptr(), i, dim);
  }
  return nb::borrow(type)(dims);
}

void append_key(std::string& key, const Tensor& tensor) {
  key.push_back(static_cast<char>(tensor.dtype()));
  for (int64_t dim : tensor.shape().dims()) key.append(reinterpret_cast<const char*>(&dim), 8);
  key.push_back('|');
  if (tensor.dtype() == DType::kString) {
    for (std::string_view text : tensor.span<std::string_view>()) append(key, text);
  } else {
    append(key, {static_cast<const char*>(tensor.raw()), tensor.num_bytes()});
  }
}

void append_key(std::string& key, const AttrMap& attrs) {
  for (const auto& [name, value] : attrs) {
    key.append(name);
    key.push_back('=');
    if (const Tensor* tensor = std::get_if<Tensor>(&value)) {
      append_key(key, *tensor);
    } else if (const auto* number = std::get_if<float>(&value)) {
      key.append(reinterpret_cast<const char*>(number), sizeof *number);
    } else if (const auto* numbers = std::get_if<std::vector<float>>(&value)) {
      append(key,
             {reinterpret_cast<const char*>(numbers->data()), numbers->size() * sizeof(float)});
    } else if (const auto* tensors = std::get_if<std::vector<Tensor>>(&value)) {
      for (const Tensor& each : *tensors) append_key(key, each);
    } else {
      append(key, to_string(value));
    }
  }
}

}  // namespace tenon::python
