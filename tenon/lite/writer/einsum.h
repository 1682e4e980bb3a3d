// Einsum of two operands as transpositions, reshapes and one BATCH_MATMUL.
#pragma once

#include "tenon/lite/writer/node_context.h"

namespace tenon::lite {

// UNIMPLEMENTED for one operand or several, repeated letters, letters of an operand alone that are
// summed, and more than one dimension that is not known beside the first of a group.
void write_einsum(NodeContext& c);

}  // namespace tenon::lite
