// RaggedCross: every combination of the features of each row of ragged, sparse and dense columns.
#include "tenon/ops/sparse/coordinates.h"
#include "tenon/ops/sparse/feature_cross.h"

namespace tenon {
namespace {

// Inputs: values of the ragged columns, their splits, indices, values and shapes of the sparse
// ones, the dense ones. `order` has an R, S or D for each column.
struct RaggedCrossSpec {
  int ragged = 0, sparse = 0, dense = 0;
  std::string order;
  CrossSpec how;
};

StatusOr<RaggedCrossSpec> ragged_cross_spec(const AttrMap& attrs) {
  RaggedCrossSpec spec;
  const auto count = [&](std::string_view name) {
    return static_cast<int>(attrs.get<std::vector<DType>>(name).size());
  };
  spec.ragged = count("ragged_values_types");
  spec.sparse = static_cast<int>(attrs.get<int64_t>("Nsparse"));
  spec.dense = count("dense_types");
  spec.order = attrs.get<std::string>("input_order");
  spec.how.hashed = attrs.get<bool>("hashed_output");
  spec.how.buckets = attrs.get<int64_t>("num_buckets");
  spec.how.key = static_cast<uint64_t>(attrs.get<int64_t>("hash_key"));
  const auto in_order = [&](char kind) {
    return static_cast<int>(std::count(spec.order.begin(), spec.order.end(), kind));
  };
  if (count("ragged_splits_types") != spec.ragged || count("sparse_values_types") != spec.sparse ||
      in_order('R') != spec.ragged || in_order('S') != spec.sparse || in_order('D') != spec.dense ||
      static_cast<int>(spec.order.size()) != spec.ragged + spec.sparse + spec.dense) {
    return invalid_argument("input_order '", spec.order, "' does not fit ", spec.ragged,
                            " ragged, ", spec.sparse, " sparse and ", spec.dense, " dense columns");
  }
  if (spec.how.hashed != (attrs.get<DType>("out_values_type") == DType::kInt64)) {
    return invalid_argument("hashed_output goes with out_values_type int64, others with string");
  }
  return spec;
}

Status ragged_cross_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const RaggedCrossSpec spec, ragged_cross_spec(c.attrs()));
  for (int i = 0; i < 2 * spec.ragged; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  const int indices = 2 * spec.ragged;
  for (int i = 0; i < spec.sparse; ++i) {
    TENON_RETURN_IF_ERROR(check_coordinates(c, indices + i, indices + 2 * spec.sparse + i));
    TENON_RETURN_IF_ERROR(c.expect_rank(indices + spec.sparse + i, 1));
    const PartialShape& shape = c.input(indices + i);
    const PartialShape& values = c.input(indices + spec.sparse + i);
    if (shape.has_rank() && shape[1] >= 0 && shape[1] != 2) {
      return invalid_argument("sparse column ", i, " must have rank 2, it has ", shape[1]);
    }
    if (shape.has_rank() && values.has_rank() &&
        !PartialShape::merge({shape[0]}, {values[0]}).ok()) {
      return invalid_argument("sparse column ", i, " has ", shape[0], " indices and ", values[0],
                              " values");
    }
  }
  for (int i = 0; i < spec.dense; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(indices + 3 * spec.sparse + i, 2));
  }
  c.set_output(0, {-1});
  c.set_output(1, {-1});
  return absl::OkStatus();
}

StatusOr<CrossColumn> ragged_cross_column(const Tensor& values, const Tensor& splits) {
  CrossColumn column{&values, integers_of(splits)};
  if (column.begins.empty() || column.begins[0] != 0 ||
      column.begins.back() != values.num_elements() ||
      !std::is_sorted(column.begins.begin(), column.begins.end())) {
    return invalid_argument("row splits must rise from 0 to the number of values, ",
                            values.num_elements());
  }
  return column;
}

