// TensorFlow 1's control flow as functions: frames become While, Switch and Merge become If.
//
// What is accepted is what tf.while_loop and tf.cond write, and what XLA's functionalisation takes:
// a loop variable is Enter -> Merge -> Switch -> (NextIteration, Exit), the Switch by the frame's
// one LoopCond; a constant Enter is a loop invariant; a Merge joins the two sides of one predicate.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// Replaces all nodes that exist only during import, TensorArrays too (lower_tensor_arrays); bodies
// go into the graph's library. Nodes that no result needs are removed. Shapes need not be inferred.
// A graph without such nodes is left as it is.
//
// Everything in a body that a loop or branch needs runs in the order of the graph. A loop or branch
// with effects becomes While or If, one without StatelessWhile or StatelessIf.
//
// INVALID_ARGUMENT or UNIMPLEMENTED, naming frame and node, for everything else.
Status functionalize(Graph& graph);

// The two halves. Loops first, the innermost before those around it; then conditions, in the graph
// and, while loops are made, in their bodies.
Status functionalize_loops(Graph& graph);
Status functionalize_conditions(Graph& graph);

}  // namespace tenon
