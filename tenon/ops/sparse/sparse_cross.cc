// SparseCross, SparseCrossV2, SparseCrossHashed: every combination of the features of each row, one
// of each column.
#include "tenon/ops/sparse/coordinates.h"
#include "tenon/ops/sparse/feature_cross.h"

namespace tenon {
namespace {

// Inputs: indices, values and shapes of the sparse columns, then the dense columns; V2 has a
// separator behind them, the hashed one the number of buckets, whether the hash is strong, and
// salt.
struct SparseCrossSpec {
  int sparse = 0, dense = 0;
  CrossSpec how;
};

SparseCrossSpec cross_spec(const AttrMap& attrs) {
  SparseCrossSpec spec;
  spec.sparse = static_cast<int>(attrs.get<int64_t>("N"));
  spec.dense = static_cast<int>(attrs.get<std::vector<DType>>("dense_types").size());
  if (const auto* type = attrs.get_if<DType>("out_type")) {
    spec.how.hashed = *type == DType::kInt64;  // whatever hashed_output says, as TensorFlow's
    spec.how.buckets = attrs.get<int64_t>("num_buckets");
    spec.how.key = static_cast<uint64_t>(attrs.get<int64_t>("hash_key"));
  }
  return spec;
}

Status cross_shape(ShapeContext& c) {
  const SparseCrossSpec spec = cross_spec(c.attrs());
  if (static_cast<int>(c.attr<std::vector<DType>>("sparse_types").size()) != spec.sparse) {
    return invalid_argument("Invalid number of values, expected N = ", spec.sparse);
  }
  for (int i = 0; i < spec.sparse; ++i) {
    TENON_RETURN_IF_ERROR(check_coordinates(c, i, 2 * spec.sparse + i));
    TENON_RETURN_IF_ERROR(c.expect_rank(spec.sparse + i, 1));
    const PartialShape& indices = c.input(i);
    const PartialShape& values = c.input(spec.sparse + i);
    if (indices.has_rank() && values.has_rank() &&
        !PartialShape::merge({indices[0]}, {values[0]}).ok()) {
      return invalid_argument("Expected size of values to be ", indices[0], " got ", values[0],
                              " at position ", i);
    }
    if (indices.has_rank() && indices[1] >= 0 && indices[1] != 2) {
      return invalid_argument("Expected the indices to be of rank 2, got ", indices[1]);
    }
  }
  const int behind = 3 * spec.sparse + spec.dense;
  for (int i = behind; i < c.num_inputs(); ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, i == behind + 2 ? 1 : 0));
  }
  if (c.num_inputs() == behind + 3 && c.input(behind + 2).is_fully_known() &&
      c.input(behind + 2)[0] != 2) {
    return invalid_argument("Input \"salt\" must have length 2 but has length ",
                            c.input(behind + 2)[0]);
  }
  for (int i = 0; i < spec.dense; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(3 * spec.sparse + i, 2));
  }
  c.set_output(0, {-1, 2});
  c.set_output(1, {-1});
  c.set_output(2, {2});
  return absl::OkStatus();
}

StatusOr<std::vector<CrossColumn>> cross_columns(const KernelRun& r, const SparseCrossSpec& spec) {
  int64_t rows = -1;
  const auto same_rows = [&](int64_t own) -> Status {
    if (rows >= 0 && own != rows) {
      return invalid_argument("Expected batch size ", rows, " got ", own);
    }
    rows = own;
    return absl::OkStatus();
  };
  std::vector<CrossColumn> columns;
  for (int i = 0; i < spec.sparse; ++i) {
    const Coordinates indices(r.input(i));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2 * spec.sparse + i)));
    TENON_RETURN_IF_ERROR(same_rows(shape[0]));
    TENON_RETURN_IF_ERROR(check_bounds(indices, shape));
    CrossColumn& column = columns.emplace_back();
    column.values = &r.input(spec.sparse + i);
    column.begins.assign(static_cast<size_t>(rows) + 1, indices.count);
    int64_t next = 0;
    for (int64_t row = 0; row < rows; ++row) {
      column.begins[static_cast<size_t>(row)] = next;
      while (next < indices.count && indices.row(next)[0] == row) ++next;
    }
    if (next != indices.count) {
      return invalid_argument("the rows of sparse column ", i, " must be in order");
    }
  }
  for (int i = 0; i < spec.dense; ++i) {
    const Tensor& values = r.input(3 * spec.sparse + i);
    TENON_RETURN_IF_ERROR(same_rows(values.dim(0)));
    CrossColumn& column = columns.emplace_back();
    column.values = &values;
    for (int64_t row = 0; row <= rows; ++row) column.begins.push_back(row * values.dim(1));
  }
  return columns;
}

