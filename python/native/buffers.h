// Memory by the buffer protocol's formats and by DLPack's structures, which are ABIs of their own.
#pragma once

#include "python/native/value.h"

namespace tenon::python {

// "f", "q", "Zd": of numbers in this machine's order; empty for what the protocol cannot say.
const char* buffer_format(DType dtype);

// kInvalid when the format is none of ours.
DType dtype_of_format(const char* format, size_t item_size);

}  // namespace tenon::python
