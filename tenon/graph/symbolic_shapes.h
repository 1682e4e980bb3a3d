// SymbolicShapes: which dimensions that are not known yet are the same, whatever they will be.
//
// Two dimensions that are both unknown may differ: a batch of 4 and a row that is broadcast to it.
// A pass may take them for equal only where they come from one place. That is told by the ops' own
// shape functions: each unknown dimension of an argument is a symbol, and where a shape function
// hands a symbol on, the output has that dimension. What it computes is a new symbol.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

class SymbolicShapes {
 public:
  // `graph` must outlive the object. INVALID_ARGUMENT when it has a cycle.
  static StatusOr<SymbolicShapes> analyze(const Graph& graph);

  // Whether both values have one shape in every run: ranks are known, and each dimension is the
  // same number or the same symbol.
  bool equal(Endpoint a, Endpoint b) const;

  // What is known of a value's shape: more than the graph says where Reshape, BroadcastTo or Fill
  // is told to make the shape of another value.
  const PartialShape& shape_of(Endpoint value) const;

  // Whether `column` has the shape of `wide` in every run, but for a last dimension of 1.
  bool is_column_of(Endpoint column, Endpoint wide) const;

  // A node that was added since computes in `fresh` what `known` is.
  void is_same(Endpoint fresh, Endpoint known);

 private:
  using Symbols = std::vector<int64_t>;  // by axis; -1 where the dimension is a number

  explicit SymbolicShapes(const Graph& graph) : graph_(&graph) {}
  void analyze_node(NodeId id);
  int64_t rows_of_inputs(const Node& node) const;
  std::vector<Symbols> symbols_handed_on(NodeId id);
  Endpoint asked_to_be_like(const Node& node) const;
  void refine(Endpoint value, const PartialShape& known);
  int64_t symbol_of_rest(NodeId id);
  const Symbols* symbols_of(Endpoint value) const;

  const Graph* graph_;
  int64_t next_symbol_ = 0;
  // Symbols that are a multiple of another one, which is none.
  std::map<int64_t, std::pair<int64_t, int64_t>> multiples_;
  std::map<std::pair<int64_t, int64_t>, int64_t> symbol_of_multiple_;
  std::map<Endpoint, Symbols> symbols_;  // of values of known rank with unknown dimensions
  std::map<Endpoint, PartialShape> refined_;
};

}  // namespace tenon
