// How a bundle stores string tensors: varint lengths, a masked checksum of the lengths, then the
// characters. Source: tensorflow/core/util/tensor_bundle/tensor_bundle.cc.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon {

// `block` holds the stored bytes; the tensor's elements view into it. `masked_crc` is the entry's.
// DATA_LOSS saying what does not fit, without the name of the file.
StatusOr<Tensor> decode_bundle_strings(Ref<Buffer> block, const Shape& shape, uint32_t masked_crc);

// Appends lengths and their checksum to `out`, and returns the masked checksum of the whole entry.
// The characters of the elements follow, in order.
uint32_t encode_bundle_lengths(const Tensor& tensor, std::string& out);

}  // namespace tenon
