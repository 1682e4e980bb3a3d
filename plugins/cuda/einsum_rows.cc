// Einsum of two operands as one product: axes that both operands and the result have are its batch,
// those of one operand and the result its rows or columns, those of both operands alone are summed
// over. What lies in another order is turned before and after.
#include <algorithm>
#include <map>
#include <utility>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/product.h"

namespace plugin::cuda {
namespace {

// A label for each axis.
using Labels = std::string;
using Sizes = std::map<char, int64_t>;

bool has(const Labels& labels, char label) { return labels.find(label) != Labels::npos; }

int64_t product_of(const Labels& labels, const Sizes& sizes) {
  int64_t product = 1;
  for (const char label : labels) product *= sizes.at(label);
  return product;
}

// Each label once, of known size.
bool read_sizes(const Labels& labels, const TenonType& type, Sizes& sizes) {
  if (labels.size() != static_cast<size_t>(type.rank)) return false;
  for (size_t i = 0; i < labels.size(); ++i) {
    const bool letter =
        (labels[i] >= 'a' && labels[i] <= 'z') || (labels[i] >= 'A' && labels[i] <= 'Z');
    if (!letter || has(labels.substr(0, i), labels[i])) return false;
    const auto [found, added] = sizes.emplace(labels[i], type.dims[i]);
    if (!added && found->second != type.dims[i]) return false;
  }
  return true;
}

// A tensor that is copied into another order of its axes, to a temporary.
struct Turn {
  bool needed = false;
  MoveShape shape;
  size_t place = 0;
};

// From the order `from` to `to`, which has the same labels.
Turn plan_turn(const Labels& from, const Labels& to, const Sizes& sizes) {
  Turn turn;
  turn.needed = true;
  turn.shape.rank = static_cast<int>(to.size());
  for (size_t axis = 0; axis < to.size(); ++axis) {
    turn.shape.dims[axis] = sizes.at(to[axis]);
    turn.shape.x_strides[axis] = product_of(from.substr(from.find(to[axis]) + 1), sizes);
    turn.shape.y_strides[axis] = product_of(to.substr(axis + 1), sizes);
  }
  return turn;
}

struct Einsum {
  int32_t first = 0, second = 1;  // inputs of the node
  size_t width = 0;
  ProductSpec spec;
  Turn a, b, y;
  NodeProduct product;
};

struct Equation {
  Labels a, b, y;
};

bool read_equation(const std::string& text, Equation& equation) {
  std::string plain;
  std::copy_if(text.begin(), text.end(), std::back_inserter(plain),
               [](char c) { return c != ' '; });
  const size_t comma = plain.find(','), arrow = plain.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || comma > arrow) return false;
  equation = {plain.substr(0, comma), plain.substr(comma + 1, arrow - comma - 1),
              plain.substr(arrow + 2)};
  return true;
}

// Which labels are what; false where an operand has one that is nowhere else.
struct Roles {
  Labels batch, rows, columns, inner;
};
bool find_roles(const Equation& e, Roles& roles) {
  for (const char label : e.y) {
    const bool in_a = has(e.a, label), in_b = has(e.b, label);
    if (!in_a && !in_b) return false;
    (in_a && in_b ? roles.batch : in_a ? roles.rows : roles.columns) += label;
  }
  for (const char label : e.a) {
    if (has(e.y, label)) continue;
    if (!has(e.b, label)) return false;
    roles.inner += label;
  }
  return std::all_of(e.b.begin(), e.b.end(),
                     [&](char label) { return has(e.y, label) || has(e.a, label); });
}

TenonStatus* turn_operand(cudaStream_t stream, const Turn& turn, size_t width, TenonRun* r,
                          const void*& operand) {
  if (!turn.needed) return nullptr;
  void* turned = temporary(r, turn.place);
  const cudaError_t failed = move(stream, width, turn.shape, operand, turned);
  operand = turned;
  return status_of(failed, "turning an operand");
}

TenonStatus* run_einsum(const Einsum& it, TenonRun* r) {
  const cudaStream_t stream = enqueue(r);
  const void *a = input<void>(r, it.first), *b = input<void>(r, it.second);
  if (TenonStatus* status = turn_operand(stream, it.a, it.width, r, a)) return status;
  if (TenonStatus* status = turn_operand(stream, it.b, it.width, r, b)) return status;
  void* y = it.y.needed ? temporary(r, it.y.place) : output<void>(r, 0);
  if (TenonStatus* status = it.product.run(r, a, b, y)) return status;
  if (!it.y.needed) return nullptr;
  return status_of(move(stream, it.width, it.y.shape, y, output<void>(r, 0)), "turning a result");
}

TenonStatus* prepare_einsum(TenonPrepare* prepare, RunFunction& run) {
  Equation e;
  Sizes sizes;
  Roles roles;
  const TenonType y = host->prepare_output(prepare, 0);
  if (host->prepare_num_inputs(prepare) != 2 ||
      !read_equation(string_attr(prepare, "equation"), e) ||
      !read_sizes(e.a, host->prepare_input(prepare, 0), sizes) ||
      !read_sizes(e.b, host->prepare_input(prepare, 1), sizes) || !read_sizes(e.y, y, sizes) ||
      std::max({e.a.size(), e.b.size(), e.y.size()}) > static_cast<size_t>(kMostAxes)) {
    return unimplemented("this equation");
  }
  Einsum it;
  if (!find_roles(e, roles)) return unimplemented("an operand that is summed over by itself");
  if (e.y == roles.batch + roles.columns + roles.rows &&
      e.y != roles.batch + roles.rows + roles.columns) {
    std::swap(it.first, it.second);
    std::swap(e.a, e.b);
    std::swap(roles.rows, roles.columns);
  }
  const auto reserve = [&](const Labels& labels) {
    return host->reserve_temporary(
        prepare, static_cast<size_t>(product_of(labels, sizes)) * size_of(y.dtype));
  };
  // An operand lies as the product takes it, or is turned.
  const auto place = [&](const Labels& from, const Labels& outer, const Labels& within,
                         bool& transposed, Turn& turn) {
    transposed = from == roles.batch + within + outer && from != roles.batch + outer + within;
    if (transposed || from == roles.batch + outer + within) return;
    turn = plan_turn(from, roles.batch + outer + within, sizes);
    turn.place = reserve(from);
  };
  place(e.a, roles.rows, roles.inner, it.spec.transpose_a, it.a);
  place(e.b, roles.inner, roles.columns, it.spec.transpose_b, it.b);
  const Labels made = roles.batch + roles.rows + roles.columns;
  if (e.y != made) {
    it.y = plan_turn(made, e.y, sizes);
    it.y.place = reserve(e.y);
  }
  it.width = size_of(y.dtype);
  it.spec.rows = product_of(roles.rows, sizes);
  it.spec.columns = product_of(roles.columns, sizes);
  it.spec.inner = product_of(roles.inner, sizes);
  it.spec.batch = product_of(roles.batch, sizes);
  it.spec.a_step = it.spec.rows * it.spec.inner;
  it.spec.b_step = it.spec.inner * it.spec.columns;
  it.spec.dtype = y.dtype;
  if (TenonStatus* status = NodeProduct::create(prepare, it.spec, {}, it.product)) return status;
  run = [it](TenonRun* r) { return run_einsum(it, r); };
  return nullptr;
}

}  // namespace

void add_einsum_rows(const AddRow& add) { add("Einsum", prepare_einsum); }

}  // namespace plugin::cuda