StatusOr<CrossColumn> sparse_cross_column(const Tensor& indices, const Tensor& values,
                                          const Tensor& shape) {
  const Coordinates rows(indices);
  TENON_ASSIGN_OR_RETURN(const Shape dense, dense_shape(shape));
  TENON_RETURN_IF_ERROR(check_bounds(rows, dense));
  TENON_RETURN_IF_ERROR(Shape::make({{dense[0], int64_t{8}}}).status());
  CrossColumn column{&values, std::vector<int64_t>(static_cast<size_t>(dense[0]) + 1)};
  int64_t before = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t row = rows.row(i)[0];
    if (row < before) return invalid_argument("the rows of a sparse column must be in order");
    before = row;
    ++column.begins[static_cast<size_t>(row) + 1];
  }
  for (size_t i = 1; i < column.begins.size(); ++i) column.begins[i] += column.begins[i - 1];
  return column;
}

CrossColumn dense_cross_column(const Tensor& values) {
  CrossColumn column{&values, {}};
  for (int64_t row = 0; row <= values.dim(0); ++row) {
    column.begins.push_back(row * values.dim(1));
  }
  return column;
}

Status run_ragged_cross(KernelRun& r, const RaggedCrossSpec& spec) {
  const int indices = 2 * spec.ragged, dense_inputs = indices + 3 * spec.sparse;
  int ragged = 0, sparse = 0, dense = 0;
  std::vector<CrossColumn> columns;
  for (char kind : spec.order) {
    StatusOr<CrossColumn> column = CrossColumn{};
    if (kind == 'R') {
      column = ragged_cross_column(r.input(ragged), r.input(spec.ragged + ragged));
      ++ragged;
    } else if (kind == 'S') {
      column =
          sparse_cross_column(r.input(indices + sparse), r.input(indices + spec.sparse + sparse),
                              r.input(indices + 2 * spec.sparse + sparse));
      ++sparse;
    } else {
      column = dense_cross_column(r.input(dense_inputs + dense++));
    }
    TENON_RETURN_IF_ERROR(column.status());
    if (!columns.empty() && columns[0].begins.size() != column->begins.size()) {
      return invalid_argument("columns have ", columns[0].begins.size() - 1, " and ",
                              column->begins.size() - 1, " rows");
    }
    columns.push_back(*std::move(column));
  }
  TENON_ASSIGN_OR_RETURN(const Crosses crosses, cross_features(columns, spec.how));
  r.set_output(0, crosses.values);
  TENON_RETURN_IF_ERROR(
      r.allocate_output(1, Shape{static_cast<int64_t>(crosses.counts.size()) + 1}));
  Status status;
  visit<IndexTypes>(r.output(1).dtype(), [&]<class T>() {
    if (crosses.values.num_elements() > std::numeric_limits<T>::max()) {
      status = invalid_argument("row splits of ", crosses.values.num_elements(),
                                " crosses do not fit in ", dtype_of<T>);
      return;
    }
    T* splits = r.out<T>(1);
    *splits = 0;
    for (int64_t count : crosses.counts) {
      splits[1] = static_cast<T>(splits[0] + static_cast<T>(count));
      ++splits;
    }
  });
  return status;
}

StatusOr<Kernel> make_ragged_cross(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(RaggedCrossSpec spec, ragged_cross_spec(p.attrs()));
  return Kernel([spec = std::move(spec)](KernelRun& r) { return run_ragged_cross(r, spec); });
}

}  // namespace

TENON_OP(RaggedCross) = {
    .inputs =
        "ragged_values: ragged_values_types, ragged_row_splits: ragged_splits_types, "
        "sparse_indices: Nsparse * int64, sparse_values: sparse_values_types, "
        "sparse_shape: Nsparse * int64, dense_inputs: dense_types",
    .outputs = "output_values: out_values_type, output_row_splits: out_row_splits_type",
    .attrs =
        "Nsparse: int >= 0; input_order: string; hashed_output: bool; num_buckets: int >= 0; "
        "hash_key: int; ragged_values_types: list({int64, string}) >= 0; "
        "ragged_splits_types: list({int32, int64}) >= 0; "
        "sparse_values_types: list({int64, string}) >= 0; "
        "dense_types: list({int64, string}) >= 0; out_values_type: {int64, string}; "
        "out_row_splits_type: {int32, int64}",
    .supplies_outputs = true,
    .shape = ragged_cross_shape,
    .gradient = not_differentiable,
    .kernels = {make_ragged_cross},
};

}  // namespace tenon
