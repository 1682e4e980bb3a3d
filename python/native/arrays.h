// Tensors and what other libraries call arrays: NumPy, the buffer protocol, DLPack.
//
// Out: numpy() and __array__ are copies, as TensorFlow's are; memoryview and DLPack lend the
// tensor's memory to be read. A loan holds the buffer, so that a variable that is written meanwhile
// gets another. In: always copied, since kernels want 64-byte-aligned memory.
#pragma once

#include "python/native/value.h"

namespace tenon::python {

// A NumPy array of its own, or a NumPy scalar where the rank is 0; bytes for a string.
nb::object to_numpy(const Tensor& tensor);

// Nested lists of Python numbers and bytes.
nb::object to_python(const Tensor& tensor);

// Element `index` as a Python object.
nb::object element(const Tensor& tensor, int64_t index);

// The bytes of a str, as UTF-8, or of bytes; they live as long as the object. Throws what Python
// says of text that has no UTF-8.
std::string_view text_of(PyObject* object);

// A copy of a NumPy array or scalar, or of another object that gives an ndarray. TypeError for
// dtypes that tensors do not have.
Tensor from_numpy(nb::handle array);

// A copy of an object with the buffer protocol; without value where its format is none of ours.
Tensor from_buffer(nb::handle object);

// A copy of an object with __dlpack__ in host memory.
Tensor from_dlpack(nb::handle object);

// The members of Tensor that lend memory.
// `versioned`: the caller knows DLPack 1.0, in which a loan can be to read only; else it gets a
// copy.
nb::object dlpack_of(const Tensor& tensor, bool versioned);
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);

}  // namespace tenon::python
