// Rules: rewrites of a Graph as rows of tables, and the one driver that applies them.
//
// A rule says which piece of a graph it stands for (Pattern), when it holds and which values stand
// for the root's outputs afterwards. docs/adding_a_fusion.md walks through one.
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/graph/symbolic_shapes.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"
#include "tenon/passes/pattern.h"

namespace tenon {

// A piece of the graph that a pattern found, for the rule's functions.
class Match {
 public:
  Match(Graph& graph, SymbolicShapes* shapes, Pattern::Found found)
      : graph_(graph), shapes_(shapes), builder_(graph), found_(std::move(found)) {}

  Graph& graph() { return graph_; }
  const Graph& graph() const { return graph_; }
  GraphBuilder& builder() { return builder_; }
  // Only in tables that ask for them.
  const SymbolicShapes& shapes() const { return *shapes_; }

  NodeId root_id() const { return found_.nodes[0]; }
  const Node& root() const { return graph_.node(root_id()); }

  // What the pattern captured under `name`, which must be one of its names.
  Endpoint operator[](std::string_view name) const;
  const Node& node(std::string_view name) const { return graph_.node((*this)[name].node); }
  const Tensor* constant(std::string_view name) const { return graph_.constant((*this)[name]); }
  const PartialShape& shape(std::string_view name) const {
    return graph_.value((*this)[name]).shape;
  }

  // A node in the place of those that were found: it waits for what they waited for. -1 when
  // it cannot be.
  NodeId add(std::string_view op, std::string_view name, std::vector<Endpoint> inputs,
             AttrMap attrs);

 private:
  Graph& graph_;
  SymbolicShapes* shapes_;
  GraphBuilder builder_;
  Pattern::Found found_;
};

// Whether what a rule makes depends on the device.
enum class Wanted : uint8_t {
  kAlways,
  kByDevice,  // where the device wants nodes to be fused into the op that it makes
};

struct Rule {
  std::string_view name;
  std::string_view pattern;
  // What stands for the root's outputs; those beyond must not be read. None: it does not hold.
  // Nodes that it made in vain are removed.
  std::vector<Endpoint> (*replace)(Match&);
  // Whether all of the pattern but the root is gone afterwards: no other node may read or wait for
  // what is inside. Else what is inside waits for nothing and may have other readers.
  bool consumes = false;
  Wanted wanted = Wanted::kAlways;
};

// Rules that are applied together. Earlier ones first, where several hold of one node.
struct RuleTable {
  std::string_view name;
  std::span<const Rule> rules;
  bool needs_symbolic_shapes = false;
  // Shapes are inferred again behind a rewrite, so that later rules see more.
  bool infers = false;
};

extern const RuleTable kIdentityRules;
extern const RuleTable kBatchNormRules;
extern const RuleTable kFusionRules;

// Applies the rules of `table` until none holds. Rules are found by the op of their root. Each
// rewrite costs as much as it rewires. INTERNAL, naming the last rule, when rules feed each other:
// after 16 rewrites for each node and some thousand.
Status rewrite(Graph& graph, const PassContext& context, const RuleTable& table);

}  // namespace tenon
