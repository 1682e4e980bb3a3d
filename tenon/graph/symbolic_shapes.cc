#include "tenon/graph/symbolic_shapes.h"

#include <set>

#include "tenon/graph/batch_dimension.h"
#include "tenon/graph/shape_inference.h"

namespace tenon {
namespace {

// Shape functions see symbols as negative dimensions, which to them are unknown ones. Each is asked
// twice, with other numbers: what it made by arithmetic is no symbol in both answers.
struct Spelling {
  int64_t first;
  int64_t step;
  int64_t dim(int64_t symbol) const { return -(first + symbol * step); }
  // -1 when it is none.
  int64_t symbol(int64_t dim) const {
    const int64_t distance = -dim - first;
    return dim < 0 && distance >= 0 && distance % step == 0 ? distance / step : -1;
  }
};
constexpr Spelling kSpellings[] = {{int64_t{1} << 40, 1}, {(int64_t{1} << 52) + 1, 3}};

}  // namespace

StatusOr<SymbolicShapes> SymbolicShapes::analyze(const Graph& graph) {
  SymbolicShapes shapes(graph);
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  for (NodeId id : order) shapes.analyze_node(id);
  return shapes;
}

const SymbolicShapes::Symbols* SymbolicShapes::symbols_of(Endpoint value) const {
  const auto it = symbols_.find(value);
  return it == symbols_.end() ? nullptr : &it->second;
}

// The symbol of dimension 0 where the op computes row by row and all inputs that have one agree; an
// input of lower rank is broadcast: its rows are not the output's.
int64_t SymbolicShapes::rows_of_inputs(const Node& node) const {
  int64_t common = -1;
  int rank = 0;
  for (Endpoint input : node.inputs) {
    const PartialShape& shape = graph_->value(input).shape;
    if (shape.has_rank()) rank = std::max(rank, shape.rank());
  }
  for (Endpoint input : node.inputs) {
    const Symbols* symbols = symbols_of(input);
    if (!symbols || symbols->empty() || (*symbols)[0] < 0) continue;
    const bool agrees = common < 0 || common == (*symbols)[0];
    if (!agrees || static_cast<int>(symbols->size()) < rank) return -1;
    common = (*symbols)[0];
  }
  return common >= 0 && keeps_rows(*graph_, node) ? common : -1;
}

// By output and axis, the symbol of an input that the shape function gives there; -1: none.
std::vector<SymbolicShapes::Symbols> SymbolicShapes::symbols_handed_on(const Node& node) const {
  std::vector<Symbols> found(node.outputs.size());
  std::set<int64_t> of_inputs;
  for (Endpoint input : node.inputs) {
    if (const Symbols* symbols = symbols_of(input)) {
      of_inputs.insert(symbols->begin(), symbols->end());
    }
  }
  of_inputs.erase(-1);
  if (of_inputs.empty()) return found;
  for (const Spelling& spelling : kSpellings) {
    NodeShapes shapes = shapes_of(*graph_, node);
    shapes.symbolic = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Symbols* symbols = symbols_of(node.inputs[i]);
      for (size_t axis = 0; symbols && axis < symbols->size(); ++axis) {
        if ((*symbols)[axis] < 0) continue;
        shapes.inputs[i].shape.set(static_cast<int>(axis), spelling.dim((*symbols)[axis]));
      }
    }
    if (!shapes.infer().ok()) return std::vector<Symbols>(node.outputs.size());
    for (size_t i = 0; i < found.size(); ++i) {
      Symbols symbols;
      const PartialShape& shape = shapes.outputs[i];
      for (int axis = 0; shape.has_rank() && axis < shape.rank(); ++axis) {
        const int64_t symbol = spelling.symbol(shape[axis]);
        symbols.push_back(of_inputs.contains(symbol) ? symbol : -1);
      }
      if (&spelling == kSpellings) {
        found[i] = std::move(symbols);
        continue;
      }
      found[i].resize(symbols.size(), -1);
      for (size_t axis = 0; axis < symbols.size(); ++axis) {
        if (found[i][axis] != symbols[axis]) found[i][axis] = -1;
      }
    }
  }
  return found;
}

void SymbolicShapes::analyze_node(NodeId id) {
  const Node& node = graph_->node(id);
  const auto is_open = [](const ValueInfo& output) {
    return output.shape.has_rank() && !output.shape.is_fully_known();
  };
  if (std::none_of(node.outputs.begin(), node.outputs.end(), is_open)) return;
  const std::vector<Symbols> handed_on = symbols_handed_on(node);
  const int64_t rows = rows_of_inputs(node);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!is_open(node.outputs[i])) continue;
    const PartialShape& shape = node.outputs[i].shape;
    Symbols symbols(static_cast<size_t>(shape.rank()), -1);
    for (size_t axis = 0; axis < symbols.size(); ++axis) {
      if (shape[static_cast<int>(axis)] >= 0) continue;
      if (handed_on[i].size() == symbols.size()) symbols[axis] = handed_on[i][axis];
      if (axis == 0 && symbols[axis] < 0) symbols[axis] = rows;
      if (symbols[axis] < 0) symbols[axis] = next_symbol_++;
    }
    symbols_[{id, static_cast<int32_t>(i)}] = std::move(symbols);
  }
}

bool SymbolicShapes::equal(Endpoint a, Endpoint b) const {
  if (a == b) return graph_->value(a).shape.has_rank();
  const PartialShape& left = graph_->value(a).shape;
  if (!left.has_rank() || !(left == graph_->value(b).shape)) return false;
  if (left.is_fully_known()) return true;
  const Symbols* of_a = symbols_of(a);
  const Symbols* of_b = symbols_of(b);
  return of_a && of_b && *of_a == *of_b;
}

bool SymbolicShapes::is_column_of(Endpoint column, Endpoint wide) const {
  const PartialShape& left = graph_->value(column).shape;
  const PartialShape& right = graph_->value(wide).shape;
  if (!left.has_rank() || !right.has_rank() || left.rank() != right.rank()) return false;
  const int last = left.rank() - 1;
  if (last < 0 || left[last] != 1) return false;
  const Symbols* of_column = symbols_of(column);
  const Symbols* of_wide = symbols_of(wide);
  for (int axis = 0; axis < last; ++axis) {
    if (left[axis] != right[axis]) return false;
    if (left[axis] >= 0) continue;
    const auto at = static_cast<size_t>(axis);
    if (!of_column || !of_wide || (*of_column)[at] != (*of_wide)[at]) return false;
  }
  return true;
}

void SymbolicShapes::is_same(Endpoint fresh, Endpoint known) {
  if (const auto it = symbols_.find(known); it != symbols_.end()) {
    const Symbols symbols = it->second;
    symbols_[fresh] = symbols;
  }
}

}  // namespace tenon
