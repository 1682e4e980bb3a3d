// Moving elements of any dtype. Loops of kernels/ copy bytes; elements of strings, resources and
// variants refer to memory outside their buffer, which the copy must keep alive.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// Call after elements of inputs [first, first + count) were copied byte by byte into output
// `output`: the copies become references of their own. Nothing to do for numbers.
void own_elements(KernelRun& r, int output, int first, int count = 1);

// Kernel of ops that declare `view_of = 0`: input 0 under the output's shape.
StatusOr<Kernel> make_view(Prepare& p);

// Copies input 0 to output 0, which may be written over it; same number of bytes.
StatusOr<Kernel> make_copy(Prepare& p);

}  // namespace tenon
