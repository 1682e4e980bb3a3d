#include "tenon/lite/writer/einsum.h"

#include <array>
#include <set>

namespace tenon::lite {
namespace {

struct EinsumTerm {
  int input;
  std::string labels;
  PartialShape shape;
};

// The letters of `equation` with those that "..." stands for, which are taken from "0123...".
std::string labels_of(std::string_view text, int rank) {
  std::string labels;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 3) != "...") {
      if (text[i] != ' ') labels += text[i];
      continue;
    }
    const int covered = rank - static_cast<int>(text.size() - 3);
    for (int k = 0; k < covered; ++k) labels += static_cast<char>('0' + (9 - covered + 1 + k));
    i += 2;
  }
  return labels;
}

int64_t size_of_label(char label, std::span<const EinsumTerm> terms) {
  for (const EinsumTerm& term : terms) {
    const size_t at = term.labels.find(label);
    if (at != term.labels.npos && term.shape[static_cast<int>(at)] >= 0) {
      return term.shape[static_cast<int>(at)];
    }
  }
  return -1;
}

class EinsumWriter {
 public:
  EinsumWriter(NodeContext& c, EinsumTerm a, EinsumTerm b, std::string result)
      : c_(c), terms_{std::move(a), std::move(b)}, result_(std::move(result)) {}

  void write() {
    if (!sort_labels()) return;
    const int a = operand(0, {batch_, left_, shared_});
    if (batch_.empty() && c_.constant(1)) return write_layer(a);
    const int b = operand(1, {batch_, shared_, right_});
    PartialShape product = dims_of(batch_);
    std::vector<int64_t> dims(product.dims().begin(), product.dims().end());
    dims.push_back(count_of(left_));
    dims.push_back(count_of(right_));
    const int matrix = c_.chain(op::BATCH_MATMUL, {a, b}, PartialShape(dims), c_.out_dtype(),
                                schema::BatchMatMulOptionsT());
    finish(matrix);
  }

 private:
  bool sort_labels() {
    for (char label : terms_[0].labels) {
      const bool in_b = terms_[1].labels.find(label) != std::string::npos;
      const bool kept = result_.find(label) != std::string::npos;
      if (!in_b && !kept) return refuse();
      (in_b ? kept ? batch_ : shared_ : left_) += label;
    }
    for (char label : terms_[1].labels) {
      if (terms_[0].labels.find(label) != std::string::npos) continue;
      if (result_.find(label) == std::string::npos) return refuse();
      right_ += label;
    }
    return result_.size() == batch_.size() + left_.size() + right_.size() || refuse();
  }
  bool refuse() {
    c_.fail(unimplemented("with the equation '", c_.attr<std::string>("equation", ""), "'"));
    return false;
  }

  PartialShape dims_of(std::string_view labels) const {
    std::vector<int64_t> dims;
    for (char label : labels) dims.push_back(size_of_label(label, terms_));
    return PartialShape(dims);
  }
  int64_t count_of(std::string_view labels) const {
    int64_t count = 1;
    for (char label : labels) {
      const int64_t size = size_of_label(label, terms_);
      if (size < 0) return -1;
      count *= size;
    }
    return count;
  }

  // As RESHAPE takes it: at most one dimension that it finds out itself.
  int reshaped(int tensor, const PartialShape& shape, DType dtype, int result = -1) {
    if (std::count(shape.dims().begin(), shape.dims().end(), -1) > 1) {
      refuse();
      return tensor;
    }
    if (result < 0) result = c_.temporary(dtype, shape);
    c_.emit(op::RESHAPE, {tensor, c_.ints(shape.dims())}, {result});
    return result;
  }

  // The operand with its letters in the order of `groups`: the first, the batch, axis by axis, the
  // others an axis each.
  int operand(int which, std::array<std::string_view, 3> groups) {
    const EinsumTerm& term = terms_[static_cast<size_t>(which)];
    std::vector<int> order;
    std::vector<int64_t> dims;
    for (std::string_view group : groups) {
      for (char label : group) order.push_back(static_cast<int>(term.labels.find(label)));
    }
    const int moved = std::is_sorted(order.begin(), order.end()) ? c_.in(term.input)
                                                                 : c_.transposed(term.input, order);
    if (groups[1].size() == 1 && groups[2].size() == 1) return moved;
    const PartialShape batch = dims_of(groups[0]);
    dims.assign(batch.dims().begin(), batch.dims().end());
    dims.push_back(count_of(groups[1]));
    dims.push_back(count_of(groups[2]));
    return reshaped(moved, PartialShape(dims), c_.in_dtype(term.input));
  }

  // By weights that are known.
  void write_layer(int rows) {
    std::vector<int> order;
    for (char label : right_ + shared_)
      order.push_back(static_cast<int>(terms_[1].labels.find(label)));
    const int64_t units = count_of(right_), depth = count_of(shared_);
    const int weights = c_.transposed_constant(1, order, Shape{units, depth});
    finish(c_.chain(op::FULLY_CONNECTED, {rows, weights, c_.no_bias(units)},
                    PartialShape{count_of(left_), units}, c_.out_dtype(),
                    schema::FullyConnectedOptionsT()));
  }

  void finish(int matrix) {
    const std::string order = cat(batch_, left_, right_);
    if (order == result_) {
      reshaped(matrix, dims_of(result_), c_.out_dtype(), c_.out());
      return;
    }
    const int spread = reshaped(matrix, dims_of(order), c_.out_dtype());
    std::vector<int64_t> permutation;
    for (char label : result_) permutation.push_back(static_cast<int64_t>(order.find(label)));
    c_.emit(op::TRANSPOSE, {spread, c_.ints(permutation)}, {c_.out()});
  }

  NodeContext& c_;
  std::array<EinsumTerm, 2> terms_;
  std::string result_, batch_, left_, right_, shared_;
};

}  // namespace

void write_einsum(NodeContext& c) {
  const std::string equation = c.attr<std::string>("equation", "");
  const size_t comma = equation.find(','), arrow = equation.find("->");
  const auto wrong = [&] { c.fail(unimplemented("with the equation '", equation, "'")); };
  if (c.num_inputs() != 2 || comma == equation.npos || arrow == equation.npos || comma > arrow ||
      !c.in_shape(0).has_rank() || !c.in_shape(1).has_rank() || !c.out_shape().has_rank()) {
    return wrong();
  }
  const std::string_view text = equation;
  EinsumTerm a{0, labels_of(text.substr(0, comma), c.in_shape(0).rank()), c.in_shape(0)};
  EinsumTerm b{1, labels_of(text.substr(comma + 1, arrow - comma - 1), c.in_shape(1).rank()),
               c.in_shape(1)};
  std::string result = labels_of(text.substr(arrow + 2), c.out_shape().rank());
  for (const std::string* labels : {&a.labels, &b.labels, &result}) {
    if (std::set<char>(labels->begin(), labels->end()).size() != labels->size()) return wrong();
  }
  if (static_cast<int>(a.labels.size()) != a.shape.rank() ||
      static_cast<int>(b.labels.size()) != b.shape.rank()) {
    return wrong();
  }
  EinsumWriter(c, std::move(a), std::move(b), std::move(result)).write();
}

}  // namespace tenon::lite
