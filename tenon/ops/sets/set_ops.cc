// SetSize, DenseToDenseSetOperation, DenseToSparseSetOperation, SparseToSparseSetOperation: the
// last dimension of a tensor holds sets, one for each place of the others.
// tensorflow/core/kernels/set_kernels.cc.
#include <map>
#include <set>

#include "tenon/ops/array/elements.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

using SetTypes = TypeList<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, std::string_view>;

// Sets by the number of their group.
template <class T>
using Sets = std::map<int64_t, std::set<T>>;

// How inputs hold the sets of one argument: values alone, or indices, values and shape.
struct SetInput {
  int first;
  bool dense;
};

// All dimensions but the last.
StatusOr<Shape> group_shape(const KernelRun& r, SetInput input) {
  Shape shape = r.input(input.first).shape();
  if (!input.dense) {
    TENON_ASSIGN_OR_RETURN(shape, dense_shape(r.input(input.first + 2)));
  }
  if (shape.rank() < 2) return invalid_argument("sets need a rank of 2 at least, not ", shape);
  shape.remove(shape.rank() - 1);
  return shape;
}

// The sets of an argument. Rows of a sparse one must be in order where `validate` says so.
template <class T>
StatusOr<Sets<T>> read_sets(const KernelRun& r, SetInput input, const Shape& groups,
                            bool validate) {
  Sets<T> sets;
  if (input.dense) {
    const Tensor& x = r.input(input.first);
    const int64_t width = x.dim(x.rank() - 1);
    const T* values = x.data<T>();
    for (int64_t i = 0; i < x.num_elements(); ++i) sets[i / width].insert(values[i]);
    return sets;
  }
  const Coordinates rows(r.input(input.first));
  TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(input.first + 2)));
  if (rows.rank != shape.rank()) {
    return invalid_argument("indices have ", rows.rank, " columns for a shape of rank ",
                            shape.rank());
  }
  TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
  for (int64_t i = 0; i < rows.count; ++i) {
    const auto row = rows.row(i);
    if (validate && i > 0) {
      const auto before = rows.row(i - 1);
      if (!std::lexicographical_compare(before.begin(), before.end(), row.begin(), row.end())) {
        return invalid_argument("indices[", i, "] is out of order or repeated");
      }
    }
    int64_t group = 0;
    for (int axis = 0; axis < groups.rank(); ++axis) {
      group = group * groups[axis] + row[static_cast<size_t>(axis)];
    }
    sets[group].insert(r.in<T>(input.first + 1)[i]);
  }
  return sets;
}

// Shapes of the inputs of a set argument.
Status check_set_input(const ShapeContext& c, SetInput input) {
  return input.dense ? c.expect_rank_at_least(input.first, 2) : check_sparse(c, input.first);
}

Status set_size_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  const PartialShape& shape = c.input(2);
  if (!shape.has_rank() || shape[0] < 0) return unknown_shape(c);
  if (shape[0] < 2) return invalid_argument("sets need a rank of 2 at least, not ", shape[0]);
  if (shape[0] - 1 > kMaxRank) return invalid_argument("a rank of ", shape[0]);
  c.set_output(0, PartialShape::unknown_of_rank(static_cast<int>(shape[0]) - 1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_set_size(Prepare& p) {
  const bool validate = p.attr<bool>("validate_indices");
  Kernel kernel;
  visit<SetTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [validate](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(const Shape groups, group_shape(r, {0, false}));
      TENON_ASSIGN_OR_RETURN(const Sets<T> sets, read_sets<T>(r, {0, false}, groups, validate));
      TENON_RETURN_IF_ERROR(r.allocate_output(0, groups));
      std::fill_n(r.out<int32_t>(0), groups.num_elements(), 0);
      for (const auto& [group, set] : sets) {
        r.out<int32_t>(0)[group] = static_cast<int32_t>(set.size());
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

enum class SetOperation : uint8_t { kFirstLess, kSecondLess, kIntersection, kUnion };

StatusOr<SetOperation> set_operation(const AttrMap& attrs) {
  std::string name = attrs.get<std::string>("set_operation");
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  if (name == "a-b") return SetOperation::kFirstLess;
  if (name == "b-a") return SetOperation::kSecondLess;
  if (name == "intersection") return SetOperation::kIntersection;
  if (name == "union") return SetOperation::kUnion;
  return invalid_argument("Invalid set_operation ", name, ".");
}

template <class T>
std::vector<T> combine_sets(SetOperation op, const std::set<T>& a, const std::set<T>& b) {
  std::vector<T> result;
  const auto out = std::back_inserter(result);
  switch (op) {
    case SetOperation::kFirstLess:
      std::ranges::set_difference(a, b, out);
      break;
    case SetOperation::kSecondLess:
      std::ranges::set_difference(b, a, out);
      break;
    case SetOperation::kIntersection:
      std::ranges::set_intersection(a, b, out);
      break;
    case SetOperation::kUnion:
      std::ranges::set_union(a, b, out);
      break;
  }
  return result;
}

// The results of all groups as a sparse tensor.
template <class T>
Status write_sets(KernelRun& r, const Shape& groups,
                  const std::map<int64_t, std::vector<T>>& results) {
  int64_t count = 0, widest = 0;
  for (const auto& [group, set] : results) {
    count += static_cast<int64_t>(set.size());
    widest = std::max(widest, static_cast<int64_t>(set.size()));
  }
  const int64_t rank = groups.rank() + 1;
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, rank}));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{count}));
  int64_t* index = r.out<int64_t>(0);
  T* value = r.out<T>(1);
  for (const auto& [group, set] : results) {
    for (size_t i = 0; i < set.size(); ++i, index += rank) {
      int64_t rest = group;
      for (int axis = groups.rank(); axis-- > 0;) {
        index[axis] = rest % groups[axis];
        rest /= groups[axis];
      }
      index[rank - 1] = static_cast<int64_t>(i);
      *value++ = set[i];
    }
  }
  std::copy(groups.dims().begin(), groups.dims().end(), r.out<int64_t>(2));
  r.out<int64_t>(2)[rank - 1] = widest;
  return absl::OkStatus();
}

