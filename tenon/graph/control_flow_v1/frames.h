// The frames of TensorFlow 1's control flow: which loop each node of a graph runs in.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

struct Frame {
  std::string name;  // "frame 'while/while_context'"'s inner part; empty: outside of all loops
  int parent = -1;
  int depth = 0;
  std::vector<NodeId> nodes;  // that run in it, its Enters among them, its Exits not
  std::vector<NodeId> exits;
};

// frames[0] is what stands outside of all loops. A frame comes after its parent.
struct FrameTree {
  std::vector<Frame> frames;
  std::vector<int> of;  // by node: where its outputs are
};

// Nests frames no deeper than this.
inline constexpr int kMostFrames = 64;

// INVALID_ARGUMENT, naming frames and node, when a node takes values of two frames, an Exit leaves
// none, a NextIteration stands outside or feeds another frame, or there is a cycle that no
// NextIteration cuts. UNIMPLEMENTED for loops nested deeper than kMostFrames.
StatusOr<FrameTree> find_frames(const Graph& graph);

// Whether a node is a value that can be had anywhere: no inputs, no effect.
bool is_constant_anywhere(const Node& node);

}  // namespace tenon
