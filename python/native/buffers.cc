#include "python/native/buffers.h"

#include "python/native/arrays.h"
#include "python/native/devices.h"

namespace tenon::python {
namespace {

// What a Py_buffer points to while it is lent.
struct Loan {
  Tensor tensor;
  std::array<Py_ssize_t, kMaxRank> shape, strides;
};

// DLPack 1.0's structures (dmlc/dlpack, include/dlpack/dlpack.h).
struct DlDevice {
  int32_t type;
  int32_t id;
};
struct DlType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DlTensor {
  void* data;
  DlDevice device;
  int32_t ndim;
  DlType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DlManaged {
  DlTensor tensor;
  void* context;
  void (*deleter)(DlManaged*);
};
struct DlManagedVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DlManagedVersioned*);
  uint64_t flags;
  DlTensor tensor;
};
constexpr uint64_t kDlReadOnly = 1;
constexpr int32_t kDlCpu = 1;
constexpr const char* kName = "dltensor";
constexpr const char* kVersionedName = "dltensor_versioned";
enum DlCode : uint8_t {
  kDlInt = 0,
  kDlUint = 1,
  kDlFloat = 2,
  kDlBfloat = 4,
  kDlComplex = 5,
  kDlBool = 6
};

std::optional<DlType> dl_type(DType dtype) {
  const auto bits = static_cast<uint8_t>(size_of(dtype) * 8);
  if (is_signed_integer(dtype)) return DlType{kDlInt, bits, 1};
  if (is_unsigned_integer(dtype)) return DlType{kDlUint, bits, 1};
  if (dtype == DType::kBfloat16) return DlType{kDlBfloat, bits, 1};
  if (is_floating(dtype)) return DlType{kDlFloat, bits, 1};
  if (is_complex(dtype)) return DlType{kDlComplex, bits, 1};
  if (dtype == DType::kBool) return DlType{kDlBool, bits, 1};
  return std::nullopt;
}

DType dtype_of_dl(DlType type) {
  for (int i = 1; i <= static_cast<int>(DType::kUint64); ++i) {
    const std::optional<DType> dtype = dtype_from_enum(i);
    if (!dtype || is_object(*dtype)) continue;
    const std::optional<DlType> known = dl_type(*dtype);
    if (known && known->code == type.code && known->bits == type.bits && type.lanes == 1) {
      return *dtype;
    }
  }
  return DType::kInvalid;
}

// A capsule's structure and the tensor that it keeps alive.
template <class Managed>
struct Lent {
  Managed managed{};
  Tensor tensor;
  std::vector<int64_t> shape;
};

template <class Managed>
nb::object capsule(const Tensor& tensor, DlType type, const char* name) {
  auto* lent = new Lent<Managed>;
  lent->tensor = tensor;
  lent->shape.assign(tensor.shape().dims().begin(), tensor.shape().dims().end());
  lent->managed.context = lent;
  lent->managed.deleter = [](Managed* managed) {
    delete static_cast<Lent<Managed>*>(managed->context);
  };
  lent->managed.tensor = {const_cast<void*>(tensor.raw()),
                          {kDlCpu, 0},
                          tensor.rank(),
                          type,
                          lent->shape.data(),
                          nullptr,
                          0};
  if constexpr (std::is_same_v<Managed, DlManagedVersioned>) {
    lent->managed.major = 1;
    lent->managed.minor = 0;
    lent->managed.flags = kDlReadOnly;
  }
  // Whoever takes the capsule renames it; if nobody does, its end is the loan's.
  const auto end = [](PyObject* object) {
    const char* wanted = std::is_same_v<Managed, DlManagedVersioned> ? kVersionedName : kName;
    if (!PyCapsule_IsValid(object, wanted)) return;
    auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(object, wanted));
    managed->deleter(managed);
  };
  return nb::steal(PyCapsule_New(&lent->managed, name, end));
}

// Copies the elements that `source` describes.
Tensor copy_of(const DlTensor& source) {
  if (source.device.type != kDlCpu) {
    raise(PyExc_BufferError, "DLPack memory of device type ", source.device.type,
          " is not host memory.");
  }
  const DType dtype = dtype_of_dl(source.dtype);
  if (dtype == DType::kInvalid) {
    raise(PyExc_TypeError, "DLPack dtype code ", int(source.dtype.code), " of ",
          int(source.dtype.bits), " bits is none of a tensor.");
  }
  const std::span<const int64_t> dims(source.shape, static_cast<size_t>(source.ndim));
  Tensor result = value_of(Tensor::allocate(dtype, value_of(Shape::make(dims, size_of(dtype)))));
  const int64_t size = static_cast<int64_t>(size_of(dtype));
  const auto* from = static_cast<const char*>(source.data) + source.byte_offset;
  auto* to = static_cast<char*>(result.mutable_raw());
  if (result.num_elements() == 0) return result;
  if (!source.strides) {
    std::memcpy(to, from, result.num_bytes());
    return result;
  }
  std::vector<int64_t> index(dims.size());
  for (int64_t done = 0; done < result.num_elements(); ++done, to += size) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis) offset += index[axis] * source.strides[axis];
    std::memcpy(to, from + offset * size, static_cast<size_t>(size));
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

template <class Managed>
Tensor take(PyObject* object, const char* name, const char* used) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(object, name));
  if (!managed) throw nb::python_error();
  Tensor copy = copy_of(managed->tensor);
  PyCapsule_SetName(object, used);
  if (managed->deleter) managed->deleter(managed);
  return copy;
}

}  // namespace

