// Pattern: the shape of a piece of a Graph, written as an expression, and what of it was found.
//
//   "Mul(Mul(x, 0.5), AddV2|Add(Erf(Mul(x, 0.70710678)), 1))"
//
// A name with a capital is an op, or one of several; its inputs are in brackets, and may be left
// out. A small name captures a value, and stands for the same value wherever it stands; "p=MatMul"
// captures what an op gives. A number is a constant of one element. Inputs of ops that commute are
// found in either order. A list of inputs that ends in "..." may go on.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

class Pattern {
 public:
  struct Found {
    std::vector<std::pair<std::string_view, Endpoint>> captured;
    std::vector<NodeId> nodes;  // that are ops of the pattern; the root first
  };

  // `text` must outlive the pattern. INVALID_ARGUMENT where it is not as above or names an op that
  // nobody declares.
  static StatusOr<Pattern> parse(std::string_view text);

  const std::vector<const OpDef*>& root_ops() const { return terms_[0].ops; }

  // What the pattern finds with its root at `id`, whose two inputs are `swapped` where it commutes.
  std::optional<Found> match(const Graph& graph, NodeId id, bool swapped) const;

 private:
  friend class PatternParser;
  struct Term {
    std::vector<const OpDef*> ops;  // none: any value
    std::string_view capture;
    std::optional<double> number;
    std::vector<int> inputs;  // terms
    bool has_inputs = false;
    bool more_inputs = false;
  };

  bool match_value(const Graph& graph, int term, Endpoint value, Found& found) const;
  bool match_node(const Graph& graph, int term, NodeId id, Found& found) const;
  bool match_inputs(const Graph& graph, int term, NodeId id, bool swapped, Found& found) const;
  bool may_be(const Graph& graph, int term, Endpoint value) const;

  std::vector<Term> terms_;
};

}  // namespace tenon
