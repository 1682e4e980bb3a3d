// SparseCross and SparseCrossV2: every combination of the features of each row, one of each column.
#include "tenon/ops/sparse/coordinates.h"
#include "tenon/ops/string/fingerprint.h"

namespace tenon {
namespace {

// Inputs: indices, values and shapes of the sparse columns, then the dense columns; V2 has a
// separator behind them.
struct CrossSpec {
  int sparse = 0, dense = 0;
  bool hashed = false;
  int64_t buckets = 0;
  uint64_t key = 0;
};

CrossSpec cross_spec(const AttrMap& attrs) {
  CrossSpec spec;
  spec.sparse = static_cast<int>(attrs.get<int64_t>("N"));
  spec.dense = static_cast<int>(attrs.get<std::vector<DType>>("dense_types").size());
  if (const auto* hashed = attrs.get_if<bool>("hashed_output")) {
    spec.hashed = *hashed;
    spec.buckets = attrs.get<int64_t>("num_buckets");
    spec.key = static_cast<uint64_t>(attrs.get<int64_t>("hash_key"));
  }
  return spec;
}

Status cross_shape(ShapeContext& c) {
  const CrossSpec spec = cross_spec(c.attrs());
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
  for (int i = 0; i < spec.dense; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(3 * spec.sparse + i, 2));
  }
  c.set_output(0, {-1, 2});
  c.set_output(1, {-1});
  c.set_output(2, {2});
  return absl::OkStatus();
}

// The features of one column: those of row r are elements [begins[r], begins[r + 1]).
struct CrossColumn {
  const Tensor* values;
  std::vector<int64_t> begins;
};

StatusOr<std::vector<CrossColumn>> cross_columns(const KernelRun& r, const CrossSpec& spec) {
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

uint64_t feature_fingerprint(const Tensor& values, int64_t index) {
  return values.dtype() == DType::kString ? farm_fingerprint(values.data<std::string_view>()[index])
                                          : static_cast<uint64_t>(integer_at(values, index));
}
void append_feature(const Tensor& values, int64_t index, std::string& text) {
  if (values.dtype() == DType::kString) {
    text += values.data<std::string_view>()[index];
  } else {
    text += cat(integer_at(values, index));
  }
}

// Calls `cross(row, features)` for each combination, the last column fastest; `features` has the
// element of each column.
template <class Cross>
void for_each_cross(const std::vector<CrossColumn>& columns, int64_t rows, const Cross& cross) {
  std::vector<int64_t> features(columns.size());
  for (int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<size_t>(row);
    bool none = columns.empty();
    for (size_t i = 0; i < columns.size(); ++i) {
      features[i] = columns[i].begins[at];
      none |= columns[i].begins[at] == columns[i].begins[at + 1];
    }
    while (!none) {
      cross(row, features);
      size_t i = columns.size();
      while (i > 0 && ++features[i - 1] == columns[i - 1].begins[at + 1]) {
        features[i - 1] = columns[i - 1].begins[at];
        --i;
      }
      none = i == 0;
    }
  }
}

Status run_cross(KernelRun& r, const CrossSpec& spec, std::string_view separator) {
  TENON_ASSIGN_OR_RETURN(const std::vector<CrossColumn> columns, cross_columns(r, spec));
  const int64_t rows = columns.empty() ? 0 : static_cast<int64_t>(columns[0].begins.size()) - 1;
  // Counted first: a few features a column make very many combinations.
  int64_t total = 0, widest = 0;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    int64_t count = 1;
    for (const CrossColumn& column : columns) {
      if (__builtin_mul_overflow(count, column.begins[row + 1] - column.begins[row], &count)) {
        return invalid_argument("a row has too many crosses");
      }
    }
    widest = std::max(widest, count);
    if (__builtin_add_overflow(total, count, &total)) {
      return invalid_argument("there are too many crosses");
    }
  }
  TENON_RETURN_IF_ERROR(Shape::make({{total, 2}}, sizeof(int64_t)).status());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{total, 2}));
  int64_t* index = r.out<int64_t>(0);
  std::vector<int64_t> hashes;
  std::vector<std::string> texts;
  int64_t before = -1, place = 0;
  for_each_cross(columns, rows, [&](int64_t row, const std::vector<int64_t>& features) {
    place = row == before ? place + 1 : 0;
    before = row;
    *index++ = row;
    *index++ = place;
    if (!spec.hashed) {
      std::string& text = texts.emplace_back();
      for (size_t i = 0; i < features.size(); ++i) {
        if (i > 0) text += separator;
        append_feature(*columns[i].values, features[i], text);
      }
      return;
    }
    uint64_t hash = spec.key;
    for (size_t i = 0; i < features.size(); ++i) {
      hash = combine_fingerprints(hash, feature_fingerprint(*columns[i].values, features[i]));
    }
    // Without buckets the result is made to fit a signed number.
    const auto buckets = spec.buckets > 0
                             ? static_cast<uint64_t>(spec.buckets)
                             : static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    hashes.push_back(static_cast<int64_t>(hash % buckets));
  });
  r.set_output(
      1, spec.hashed ? Tensor::vector<int64_t>(hashes) : Tensor::strings(Shape{total}, texts));
  r.set_output(2, Tensor::vector<int64_t>({rows, widest}));
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_cross(Prepare& p) {
  const CrossSpec spec = cross_spec(p.attrs());
  if (spec.hashed != (p.output_dtype(1) == DType::kInt64)) {
    return invalid_argument("hashed_output goes with out_type int64, others with string");
  }
  return Kernel([spec](KernelRun& r) { return run_cross(r, spec, "_X_"); });
}

StatusOr<Kernel> make_sparse_cross_v2(Prepare& p) {
  return Kernel([spec = cross_spec(p.attrs())](KernelRun& r) {
    const Tensor& separator = r.input(r.num_inputs() - 1);
    return run_cross(r, spec, *separator.data<std::string_view>());
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

}  // namespace tenon