Status run_cross(KernelRun& r, const SparseCrossSpec& spec, const CrossSpec& how) {
  TENON_ASSIGN_OR_RETURN(const std::vector<CrossColumn> columns, cross_columns(r, spec));
  TENON_ASSIGN_OR_RETURN(const Crosses crosses, cross_features(columns, how));
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{crosses.values.num_elements(), 2}));
  int64_t* index = r.out<int64_t>(0);
  int64_t widest = 0, row = 0;
  for (int64_t count : crosses.counts) {
    for (int64_t place = 0; place < count; ++place) {
      *index++ = row;
      *index++ = place;
    }
    widest = std::max(widest, count);
    ++row;
  }
  r.set_output(1, crosses.values);
  r.set_output(2, Tensor::vector<int64_t>({row, widest}));
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_cross(Prepare& p) {
  return Kernel(
      [spec = cross_spec(p.attrs())](KernelRun& r) { return run_cross(r, spec, spec.how); });
}

StatusOr<Kernel> make_sparse_cross_v2(Prepare& p) {
  return Kernel([spec = cross_spec(p.attrs())](KernelRun& r) {
    CrossSpec how = spec.how;
    how.separator = *r.in<std::string_view>(r.num_inputs() - 1);
    return run_cross(r, spec, how);
  });
}

StatusOr<Kernel> make_sparse_cross_hashed(Prepare& p) {
  return Kernel([spec = cross_spec(p.attrs())](KernelRun& r) {
    const int behind = 3 * spec.sparse + spec.dense;
    const int64_t* salt = r.in<int64_t>(behind + 2);
    CrossSpec how;
    how.hashed = how.by_bytes = true;
    how.buckets = *r.in<int64_t>(behind);
    how.strong = *r.in<bool>(behind + 1);
    how.salt = {static_cast<uint64_t>(salt[0]), static_cast<uint64_t>(salt[1])};
    return run_cross(r, spec, how);
  });
}

constexpr OpDecl crossing(ArgsText inputs, ArgsText outputs, AttrsText attrs,
                          KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = cross_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(SparseCross) = crossing(
    "indices: N * int64, values: sparse_types, shapes: N * int64, dense_inputs: dense_types",
    "output_indices: int64, output_values: out_type, output_shape: int64",
    "N: int >= 0; hashed_output: bool; num_buckets: int >= 0; hash_key: int; "
    "sparse_types: list({int64, string}) >= 0; dense_types: list({int64, string}) >= 0; "
    "out_type: {int64, string}; internal_type: {int64, string}",
    make_sparse_cross);

TENON_OP(SparseCrossV2) = crossing(
    "indices: N * int64, values: sparse_types, shapes: N * int64, dense_inputs: dense_types, "
    "sep: string",
    "output_indices: int64, output_values: string, output_shape: int64",
    "N: int >= 0; sparse_types: list({int64, string}) >= 0; "
    "dense_types: list({int64, string}) >= 0",
    make_sparse_cross_v2);

TENON_OP(SparseCrossHashed) = crossing(
    "indices: N * int64, values: sparse_types, shapes: N * int64, dense_inputs: dense_types, "
    "num_buckets: int64, strong_hash: bool, salt: int64",
    "output_indices: int64, output_values: int64, output_shape: int64",
    "N: int >= 0; sparse_types: list({int64, string}) >= 0; "
    "dense_types: list({int64, string}) >= 0",
    make_sparse_cross_hashed);

}  // namespace tenon
