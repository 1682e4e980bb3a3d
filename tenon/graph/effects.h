// What nodes do besides computing values, calls of functions included.
#pragma once

#include <set>
#include <unordered_map>

#include "tenon/graph/graph.h"

namespace tenon {

struct Effects {
  bool reads = false;
  bool writes = false;
  bool random = false;
  bool outside = false;
  bool collective = false;
  bool beyond_reading() const { return writes || random || outside || collective; }
  bool any() const { return reads || beyond_reading(); }
};

// Of a function and of all that it may run, at any depth.
struct FunctionEffects {
  Effects effects;
  // The resources that its bodies make handles of and touch, by resource_name(), and whether they
  // do more than read them.
  std::map<std::string, bool> resources;
  // It touches resources that cannot be told: those of a handle that was computed, or too many.
  bool any_resource = false;
};

// The effect of the node's op, and the effects of all that the functions it may run do, at any
// depth. All of them when a function cannot be found or calls go more than 100 deep. Each function
// is looked at once.
Effects effects_of(const Graph& graph, const Node& node);

// The same of the functions alone, with the resources that they make handles of themselves.
FunctionEffects function_effects_of(const Graph& graph, const Node& node);

// Where a handle comes from.
struct HandleSource {
  enum class Kind : uint8_t { kNamed, kArgument, kComputed };
  Kind kind = Kind::kComputed;
  Endpoint value;
};

// The sources of the handles of one graph, which must outlive the object, unchanged. Looks at each
// node that hands a handle on once.
class HandleSources {
 public:
  explicit HandleSources(const Graph& graph) : graph_(graph) {}
  HandleSource of(Endpoint handle);

 private:
  const Graph& graph_;
  std::unordered_map<NodeId, Endpoint> handed_on_;  // by Identity node: what it hands on
};

// The resource that a node makes a handle of: its shared_name, or else its own; behind its
// container, where it has one. Nodes of one name are handles of one resource.
std::string resource_name(const Node& handle);

// The resources that some graphs write, collected one graph after the other.
struct WrittenResources {
  std::set<std::string> names;      // resource_name()
  bool any = false;                 // some that cannot be told
  std::set<std::string> functions;  // those seen

  bool contains(const std::string& name) const { return any || names.contains(name); }
};
// Adds what `graph` and all functions that it may run write. Whoever hands a resource to a node
// that writes anything writes it. What cannot be found cannot run, so it writes nothing; its error
// is returned when everything else has been looked at.
Status collect_written(const Graph& graph, WrittenResources& written);

// "node 'x' (op Y)", the first in `graph` or in the functions that it may run whose op has
// `effect`; empty when there is none. Errors of functions that are not found; INVALID_ARGUMENT when
// calls go more than 100 deep.
StatusOr<std::string> find_effect(const Graph& graph, Effect effect);

}  // namespace tenon