const char* buffer_format(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "?";
    case DType::kInt8:
    case DType::kQint8:
      return "b";
    case DType::kUint8:
    case DType::kQuint8:
      return "B";
    case DType::kInt16:
    case DType::kQint16:
      return "h";
    case DType::kUint16:
    case DType::kQuint16:
      return "H";
    case DType::kInt32:
    case DType::kQint32:
      return "i";
    case DType::kUint32:
      return "I";
    case DType::kInt64:
      return "l";
    case DType::kUint64:
      return "L";
    case DType::kHalf:
      return "e";
    case DType::kFloat:
      return "f";
    case DType::kDouble:
      return "d";
    case DType::kComplex64:
      return "Zf";
    case DType::kComplex128:
      return "Zd";
    default:
      return "";
  }
}

DType dtype_of_format(const char* format, size_t item_size) {
  if (!format) return item_size == 1 ? DType::kUint8 : DType::kInvalid;
  std::string_view text(format);
  if (!text.empty() && (text[0] == '@' || text[0] == '=' || text[0] == '<')) text.remove_prefix(1);
  const bool is_signed = text == "b" || text == "h" || text == "i" || text == "l" || text == "q";
  const bool is_unsigned = text == "B" || text == "H" || text == "I" || text == "L" || text == "Q";
  if (text == "?") return DType::kBool;
  if (text == "e") return DType::kHalf;
  if (text == "f") return DType::kFloat;
  if (text == "d") return DType::kDouble;
  if (text == "Zf" || text == "F") return DType::kComplex64;
  if (text == "Zd" || text == "D") return DType::kComplex128;
  for (DType dtype : {DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64}) {
    if (is_signed && size_of(dtype) == item_size) return dtype;
  }
  for (DType dtype : {DType::kUint8, DType::kUint16, DType::kUint32, DType::kUint64}) {
    if (is_unsigned && size_of(dtype) == item_size) return dtype;
  }
  return DType::kInvalid;
}

Tensor from_buffer(nb::handle object) {
  Py_buffer view;
  if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_FULL_RO) != 0) {
    PyErr_Clear();  // NumPy has no format for ml_dtypes' types
    return {};
  }
  struct Release {
    Py_buffer* view;
    ~Release() { PyBuffer_Release(view); }
  } const release{&view};
  const DType dtype = dtype_of_format(view.format, static_cast<size_t>(view.itemsize));
  if (dtype == DType::kInvalid) return {};
  Shape shape;
  for (int i = 0; i < view.ndim; ++i)
    shape.append(view.shape ? view.shape[i] : view.len / view.itemsize);
  Tensor tensor = value_of(Tensor::allocate(dtype, shape));
  if (tensor.num_bytes() > 0 &&
      PyBuffer_ToContiguous(tensor.mutable_raw(), &view, view.len, 'C') != 0) {
    throw nb::python_error();
  }
  return tensor;
}

Tensor from_dlpack(nb::handle object) {
  nb::object lent;
  try {
    lent = object.attr("__dlpack__")(nb::arg("max_version") = nb::make_tuple(1, 0));
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
    lent = object.attr("__dlpack__")();
  }
  if (PyCapsule_IsValid(lent.ptr(), kVersionedName)) {
    return take<DlManagedVersioned>(lent.ptr(), kVersionedName, "used_dltensor_versioned");
  }
  if (PyCapsule_IsValid(lent.ptr(), kName)) {
    return take<DlManaged>(lent.ptr(), kName, "used_dltensor");
  }
  raise(PyExc_TypeError, "__dlpack__ gave something else than a DLPack capsule.");
}

nb::object dlpack_of(const Tensor& tensor, bool versioned) {
  const std::optional<DlType> type = dl_type(tensor.dtype());
  if (!type) {
    raise(PyExc_BufferError, "DLPack has no dtype for ", info(tensor.dtype()).name, " tensors.");
  }
  if (versioned) return capsule<DlManagedVersioned>(tensor, *type, kVersionedName);
  // The old structure cannot say that memory is only lent to be read.
  return capsule<DlManaged>(tensor.clone(), *type, kName);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  const Value* value = value_if(self);
  if (!value || value->symbolic()) {
    PyErr_SetString(PyExc_BufferError, "A tensor of a traced function has no memory.");
    return -1;
  }
  const char* format = buffer_format(value->tensor.dtype());
  if (*format == 0 || (flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, *format
                                           ? "Tensors lend their memory to be read only."
                                           : "The buffer protocol has no format for the dtype.");
    return -1;
  }
  auto* loan = new Loan{on_host(value->tensor), {}, {}};
  const Tensor& tensor = loan->tensor;
  Py_ssize_t stride = static_cast<Py_ssize_t>(size_of(tensor.dtype()));
  view->itemsize = stride;
  for (int i = tensor.rank() - 1; i >= 0; --i) {
    loan->shape[static_cast<size_t>(i)] = tensor.dim(i);
    loan->strides[static_cast<size_t>(i)] = stride;
    stride *= tensor.dim(i);
  }
  view->buf = const_cast<void*>(tensor.raw());
  view->len = static_cast<Py_ssize_t>(tensor.num_bytes());
  view->readonly = 1;
  view->format = (flags & PyBUF_FORMAT) != 0 ? const_cast<char*>(format) : nullptr;
  view->ndim = tensor.rank();
  view->shape = (flags & PyBUF_ND) != 0 ? loan->shape.data() : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? loan->strides.data() : nullptr;
  view->suboffsets = nullptr;
  view->internal = loan;
  view->obj = self;
  Py_INCREF(self);
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Loan*>(view->internal); }

}  // namespace tenon::python
