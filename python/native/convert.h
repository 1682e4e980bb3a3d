// Python objects as tensors, in TensorFlow's rules: no promotion but of Python's own numbers, whose
// dtype follows from where they stand.
#pragma once

#include "python/native/value.h"

namespace tenon::python {

struct Wanted {
  DType dtype = DType::kInvalid;  // kInvalid: the object's own
  // The dtype is only what to try first: where the object does not fit, it keeps its own.
  bool hint = false;
};

// A tenon.Tensor or tenon.Variable, numbers, text, nested sequences of these, arrays by the buffer
// protocol, whatever has __tf_tensor__ or __array__. Copies what it is given but for tensors.
// ValueError for a tensor of another dtype, TypeError and ValueError in TensorFlow's words.
Value to_value(nb::handle object, Wanted wanted = {});

// Whether to_value() would try: false for None and objects of foreign kinds.
bool is_convertible(nb::handle object);

}  // namespace tenon::python
