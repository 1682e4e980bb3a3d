// TensorFlow 1's TensorArrays as TensorLists.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// Turns TensorArray ops into TensorList ops: the flow that orders them becomes the list itself,
// wherever control flow carries it. Before functionalize(); shapes need not be inferred.
//
// Two things differ from TensorFlow: an element that was never written reads as zeros where its
// shape is known, and writing an element twice is no error.
//
// UNIMPLEMENTED, naming the node, when a flow goes elsewhere than to TensorArray and control flow
// ops, or an array is not made in this graph. INVALID_ARGUMENT when a node's inputs do not fit.
Status lower_tensor_arrays(Graph& graph);

}  // namespace tenon
