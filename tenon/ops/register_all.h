// The list of all ops of the tree, generated from the TENON_OP declarations.
#pragma once

#include "tenon/core/op.h"

namespace tenon {

// Adds every op to `registry`. Called by the composition root, once.
Status register_all_ops(OpRegistry& registry);

}  // namespace tenon
