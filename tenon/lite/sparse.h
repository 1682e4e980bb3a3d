// Sparse weights: the format's levels of dense and compressed dimensions, taken apart.
#pragma once

#include "tenon/core/tensor.h"
#include "tenon/lite/schema_generated.h"

namespace tenon::lite {

// The tensor of `shape` whose values stand in `bytes` in the order of `sparsity`. Dimensions beyond
// the tensor's rank are those within blocks. INVALID_ARGUMENT where the levels do not make sense.
StatusOr<Tensor> dense_value(const schema::SparsityParameters& sparsity, DType dtype,
                             const Shape& shape, std::string_view bytes);

// What reading the levels takes.
uint64_t levels_bytes(const schema::SparsityParameters& sparsity);

}  // namespace tenon::lite
