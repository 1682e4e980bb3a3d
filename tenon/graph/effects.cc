#include "tenon/graph/effects.h"

#include <algorithm>

#include "tenon/graph/function_library.h"

namespace tenon {
namespace {

const FunctionEffects kAnything{{true, true, true, true, true}, {}, true};

// Resources of one function beyond which they are not told apart.
constexpr size_t kMostResources = 64;

void add_effect(Effect effect, Effects& effects) {
  effects.reads |= effect == Effect::kRead;
  effects.writes |= effect == Effect::kWrite;
  effects.random |= effect == Effect::kRandom;
  effects.outside |= effect == Effect::kOutside;
  effects.collective |= effect == Effect::kCollective;
}

void merge(const Effects& from, Effects& into) {
  into.reads |= from.reads;
  into.writes |= from.writes;
  into.random |= from.random;
  into.outside |= from.outside;
  into.collective |= from.collective;
}

void merge(const FunctionEffects& from, FunctionEffects& into) {
  merge(from.effects, into.effects);
  into.any_resource |= from.any_resource;
  if (!into.any_resource) {
    for (const auto& [name, writes] : from.resources) into.resources[name] |= writes;
  }
  if (into.resources.size() > kMostResources) into.any_resource = true;
  if (into.any_resource) into.resources.clear();
}

// Finds the effects of functions, callees first; those that call each other in a circle have the
// same ones (Tarjan's strongly connected components).
class EffectSearch {
 public:
  explicit EffectSearch(FunctionLibrary& library) : library_(library) {}

  // Anything may be what a function does that cannot be found, or whose calls go too deep.
  std::shared_ptr<const FunctionEffects> find(const std::string& name) {
    if (auto known = library_.effects(name)) return known;
    const Status status = visit(name).status();
    if (!status.ok()) {
      // Those on the way to what is missing are not looked at again for each of their calls.
      const auto anything = std::make_shared<const FunctionEffects>(kAnything);
      for (const Visit& visit : stack_) library_.set_effects(visit.name, anything);
      return anything;
    }
    return library_.effects(name);
  }

 private:
  struct Visit {
    std::string name;
    int index;
    FunctionEffects found;
  };

  // The lowest index on the stack that the function reaches.
  StatusOr<int> visit(const std::string& name);
  Status look_at(const Graph& body, const Node& node, HandleSources& sources,
                 FunctionEffects& found, int& lowest);

  FunctionLibrary& library_;
  std::vector<Visit> stack_;
  std::map<std::string, int> on_stack_;  // name -> index
  int depth_ = 0;
};

StatusOr<int> EffectSearch::visit(const std::string& name) {
  if (depth_ >= kDeepestCall) {
    return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall, " deep");
  }
  TENON_ASSIGN_OR_RETURN(const auto body, library_.find(name));
  const int index = static_cast<int>(stack_.size());
  on_stack_[name] = index;
  stack_.push_back({name, index, {}});
  FunctionEffects found;
  HandleSources sources(*body);
  int lowest = index;
  ++depth_;
  for (NodeId id = 0; id < body->size(); ++id) {
    if (body->alive(id)) {
      TENON_RETURN_IF_ERROR(look_at(*body, body->node(id), sources, found, lowest));
    }
  }
  --depth_;
  stack_[static_cast<size_t>(index)].found = std::move(found);
  if (lowest < index) return lowest;
  FunctionEffects all;
  for (size_t i = static_cast<size_t>(index); i < stack_.size(); ++i) merge(stack_[i].found, all);
  const auto shared = std::make_shared<const FunctionEffects>(std::move(all));
  for (size_t i = static_cast<size_t>(index); i < stack_.size(); ++i) {
    library_.set_effects(stack_[i].name, shared);
    on_stack_.erase(stack_[i].name);
  }
  stack_.resize(static_cast<size_t>(index));
  return index;
}

Status EffectSearch::look_at(const Graph& body, const Node& node, HandleSources& sources,
                             FunctionEffects& found, int& lowest) {
  FunctionEffects own;
  add_effect(node.op->decl().effect, own.effects);
  for (const std::string& name : functions_of(node)) {
    if (const auto it = on_stack_.find(name); it != on_stack_.end()) {
      lowest = std::min(lowest, it->second);
      continue;
    }
    auto known = library_.effects(name);
    if (!known) {
      TENON_ASSIGN_OR_RETURN(const int reached, visit(name));
      lowest = std::min(lowest, reached);
      known = library_.effects(name);
    }
    if (known) merge(*known, own);
  }
  if (own.effects.any()) {
    for (Endpoint input : node.inputs) {
      if (body.value(input).dtype != DType::kResource) continue;
      const HandleSource source = sources.of(input);
      if (source.kind == HandleSource::Kind::kComputed) own.any_resource = true;
      if (source.kind != HandleSource::Kind::kNamed) continue;
      own.resources[resource_name(body.node(source.value.node))] |= own.effects.beyond_reading();
    }
  }
  merge(own, found);
  return absl::OkStatus();
}

// Visits the nodes that `graph` runs, those of each function once, until one is `found`.
class ReachedNodes {
 public:
  explicit ReachedNodes(FunctionRef<bool(const Node&)> found) : found_(found) {}

