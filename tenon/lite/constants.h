// The values that a `.tflite` holds: buffers as Tensors.
#pragma once

#include "tenon/lite/model_file.h"

namespace tenon::lite {

// The element type of a tensor in memory: int4, uint4 and int2 are int8 there (uint4: uint8).
// UNIMPLEMENTED names a number that is no type.
StatusOr<DType> dtype_of_tensor(int type);
// The type of a tensor that holds `dtype`; -1 where there is none.
int tensor_type_of(DType dtype);

// The value of a tensor that has a buffer: unpacked where elements share bytes, dense where the
// file says how it is sparse, strings taken out of their table. INVALID_ARGUMENT when the buffer's
// size is not the shape's, or the sparse form does not make sense.
StatusOr<Tensor> constant_value(const ModelFile& file, const schema::Tensor& tensor);

}  // namespace tenon::lite
