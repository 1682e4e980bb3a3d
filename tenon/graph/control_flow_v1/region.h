// A region of a Graph as a function of its own: how loops and branches become function bodies.
#pragma once

#include <map>
#include <set>

#include "tenon/graph/graph.h"

namespace tenon {

// The values that a function takes, in order, each once.
class Arguments {
 public:
  void add(Endpoint value) {
    if (known_.insert(value).second) values_.push_back(value);
  }
  const std::vector<Endpoint>& values() const { return values_; }

 private:
  std::vector<Endpoint> values_;
  std::set<Endpoint> known_;
};

// Where a region ends.
class Boundary {
 public:
  virtual ~Boundary() = default;

  // The value of the graph that the function takes as an argument in the place of `e`; nullopt when
  // the region computes `e` itself. UNIMPLEMENTED, naming the node, when the region cannot have it.
  virtual StatusOr<std::optional<Endpoint>> argument(Endpoint e) const = 0;

  // Whether to wait for `id` is to wait for a node of the region. What is outside goes to
  // Region::outside_controls.
  virtual bool inside(NodeId id) const = 0;
};

// What some values need, back to a boundary.
class Region {
 public:
  // Both must outlive the region.
  Region(const Graph& graph, const Boundary& boundary) : graph_(graph), boundary_(boundary) {}

  // Adds what `roots` and `control_roots` need, and to `args` what the function takes.
  Status reach(std::span<const Endpoint> roots, std::span<const NodeId> control_roots,
               Arguments& args);

  const std::set<NodeId>& nodes() const { return nodes_; }
  // Nodes outside that nodes of the region wait for.
  const std::set<NodeId>& outside_controls() const { return outside_controls_; }

  // Whatever the boundary gave an argument for, and that argument.
  const std::map<Endpoint, Endpoint>& arguments() const { return arguments_; }

  // The function: takes `args`, gives `results`, runs `control_results` (those that are inside).
  // Nodes keep their order. What it gives must have been reached. Shapes are not inferred.
  StatusOr<Graph> build(const Arguments& args, std::span<const Endpoint> results,
                        std::span<const NodeId> control_results) const;

 private:
  Status visit(Endpoint e, Arguments& args);
  void visit_control(NodeId id);

  const Graph& graph_;
  const Boundary& boundary_;
  std::set<NodeId> nodes_;
  std::set<NodeId> outside_controls_;
  std::map<Endpoint, Endpoint> arguments_;
  std::vector<NodeId> stack_;
};

// Verifies a function's body, infers its shapes and puts it into the graph's library under a name
// that starts with `prefix`. Returns the reference. UNIMPLEMENTED, naming the node, when one is
// left that exists only during import.
StatusOr<FunctionAttr> add_function(const Graph& graph, std::string_view prefix, Graph body);

// UNIMPLEMENTED, naming the first node that exists only during import; OK when there is none.
Status check_no_import_ops(const Graph& graph);

// Whether any node does more than compute its outputs.
bool has_effects(const Graph& graph);

}  // namespace tenon