template <class T>
Status run_set_operation(KernelRun& r, SetOperation op, SetInput a, SetInput b, bool validate) {
  TENON_ASSIGN_OR_RETURN(const Shape groups, group_shape(r, a));
  TENON_ASSIGN_OR_RETURN(const Shape groups_b, group_shape(r, b));
  if (!(groups == groups_b)) {
    return invalid_argument("Mismatched group shapes ", groups, " and ", groups_b);
  }
  TENON_ASSIGN_OR_RETURN(Sets<T> sets, read_sets<T>(r, a, groups, validate));
  TENON_ASSIGN_OR_RETURN(Sets<T> others, read_sets<T>(r, b, groups, validate));
  for (const auto& [group, set] : others) sets[group];
  std::map<int64_t, std::vector<T>> results;
  for (const auto& [group, set] : sets) {
    std::vector<T> result = combine_sets(op, set, others[group]);
    if (!result.empty()) results.emplace(group, std::move(result));
  }
  TENON_RETURN_IF_ERROR(write_sets(r, groups, results));
  own_elements(r, 1, a.dense ? a.first : a.first + 1);
  own_elements(r, 1, b.dense ? b.first : b.first + 1);
  return absl::OkStatus();
}

template <bool dense_a, bool dense_b>
constexpr std::pair<SetInput, SetInput> set_inputs() {
  return {SetInput{0, dense_a}, SetInput{dense_a ? 1 : 3, dense_b}};
}

template <bool dense_a, bool dense_b>
Status set_operation_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(set_operation(c.attrs()).status());
  constexpr auto kInputs = set_inputs<dense_a, dense_b>();
  TENON_RETURN_IF_ERROR(check_set_input(c, kInputs.first));
  TENON_RETURN_IF_ERROR(check_set_input(c, kInputs.second));
  const PartialShape& shape = c.input(dense_a ? 0 : 2);
  int64_t rank = !shape.has_rank() ? -1 : dense_a ? shape.rank() : shape[0];
  c.set_output(0, {-1, rank});
  c.set_output(1, {-1});
  c.set_output(2, {rank});
  return absl::OkStatus();
}

template <bool dense_a, bool dense_b>
StatusOr<Kernel> make_set_operation(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const SetOperation op, set_operation(p.attrs()));
  const bool validate = p.attr<bool>("validate_indices");
  Kernel kernel;
  visit<SetTypes>(p.output_dtype(1), [&]<class T>() {
    kernel = [op, validate](KernelRun& r) {
      constexpr auto kInputs = set_inputs<dense_a, dense_b>();
      return run_set_operation<T>(r, op, kInputs.first, kInputs.second, validate);
    };
  });
  return kernel;
}

template <bool dense_a, bool dense_b>
constexpr OpDecl set_operation_op(ArgsText inputs) {
  return {
      .inputs = inputs,
      .outputs = "result_indices: int64, result_values: T, result_shape: int64",
      .attrs =
          "set_operation: string; validate_indices: bool = true; "
          "T: {int8, int16, int32, int64, uint8, uint16, string}",
      .shape = set_operation_shape<dense_a, dense_b>,
      .gradient = not_differentiable,
      .kernels = {make_set_operation<dense_a, dense_b>},
  };
}

}  // namespace

TENON_OP(SetSize) = {
    .inputs = "set_indices: int64, set_values: T, set_shape: int64",
    .outputs = "size: int32",
    .attrs = "validate_indices: bool = true; T: {int8, int16, int32, int64, uint8, uint16, string}",
    .shape = set_size_shape,
    .gradient = not_differentiable,
    .kernels = {make_set_size},
};
TENON_OP(DenseToDenseSetOperation) = set_operation_op<true, true>("set1: T, set2: T");
TENON_OP(DenseToSparseSetOperation) = set_operation_op<true, false>(
    "set1: T, set2_indices: int64, set2_values: T, set2_shape: int64");
TENON_OP(SparseToSparseSetOperation) = set_operation_op<false, false>(
    "set1_indices: int64, set1_values: T, set1_shape: int64, set2_indices: int64, set2_values: T, "
    "set2_shape: int64");

}  // namespace tenon
