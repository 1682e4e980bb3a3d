// IDX files, the format of the MNIST data sets, gzipped or not.
// Source: yann.lecun.com/exdb/mnist (two zero bytes, type, rank, big-endian dimensions, elements).
#pragma once

#include <string>

#include "tenon/core/tensor.h"

namespace tenon {

// The whole file as a tensor of uint8, int8, int16, int32, float or double. INVALID_ARGUMENT when
// it is no IDX file, DATA_LOSS when it is cut off or longer than its dimensions say.
StatusOr<Tensor> read_idx(const std::string& path);

}  // namespace tenon
