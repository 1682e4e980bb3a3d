// Are two tensors the same, within a tolerance or to the bit?
#pragma once

#include "tenon/graph/graph.h"

namespace tenon::differential {

struct Tolerance {
  double relative = 0;  // of the element
  double absolute = 0;
  double of_largest = 0;  // of the largest finite element of `want`
};

// Empty when equal: dtype, shape, and |got - want| <= absolute + relative * |want| + of_largest *
// max|want| for each element; NaN equals NaN. Strings are equal or not; variants and resources are
// not compared.
std::string compare(const Tensor& got, const Tensor& want, Tolerance tolerance);

// Empty when dtype, shape and bits are the same; any NaN equals any other.
std::string compare_bits(const Tensor& got, const Tensor& want);

// One after the other along dimension 0. All of one dtype and of one shape but for that.
Tensor concatenated(const std::vector<Tensor>& parts);

}  // namespace tenon::differential
