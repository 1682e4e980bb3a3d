// Loops of known length written out, so that quantisation sees every step and no tensor list is
// left: TensorFlow Lite has none.
#pragma once

#include "tenon/passes/pass.h"

namespace tenon::lite {

// Every While whose length constants and known dimensions say becomes copies of its body, one for
// each iteration; lists of tensors then become their elements. The others stay, on tensors alone
// (writer/loops.h). UNIMPLEMENTED names an op on a list that stays one.
Status unroll_loops(Graph& graph, const PassContext& context);

}  // namespace tenon::lite
