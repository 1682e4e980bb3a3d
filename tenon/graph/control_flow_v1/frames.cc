#include "tenon/graph/control_flow_v1/frames.h"

#include <deque>

namespace tenon {

bool is_constant_anywhere(const Node& node) {
  return node.is("Const") && node.control_inputs.empty();
}

namespace {

std::string in_frame(const Frame& frame) {
  return frame.parent < 0 ? std::string("no frame") : cat("frame '", frame.name, "'");
}

// Walks the graph in topological order, the edges from NextIteration to Merge left out.
class FrameSearch {
 public:
  explicit FrameSearch(const Graph& graph) : graph_(graph) {
    tree_.frames.emplace_back();
    tree_.of.assign(static_cast<size_t>(graph.size()), 0);
  }

  StatusOr<FrameTree> run();

 private:
  bool is_back_edge(const Node& user, Endpoint input) const {
    return user.is("Merge") && graph_.node(input.node).is("NextIteration");
  }
  Status place(NodeId id);
  StatusOr<int> frame_of_inputs(const Node& node) const;
  StatusOr<int> enter(const Node& node, int from);
  Status check_back_edges(NodeId id) const;

  const Graph& graph_;
  FrameTree tree_;
  std::map<std::pair<int, std::string>, int> children_;  // (parent, name) -> frame
};

StatusOr<int> FrameSearch::frame_of_inputs(const Node& node) const {
  int found = -1;
  NodeId first = -1;
  const auto take = [&](NodeId input) -> Status {
    if (is_constant_anywhere(graph_.node(input))) return absl::OkStatus();
    const int frame = tree_.of[static_cast<size_t>(input)];
    if (found < 0) {
      found = frame;
      first = input;
    }
    if (frame == found) return absl::OkStatus();
    return invalid_argument(
        describe(node), " takes values of two frames: '", graph_.node(first).name, "' is in ",
        in_frame(tree_.frames[static_cast<size_t>(found)]), ", '", graph_.node(input).name, "' in ",
        in_frame(tree_.frames[static_cast<size_t>(frame)]));
  };
  for (Endpoint input : node.inputs) {
    if (!is_back_edge(node, input)) TENON_RETURN_IF_ERROR(take(input.node));
  }
  for (NodeId control : node.control_inputs) TENON_RETURN_IF_ERROR(take(control));
  return std::max(found, 0);
}

StatusOr<int> FrameSearch::enter(const Node& node, int from) {
  const auto& name = node.attrs.get<std::string>("frame_name");
  const auto [it, fresh] =
      children_.try_emplace({from, name}, static_cast<int>(tree_.frames.size()));
  if (!fresh) return it->second;
  const int depth = tree_.frames[static_cast<size_t>(from)].depth + 1;
  if (depth > kMostFrames) {
    return unimplemented(describe(node), " enters frame '", name, "', loop ", depth,
                         " in one another; ", kMostFrames, " are supported");
  }
  tree_.frames.push_back({name, from, depth, {}, {}});
  return it->second;
}

Status FrameSearch::place(NodeId id) {
  const Node& node = graph_.node(id);
  TENON_ASSIGN_OR_RETURN(const int from, frame_of_inputs(node));
  int frame = from;
  if (node.is("Enter")) {
    TENON_ASSIGN_OR_RETURN(frame, enter(node, from));
  } else if (node.is("Exit")) {
    if (from == 0) return invalid_argument(describe(node), " leaves a frame that nothing enters");
    tree_.frames[static_cast<size_t>(from)].exits.push_back(id);
    frame = tree_.frames[static_cast<size_t>(from)].parent;
  } else if (node.is("NextIteration") || node.is("LoopCond")) {
    if (from == 0) return invalid_argument(describe(node), " stands outside of all frames");
  }
  tree_.of[static_cast<size_t>(id)] = frame;
  tree_.frames[static_cast<size_t>(frame)].nodes.push_back(id);
  return absl::OkStatus();
}

Status FrameSearch::check_back_edges(NodeId id) const {
  const Node& node = graph_.node(id);
  const int frame = tree_.of[static_cast<size_t>(id)];
  for (Endpoint input : node.inputs) {
    if (!is_back_edge(node, input) || tree_.of[static_cast<size_t>(input.node)] == frame) continue;
    return invalid_argument(
        describe(node), " is in ", in_frame(tree_.frames[static_cast<size_t>(frame)]),
        ", the next iteration that it takes from '", graph_.node(input.node).name, "' is not");
  }
  return absl::OkStatus();
}

StatusOr<FrameTree> FrameSearch::run() {
  const auto count = static_cast<size_t>(graph_.size());
  std::vector<int> waiting(count);
  std::vector<std::vector<NodeId>> next(count);
  const auto wait = [&](NodeId user, NodeId input) {
    ++waiting[static_cast<size_t>(user)];
    next[static_cast<size_t>(input)].push_back(user);
  };
  for (NodeId id = 0; id < graph_.size(); ++id) {
    const Node& node = graph_.node(id);
    for (Endpoint input : node.inputs) {
      if (!is_back_edge(node, input)) wait(id, input.node);
    }
    for (NodeId control : node.control_inputs) wait(id, control);
  }
  std::deque<NodeId> ready;
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (graph_.alive(id) && waiting[static_cast<size_t>(id)] == 0) ready.push_back(id);
  }
  while (!ready.empty()) {
    const NodeId id = ready.front();
    ready.pop_front();
    TENON_RETURN_IF_ERROR(place(id));
    for (NodeId user : next[static_cast<size_t>(id)]) {
      if (--waiting[static_cast<size_t>(user)] == 0) ready.push_back(user);
    }
  }
  // Only once every node has its frame: a node on a cycle has none to compare with.
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (graph_.alive(id) && waiting[static_cast<size_t>(id)] > 0) {
      return invalid_argument("the graph has a cycle through ", describe(graph_.node(id)));
    }
  }
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (graph_.alive(id)) TENON_RETURN_IF_ERROR(check_back_edges(id));
  }
  return std::move(tree_);
}

}  // namespace

StatusOr<FrameTree> find_frames(const Graph& graph) { return FrameSearch(graph).run(); }

}  // namespace tenon
