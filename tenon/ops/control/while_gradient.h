// The gradient of While and StatelessWhile.
#pragma once

#include "tenon/graph/gradient.h"

namespace tenon {

// The forward loop is rewritten to also count its iterations and to push those loop variables that
// the body's gradient reads onto TensorLists; a loop backwards pops them, newest first, computes
// the body again and its gradient. Loop variables that the body does not change are handed to the
// backward loop as they are. UNIMPLEMENTED for bodies that write variables, and where a random
// number is needed again.
Status while_gradient(Gradient& g);

}  // namespace tenon
