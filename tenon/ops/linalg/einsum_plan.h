// How an Einsum is computed: operands brought into the order of a matrix product, the product, its
// axes brought into the order of the output.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// Kernel factory of Einsum. Its shape function has checked equation and shapes.
StatusOr<Kernel> make_einsum_kernel(Prepare& p);

}  // namespace tenon
