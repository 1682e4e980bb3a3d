// Arrays as NumPy's print() shows them (numpy/core/arrayprint.py with its defaults: 8 digits, more
// than 1000 elements summarised, 75 columns).
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::cli {

// "[[0.1 0.9]\n [0.2 0.8]]"; a scalar is its number.
std::string array_text(const Tensor& tensor);

}  // namespace tenon::cli
