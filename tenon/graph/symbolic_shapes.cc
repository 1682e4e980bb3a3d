#include "tenon/graph/symbolic_shapes.h"

#include <algorithm>
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

const PartialShape& SymbolicShapes::shape_of(Endpoint value) const {
  const auto it = refined_.find(value);
  return it == refined_.end() ? graph_->value(value).shape : it->second;
}

// Dimensions that `known` has and the value's shape has not.
void SymbolicShapes::refine(Endpoint value, const PartialShape& known) {
  PartialShape shape = shape_of(value);
  if (!shape.has_rank() || !known.has_rank() || shape.rank() != known.rank()) return;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0 && known[axis] >= 0) shape.set(axis, known[axis]);
  }
  if (!(shape == shape_of(value))) refined_[value] = std::move(shape);
}

// The symbol of dimension 0 where the op computes row by row and all inputs that have one agree; an
// input of lower rank is broadcast: its rows are not the output's.
int64_t SymbolicShapes::rows_of_inputs(const Node& node) const {
  int64_t common = -1;
  int rank = 0;
  for (Endpoint input : node.inputs) {
    const PartialShape& shape = shape_of(input);
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

// By output and axis, the symbol of an input that the shape function gives there; -1: none. What it
// says of known dimensions is kept.
std::vector<SymbolicShapes::Symbols> SymbolicShapes::symbols_handed_on(NodeId id) {
  const Node& node = graph_->node(id);
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
      shapes.inputs[i].shape = shape_of(node.inputs[i]);
      for (size_t axis = 0; symbols && axis < symbols->size(); ++axis) {
        if ((*symbols)[axis] < 0) continue;
        shapes.inputs[i].shape.set(static_cast<int>(axis), spelling.dim((*symbols)[axis]));
      }
    }
    if (!shapes.infer().ok()) return std::vector<Symbols>(node.outputs.size());
    for (size_t i = 0; i < found.size(); ++i) {
      Symbols symbols;
      const PartialShape& shape = shapes.outputs[i];
      refine({id, static_cast<int32_t>(i)}, shape);
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

// A value whose own shape is what the node is told to make: gradients are brought to the shape
// of what they are the gradients of.
Endpoint SymbolicShapes::asked_to_be_like(const Node& node) const {
  const bool second = node.is("Reshape") || node.is("BroadcastTo");
  const bool first = node.is("Fill") || node.is("Conv2DBackpropInput") ||
                     node.is("DepthwiseConv2dNativeBackpropInput");
  if (!first && !second) return {};
  const NodeId shape = node.inputs[second ? 1 : 0].node;
  return graph_->node(shape).is("Shape") ? graph_->node(shape).inputs[0] : Endpoint{};
}

// What Reshape makes of the one dimension that is not known: all rows and steps as rows, and back.
// Of both shapes one dimension is not known; -1 where more are, or it is no whole multiple.
int64_t SymbolicShapes::symbol_of_rest(NodeId id) {
  const Node& node = graph_->node(id);
  const Symbols* const symbols = node.is("Reshape") ? symbols_of(node.inputs[0]) : nullptr;
  if (!symbols) return -1;
  const auto known_part = [](const PartialShape& shape) -> int64_t {
    int64_t product = 1;
    int open = 0;
    for (const int64_t dim : shape.dims()) {
      open += dim < 0;
      if (dim >= 0 && __builtin_mul_overflow(product, dim, &product)) return 0;
    }
    return open == 1 ? product : 0;
  };
  const int64_t of_input = known_part(shape_of(node.inputs[0]));
  const int64_t of_output = known_part(shape_of({id, 0}));
  const auto found =
      std::find_if(symbols->begin(), symbols->end(), [](int64_t s) { return s >= 0; });
  if (of_input <= 0 || of_output <= 0 || found == symbols->end()) return -1;
  std::pair<int64_t, int64_t> rest{*found, 1};
  if (const auto it = multiples_.find(*found); it != multiples_.end()) rest = it->second;
  if (__builtin_mul_overflow(rest.second, of_input, &rest.second)) return -1;
  if (rest.second % of_output != 0) return -1;
  rest.second /= of_output;
  if (rest.second == 1) return rest.first;
  const auto [known, fresh] = symbol_of_multiple_.emplace(rest, next_symbol_);
  if (fresh) multiples_[next_symbol_++] = rest;
  return known->second;
}

void SymbolicShapes::analyze_node(NodeId id) {
  const Node& node = graph_->node(id);
  const auto is_open = [](const PartialShape& shape) {
    return shape.has_rank() && !shape.is_fully_known();
  };
  if (std::none_of(node.outputs.begin(), node.outputs.end(),
                   [&](const ValueInfo& output) { return is_open(output.shape); })) {
    return;
  }
  const Endpoint like = asked_to_be_like(node);
  if (like) refine({id, 0}, shape_of(like));
  const std::vector<Symbols> handed_on = symbols_handed_on(id);
  const int64_t rows = rows_of_inputs(node);
  const Symbols* const asked = like ? symbols_of(like) : nullptr;
  const int64_t rest = symbol_of_rest(id);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const PartialShape& shape = shape_of({id, static_cast<int32_t>(i)});
    if (!is_open(shape)) continue;
    Symbols symbols(static_cast<size_t>(shape.rank()), -1);
    for (size_t axis = 0; axis < symbols.size(); ++axis) {
      if (shape[static_cast<int>(axis)] >= 0) continue;
      if (handed_on[i].size() == symbols.size()) symbols[axis] = handed_on[i][axis];
      if (asked && asked->size() == symbols.size()) symbols[axis] = (*asked)[axis];
      if (axis == 0 && symbols[axis] < 0) symbols[axis] = rows;
      if (symbols[axis] < 0 || (rest >= 0 && !asked)) {
        symbols[axis] = rest >= 0 ? rest : next_symbol_++;
      }
    }
    symbols_[{id, static_cast<int32_t>(i)}] = std::move(symbols);
  }
}

bool SymbolicShapes::equal(Endpoint a, Endpoint b) const {
  if (a == b) return shape_of(a).has_rank();
  const PartialShape& left = shape_of(a);
  if (!left.has_rank() || !(left == shape_of(b))) return false;
  if (left.is_fully_known()) return true;
  const Symbols* of_a = symbols_of(a);
  const Symbols* of_b = symbols_of(b);
  return of_a && of_b && *of_a == *of_b;
}

bool SymbolicShapes::is_column_of(Endpoint column, Endpoint wide) const {
  const PartialShape& left = shape_of(column);
  const PartialShape& right = shape_of(wide);
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
