// The datatypes of the Open Inference Protocol (KServe v2), and tensors as the bytes that they are
// in its binary forms: little-endian, row-major, without padding; an element of BYTES is its length
// in 4 bytes and then itself. BF16 is Triton's addition. Untrusted bytes; functions without state.
#pragma once

#include <optional>
#include <string>

#include "tenon/core/tensor.h"

namespace tenon::serving {

// "FP32"; empty for a dtype that the protocol has no name for.
std::string_view datatype_name(DType dtype);
// Null for a name that is none.
std::optional<DType> parse_datatype(std::string_view name);

// INVALID_ARGUMENT where `bytes` is not as long as a tensor of that shape; `name` stands in the
// message. RESOURCE_EXHAUSTED where the memory is not to be had.
StatusOr<Tensor> tensor_of_bytes(std::string_view name, DType dtype, const Shape& shape,
                                 std::string_view bytes);

// The tensor is of a dtype that has a name. RESOURCE_EXHAUSTED for an element that is too long for
// its length.
Status append_tensor_bytes(std::string& out, const Tensor& tensor);

}  // namespace tenon::serving
