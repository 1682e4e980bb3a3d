// ParseExample, ParseExampleV2, ParseSingleExample: serialized tf.Examples into tensors.
#include "tenon/core/op.h"
#include "tenon/ops/parsing/example_parser.h"

namespace tenon {
namespace {

// Inputs of the first version: serialized, names, one input for each sparse key and dense key, the
// defaults.
int first_default_v1(const AttrMap& attrs) {
  return static_cast<int>(2 + attrs.get<int64_t>("Nsparse") + attrs.get<int64_t>("Ndense"));
}

Status parse_example_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_ASSIGN_OR_RETURN(const ExampleSpec spec,
                         example_spec(c.attrs(), first_default_v1(c.attrs())));
  const PartialShape& batch = c.input(0);
  return example_output_shapes(c, spec, batch.has_rank() ? batch : PartialShape{-1});
}

StatusOr<Kernel> make_parse_example(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(ExampleSpec spec, example_spec(p.attrs(), first_default_v1(p.attrs())));
  const int first_dense = 2 + static_cast<int>(p.attr<int64_t>("Nsparse"));
  return Kernel([spec = std::move(spec), first_dense,
                 first_default = first_default_v1(p.attrs())](KernelRun& r) {
    ExampleKeys keys;
    for (int i = 2; i < first_dense; ++i) append_keys(r.input(i), keys.sparse);
    for (int i = first_dense; i < first_default; ++i) append_keys(r.input(i), keys.dense);
    return parse_examples(r, spec, keys);
  });
}

// Inputs of the second: serialized, names, sparse, dense and ragged keys, the defaults.
constexpr int kFirstDefaultV2 = 5;

Status parse_example_v2_shape(ShapeContext& c) {
  const PartialShape& batch = c.input(0);
  if (batch.has_rank() && batch.rank() > 1) {
    return invalid_argument("serialized must be a scalar or a vector, its shape is ", batch);
  }
  TENON_ASSIGN_OR_RETURN(const ExampleSpec spec, example_spec(c.attrs(), kFirstDefaultV2));
  return example_output_shapes(c, spec, batch);
}

StatusOr<Kernel> make_parse_example_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(ExampleSpec spec, example_spec(p.attrs(), kFirstDefaultV2));
  return Kernel([spec = std::move(spec)](KernelRun& r) {
    ExampleKeys keys;
    append_keys(r.input(2), keys.sparse);
    append_keys(r.input(3), keys.dense);
    append_keys(r.input(4), keys.ragged);
    return parse_examples(r, spec, keys);
  });
}

Status parse_single_example_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_ASSIGN_OR_RETURN(const ExampleSpec spec, example_spec(c.attrs(), 1));
  return example_output_shapes(c, spec, Shape());
}

StatusOr<Kernel> make_parse_single_example(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(ExampleSpec spec, example_spec(p.attrs(), 1));
  return Kernel([spec = std::move(spec), sparse = p.attr<std::vector<std::string>>("sparse_keys"),
                 dense = p.attr<std::vector<std::string>>("dense_keys")](KernelRun& r) {
    ExampleKeys keys;
    keys.sparse.assign(sparse.begin(), sparse.end());
    keys.dense.assign(dense.begin(), dense.end());
    return parse_examples(r, spec, keys);
  });
}

}  // namespace

TENON_OP(ParseExample) = {
    .inputs =
        "serialized: string, names: string, sparse_keys: Nsparse * string, "
        "dense_keys: Ndense * string, dense_defaults: Tdense",
    .outputs =
        "sparse_indices: Nsparse * int64, sparse_values: sparse_types, "
        "sparse_shapes: Nsparse * int64, dense_values: Tdense",
    .attrs =
        "Nsparse: int >= 0; Ndense: int >= 0; "
        "sparse_types: list({float, int64, string}) >= 0; "
        "Tdense: list({float, int64, string}) >= 0; dense_shapes: list(shape) >= 0",
    .supplies_outputs = true,
    .shape = parse_example_shape,
    .gradient = not_differentiable,
    .kernels = {make_parse_example},
};

TENON_OP(ParseExampleV2) = {
    .inputs =
        "serialized: string, names: string, sparse_keys: string, dense_keys: string, "
        "ragged_keys: string, dense_defaults: Tdense",
    .outputs =
        "sparse_indices: num_sparse * int64, sparse_values: sparse_types, "
        "sparse_shapes: num_sparse * int64, dense_values: Tdense, "
        "ragged_values: ragged_value_types, ragged_row_splits: ragged_split_types",
    .attrs =
        "Tdense: list({float, int64, string}) >= 0; num_sparse: int >= 0; "
        "sparse_types: list({float, int64, string}) >= 0; "
        "ragged_value_types: list({float, int64, string}) >= 0; "
        "ragged_split_types: list({int32, int64}) >= 0; dense_shapes: list(shape) >= 0",
    .supplies_outputs = true,
    .shape = parse_example_v2_shape,
    .gradient = not_differentiable,
    .kernels = {make_parse_example_v2},
};

TENON_OP(ParseSingleExample) = {
    .inputs = "serialized: string, dense_defaults: Tdense",
    .outputs =
        "sparse_indices: num_sparse * int64, sparse_values: sparse_types, "
        "sparse_shapes: num_sparse * int64, dense_values: Tdense",
    .attrs =
        "num_sparse: int >= 0; sparse_keys: list(string) >= 0; "
        "dense_keys: list(string) >= 0; sparse_types: list({float, int64, string}) >= 0; "
        "Tdense: list({float, int64, string}) >= 0; dense_shapes: list(shape) >= 0",
    .supplies_outputs = true,
    .shape = parse_single_example_shape,
    .gradient = not_differentiable,
    .kernels = {make_parse_single_example},
};

}  // namespace tenon