  StatusOr<bool> visit(const Graph& graph) {
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (!graph.alive(id)) continue;
      TENON_ASSIGN_OR_RETURN(const bool found, visit(graph, graph.node(id)));
      if (found) return true;
    }
    return false;
  }

  StatusOr<bool> visit(const Graph& graph, const Node& node) {
    if (found_(node)) return true;
    for (const std::string& name : functions_of(node)) {
      if (!seen_.insert(name).second) continue;
      if (depth_ >= kDeepestCall) {
        return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall,
                                " deep");
      }
      TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph, name));
      ++depth_;
      TENON_ASSIGN_OR_RETURN(const bool found, visit(*body));
      --depth_;
      if (found) return true;
    }
    return false;
  }

 private:
  FunctionRef<bool(const Node&)> found_;
  std::set<std::string> seen_;
  int depth_ = 0;
};

}  // namespace

FunctionEffects function_effects_of(const Graph& graph, const Node& node) {
  FunctionEffects all;
  for (const std::string& name : functions_of(node)) {
    if (!graph.library()) return kAnything;
    merge(*EffectSearch(*graph.library()).find(name), all);
  }
  return all;
}

Effects effects_of(const Graph& graph, const Node& node) {
  Effects effects;
  add_effect(node.op->decl().effect, effects);
  for (const std::string& name : functions_of(node)) {
    if (!graph.library()) return kAnything.effects;
    merge(EffectSearch(*graph.library()).find(name)->effects, effects);
  }
  return effects;
}

HandleSource HandleSources::of(Endpoint handle) {
  std::vector<NodeId> way;
  while (graph_.node(handle.node).is("Identity")) {
    const auto known = handed_on_.find(handle.node);
    if (known == handed_on_.end()) way.push_back(handle.node);
    handle = known == handed_on_.end() ? graph_.node(handle.node).inputs[0] : known->second;
  }
  for (NodeId id : way) handed_on_[id] = handle;
  const Node& source = graph_.node(handle.node);
  if (source.is("_Arg")) return {HandleSource::Kind::kArgument, handle};
  const bool named = source.inputs.empty() && source.attrs.get_if<std::string>("shared_name");
  return {named ? HandleSource::Kind::kNamed : HandleSource::Kind::kComputed, handle};
}

std::string resource_name(const Node& handle) {
  std::string name = handle.attrs.get_or<std::string>("shared_name", "");
  if (name.empty()) name = handle.name;
  const std::string container = handle.attrs.get_or<std::string>("container", "");
  return container.empty() ? name : cat(container, '\0', name);
}

Status collect_written(const Graph& graph, WrittenResources& written) {
  Status missing;
  std::vector<std::shared_ptr<const Graph>> bodies;
  std::vector<const Graph*> graphs{&graph};
  while (!graphs.empty() && !written.any) {
    const Graph& current = *graphs.back();
    graphs.pop_back();
    HandleSources sources(current);
    for (NodeId id = 0; id < current.size(); ++id) {
      if (!current.alive(id)) continue;
      const Node& node = current.node(id);
      for (const std::string& name : functions_of(node)) {
        if (!written.functions.insert(name).second) continue;
        const auto body = find_function(current, name);
        missing.Update(body.status());
        if (!body.ok()) continue;
        bodies.push_back(*body);
        graphs.push_back(body->get());
      }
      if (!effects_of(current, node).writes) continue;
      for (Endpoint input : node.inputs) {
        if (current.value(input).dtype != DType::kResource) continue;
        const HandleSource source = sources.of(input);
        // Who hands an argument in is looked at where it does.
        if (source.kind == HandleSource::Kind::kArgument) continue;
        if (source.kind == HandleSource::Kind::kComputed) written.any = true;
        written.names.insert(resource_name(current.node(source.value.node)));
      }
    }
  }
  return missing;
}

StatusOr<std::string> find_effect(const Graph& graph, Effect effect) {
  std::string name;
  const auto found = [&](const Node& node) {
    if (node.op->decl().effect != effect) return false;
    name = describe(node);
    return true;
  };
  TENON_RETURN_IF_ERROR(ReachedNodes(found).visit(graph).status());
  return name;
}

}  // namespace tenon
