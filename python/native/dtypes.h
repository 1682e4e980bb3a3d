// TensorFlow's dtypes as Python objects.
//
// There is one DType object for each row of the engine's table (tenon/core/dtype.cc); it is equal
// to whatever names it: "float32", numpy.float32, numpy.dtype("float32"), Python's float.
#pragma once

#include "python/native/errors.h"
#include "tenon/core/dtype.h"

namespace tenon::python {

// A new reference to the one object of `dtype`.
nb::object dtype_object(DType dtype);

// Any spelling: a DType, its number in types.proto, a name, a NumPy dtype or scalar type, Python's
// bool and float. nullopt when it is none of them.
std::optional<DType> dtype_if_any(nb::handle object);
// The same; TypeError names what it was.
DType dtype_from(nb::handle object);

// The NumPy dtype object: bfloat16 and the float8 types are ml_dtypes'; strings are `object`.
// TypeError for what NumPy cannot hold.
nb::object numpy_dtype(DType dtype);

// qint8, quint8, qint16, quint16 and qint32.
bool is_quantized(DType dtype);

void register_dtypes(nb::module_& m);

}  // namespace tenon::python
