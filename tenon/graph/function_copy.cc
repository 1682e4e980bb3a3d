#include "tenon/graph/function_copy.h"

namespace tenon {
namespace {

// One copy in progress.
class FunctionCopier {
 public:
  // `budget`: how many nodes callees may add.
  FunctionCopier(Graph& into, const Graph& body, const FunctionCopyOptions& options, int depth,
                 int64_t& budget)
      : into_(into),
        body_(body),
        options_(options),
        depth_(depth),
        budget_(budget),
        outputs_(static_cast<size_t>(body.size())),
        copies_(static_cast<size_t>(body.size()), -1) {}

  StatusOr<FunctionCopy> copy(std::span<const Endpoint> args) {
    if (depth_ > kDeepestCall) return invalid_argument("a function calls itself without end");
    if (args.size() != body_.args.size()) {
      return invalid_argument("a function takes ", body_.args.size(), " arguments, ", args.size(),
                              " are given");
    }
    std::vector<bool> wanted(static_cast<size_t>(body_.size()), true);
    if (options_.results_only) wanted = needed_by_results(body_);
    for (size_t i = 0; i < args.size(); ++i) {
      outputs_[static_cast<size_t>(body_.args[i])] = {args[i]};
      wanted[static_cast<size_t>(body_.args[i])] = false;
    }
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, body_.topological_order());
    for (NodeId id : order) {
      if (wanted[static_cast<size_t>(id)]) TENON_RETURN_IF_ERROR(copy_node(id));
    }
    FunctionCopy copied;
    for (Endpoint result : body_.results) copied.results.push_back(moved(result));
    for (NodeId id : body_.control_results) {
      if (const NodeId to = copies_[static_cast<size_t>(id)]; to >= 0) {
        copied.control_results.push_back(to);
      }
    }
    return copied;
  }

 private:
  Endpoint moved(Endpoint e) const {
    return outputs_[static_cast<size_t>(e.node)][static_cast<size_t>(e.index)];
  }

  Status copy_node(NodeId id) {
    Node copy = body_.node(id);
    std::vector<Endpoint>& outputs = outputs_[static_cast<size_t>(id)];
    for (Endpoint& input : copy.inputs) input = moved(input);
    if (options_.results_only && is_call(copy)) {
      TENON_ASSIGN_OR_RETURN(const auto callee,
                             find_function(body_, copy.attrs.get<FunctionAttr>("f").name));
      if (callee->size() <= budget_) {
        budget_ -= callee->size();
        FunctionCopier inner(into_, *callee, options_, depth_ + 1, budget_);
        TENON_ASSIGN_OR_RETURN(FunctionCopy called, inner.copy(copy.inputs));
        outputs = std::move(called.results);
        return absl::OkStatus();
      }
    }
    if (!options_.prefix.empty()) copy.name = cat(options_.prefix, "/", copy.name);
    std::vector<NodeId> controls(options_.controls.begin(), options_.controls.end());
    for (NodeId control : copy.control_inputs) {
      const NodeId to = copies_[static_cast<size_t>(control)];
      if (to >= 0) controls.push_back(to);
    }
    copy.control_inputs = std::move(controls);
    const NodeId added = into_.add_unchecked(std::move(copy));
    copies_[static_cast<size_t>(id)] = added;
    if (options_.infer) TENON_RETURN_IF_ERROR(into_.infer(added));
    for (size_t i = 0; i < into_.node(added).outputs.size(); ++i) {
      outputs.push_back({added, static_cast<int32_t>(i)});
    }
    return absl::OkStatus();
  }

  Graph& into_;
  const Graph& body_;
  const FunctionCopyOptions& options_;
  const int depth_;
  int64_t& budget_;
  std::vector<std::vector<Endpoint>> outputs_;  // in `into_`, by the body's NodeId
  std::vector<NodeId> copies_;                  // by the body's NodeId; -1: not copied
};

}  // namespace

std::vector<bool> needed_by_results(const Graph& body) {
  std::vector<bool> needed(static_cast<size_t>(body.size()));
  std::vector<NodeId> stack;
  for (Endpoint result : body.results) stack.push_back(result.node);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (needed[static_cast<size_t>(id)]) continue;
    needed[static_cast<size_t>(id)] = true;
    for (Endpoint input : body.node(id).inputs) stack.push_back(input.node);
  }
  return needed;
}

StatusOr<FunctionCopy> copy_function(Graph& into, const Graph& body, std::span<const Endpoint> args,
                                     const FunctionCopyOptions& options) {
  int64_t budget = std::max<int64_t>(8 * body.size(), 4096);
  return FunctionCopier(into, body, options, 0, budget).copy(args);
}

}  // namespace tenon
