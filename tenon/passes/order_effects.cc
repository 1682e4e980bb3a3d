#include "tenon/graph/effects.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// The accesses of one resource since its last write.
struct Accesses {
  NodeId last_write = -1;
  std::vector<NodeId> reads;
};

class EffectOrder {
 public:
  explicit EffectOrder(Graph& graph) : graph_(graph), sources_(graph) {}

  void place(NodeId id) {
    const Effects effects = effects_of(graph_, graph_.node(id));
    if (!effects.any()) return;
    waits_.clear();
    if (effects.outside) access(id, outside_, true);
    const FunctionEffects called = function_effects_of(graph_, graph_.node(id));
    // By name, and whether it does more than read. Two handles of one name are one resource.
    std::map<std::string, bool> touched = called.resources;
    bool any = called.any_resource;
    for (Endpoint input : graph_.node(id).inputs) {
      if (graph_.value(input).dtype != DType::kResource) continue;
      const HandleSource source = sources_.of(input);
      any |= source.kind == HandleSource::Kind::kComputed;
      touched[name_of(source)] |= effects.beyond_reading();
    }
    if (any) {
      place_among_all(id);
    } else {
      for (const auto& [name, writes] : touched) {
        const auto known = by_resource_.try_emplace(name, Accesses{barrier_, {}}).first;
        access(id, known->second, writes);
      }
      if (!touched.empty()) since_barrier_.push_back(id);
    }
    add_waits(graph_.node(id));
  }

 private:
  std::string name_of(const HandleSource& source) const {
    if (source.kind == HandleSource::Kind::kNamed) {
      return resource_name(graph_.node(source.value.node));
    }
    return cat('\0', source.value.node, ":", source.value.index);  // no name of a resource
  }

  void access(NodeId id, Accesses& accesses, bool write) {
    waits_.push_back(accesses.last_write);
    if (!write) return accesses.reads.push_back(id);
    waits_.insert(waits_.end(), accesses.reads.begin(), accesses.reads.end());
    accesses = {id, {}};
  }

  // It may touch any resource: after all that did so before it, and before all that do so later.
  void place_among_all(NodeId id) {
    waits_.push_back(barrier_);
    waits_.insert(waits_.end(), since_barrier_.begin(), since_barrier_.end());
    barrier_ = id;
    since_barrier_.clear();
    by_resource_.clear();
  }

  void add_waits(Node& node) {
    std::sort(waits_.begin(), waits_.end());
    waits_.erase(std::unique(waits_.begin(), waits_.end()), waits_.end());
    std::vector<NodeId> present = node.control_inputs;
    for (Endpoint input : node.inputs) present.push_back(input.node);
    std::sort(present.begin(), present.end());
    for (NodeId wait : waits_) {
      if (wait >= 0 && !std::binary_search(present.begin(), present.end(), wait)) {
        node.control_inputs.push_back(wait);
      }
    }
  }

  Graph& graph_;
  HandleSources sources_;
  std::map<std::string, Accesses> by_resource_;
  Accesses outside_;
  NodeId barrier_ = -1;                // the last node that may touch any resource
  std::vector<NodeId> since_barrier_;  // those that touch a resource, since
  std::vector<NodeId> waits_;          // of the node at hand
};

}  // namespace

Status order_effects(Graph& graph, const PassContext&) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  EffectOrder effects(graph);
  for (NodeId id : order) effects.place(id);
  return absl::OkStatus();
}

}  // namespace tenon
