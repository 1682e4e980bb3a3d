// ParseSequenceExample, ParseSequenceExampleV2, ParseSingleSequenceExample: the context as an
// example's features, and lists of features, one a step.
#include "tenon/ops/parsing/example_parser.h"
#include "tenon/ops/parsing/feature_column.h"

namespace tenon {
namespace {

struct DenseList {
  DType dtype = DType::kInvalid;
  Shape shape;  // of a step
};

struct ListSpec {
  std::vector<DType> sparse;
  std::vector<DenseList> dense;
  std::vector<DType> ragged, ragged_splits;
  bool with_lengths = true;
};

struct ListKeys {
  std::vector<std::string_view> sparse, dense, ragged;
  std::vector<bool> may_miss;  // of dense: no list is a list of no steps
};

StatusOr<ListSpec> list_spec(const AttrMap& attrs, bool with_lengths) {
  ListSpec spec;
  spec.with_lengths = with_lengths;
  spec.sparse = attrs.get<std::vector<DType>>("feature_list_sparse_types");
  const auto& types = attrs.get<std::vector<DType>>("feature_list_dense_types");
  const auto& shapes = attrs.get<std::vector<PartialShape>>("feature_list_dense_shapes");
  if (types.size() != shapes.size()) {
    return invalid_argument("there are ", types.size(), " dense feature lists and ", shapes.size(),
                            " shapes");
  }
  for (size_t i = 0; i < types.size(); ++i) {
    if (!shapes[i].is_fully_known()) {
      return invalid_argument("feature_list_dense_shapes[", i, "] is ", shapes[i],
                              ", it must be known");
    }
    TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(shapes[i].dims(), size_of(types[i])));
    spec.dense.push_back({types[i], std::move(shape)});
  }
  if (const auto* ragged = attrs.get_if<std::vector<DType>>("feature_list_ragged_value_types")) {
    spec.ragged = *ragged;
    spec.ragged_splits = attrs.get<std::vector<DType>>("feature_list_ragged_split_types");
    if (spec.ragged.size() != spec.ragged_splits.size()) {
      return invalid_argument("there are ", spec.ragged.size(), " ragged feature lists and ",
                              spec.ragged_splits.size(), " types of splits");
    }
  }
  return spec;
}

StatusOr<ExampleSpec> context_spec(const AttrMap& attrs, int first_default) {
  return example_spec_of(attrs, first_default,
                         {"context_sparse_types", "Tcontext_dense", "context_dense_shapes",
                          "context_ragged_value_types", "context_ragged_split_types"});
}

int context_outputs(const ExampleSpec& spec) {
  return static_cast<int>(3 * spec.sparse.size() + spec.dense.size() + 2 * spec.ragged.size());
}

PartialShape batch_before(const PartialShape& batch, std::initializer_list<int64_t> more,
                          std::span<const int64_t> rest = {}) {
  if (!batch.has_rank()) return {};
  std::vector<int64_t> dims(batch.dims().begin(), batch.dims().end());
  dims.insert(dims.end(), more.begin(), more.end());
  dims.insert(dims.end(), rest.begin(), rest.end());
  return PartialShape(std::span<const int64_t>(dims));
}

void list_output_shapes(ShapeContext& c, const ListSpec& spec, const PartialShape& batch,
                        int output) {
  const auto num_sparse = static_cast<int>(spec.sparse.size());
  const int64_t width = batch.has_rank() ? 2 + batch.rank() : -1;
  for (int i = 0; i < num_sparse; ++i, ++output) {
    c.set_output(output, {-1, width});
    c.set_output(output + num_sparse, {-1});
    c.set_output(output + 2 * num_sparse, {width});
  }
  output += 2 * num_sparse;
  for (const auto& list : spec.dense) {
    c.set_output(output++, batch_before(batch, {-1}, list.shape.dims()));
  }
  for (size_t i = 0; spec.with_lengths && i < spec.dense.size(); ++i) {
    c.set_output(output++, batch);
  }
  for (size_t i = 0; i < 3 * spec.ragged.size(); ++i) c.set_output(output++, {-1});
}

class ListParser {
 public:
  ListParser(KernelRun& r, const ListSpec& spec, const ListKeys& keys, const Tensor& serialized,
             std::span<const SequenceExampleView> examples, int output)
      : r_(r),
        spec_(spec),
        keys_(keys),
        serialized_(serialized),
        examples_(examples),
        output_(output) {}

  Status parse() {
    const auto num_sparse = static_cast<int>(spec_.sparse.size());
    const auto num_dense = static_cast<int>(spec_.dense.size());
    const auto num_ragged = static_cast<int>(spec_.ragged.size());
    for (int i = 0; i < num_sparse; ++i) {
      TENON_RETURN_IF_ERROR(parse_sparse(static_cast<size_t>(i), output_ + i, num_sparse));
    }
    const int dense = output_ + 3 * num_sparse;
    for (int i = 0; i < num_dense; ++i) {
      TENON_RETURN_IF_ERROR(parse_dense(static_cast<size_t>(i), dense + i,
                                        spec_.with_lengths ? dense + num_dense + i : -1));
    }
    const int ragged = dense + (spec_.with_lengths ? 2 : 1) * num_dense;
    for (int i = 0; i < num_ragged; ++i) {
      TENON_RETURN_IF_ERROR(parse_ragged(static_cast<size_t>(i), ragged + i, num_ragged));
    }
    return absl::OkStatus();
  }

 private:
  // All values of a list, how many steps there are up to each example, and values up to each step.
  struct Collected {
    explicit Collected(DType dtype) : column(dtype) {}
    FeatureColumn column;
    std::vector<int64_t> example_ends, step_ends;
  };

  bool single() const { return serialized_.rank() == 0; }
  static std::string list_place(std::string_view key, size_t example, size_t step) {
    return cat("Name: ", key, ", Index: ", example, ", step ", step);
  }

  Status collect(std::string_view key, Collected& all) const {
    for (size_t i = 0; i < examples_.size(); ++i) {
      if (const std::vector<FeatureView>* steps = examples_[i].find(key)) {
        for (size_t step = 0; step < steps->size(); ++step) {
          const FeatureView& feature = (*steps)[step];
          if (feature.kind() != FeatureKind::kNone) {
            if (Status status = all.column.append(feature); !status.ok()) {
              return with_context(status, list_place(key, i, step));
            }
          }
          all.step_ends.push_back(all.column.size());
        }
      }
      all.example_ends.push_back(static_cast<int64_t>(all.step_ends.size()));
    }
    return absl::OkStatus();
  }

  // Calls `step(example, step of the example, first value, number of values)`.
  template <class Step>
  void for_each_step(const Collected& all, const Step& step) const {
    int64_t begin = 0;
    size_t at = 0;
    for (size_t i = 0; i < all.example_ends.size(); ++i) {
      const int64_t first = i > 0 ? all.example_ends[i - 1] : 0;
      for (; static_cast<int64_t>(at) < all.example_ends[i]; ++at) {
        step(static_cast<int64_t>(i), static_cast<int64_t>(at) - first, begin,
             all.step_ends[at] - begin);
        begin = all.step_ends[at];
      }
    }
  }

  static int64_t longest(const Collected& all) {
    int64_t most = 0, before = 0;
    for (int64_t end : all.example_ends) most = std::max(most, end - std::exchange(before, end));
    return most;
  }

  Status parse_sparse(size_t index, int output, int stride) {
    Collected all(spec_.sparse[index]);
    TENON_RETURN_IF_ERROR(collect(keys_.sparse[index], all));
    const int64_t width = single() ? 2 : 3;
    TENON_ASSIGN_OR_RETURN(Tensor indices,
                           r_.allocate(DType::kInt64, Shape{all.column.size(), width}));
    int64_t* place = indices.mutable_data<int64_t>();
    int64_t widest = 0;
    for_each_step(all, [&](int64_t example, int64_t step, int64_t, int64_t count) {
      widest = std::max(widest, count);
      for (int64_t k = 0; k < count; ++k) {
        if (!single()) *place++ = example;
        *place++ = step;
        *place++ = k;
      }
    });
    std::vector<int64_t> shape{longest(all), widest};
    if (!single()) shape.insert(shape.begin(), static_cast<int64_t>(examples_.size()));
    TENON_ASSIGN_OR_RETURN(Tensor values,
                           all.column.to_tensor(r_, Shape{all.column.size()}, {&serialized_, 1}));
    r_.set_output(output, std::move(indices));
    r_.set_output(output + stride, std::move(values));
    r_.set_output(output + 2 * stride, Tensor::vector<int64_t>(shape));
    return absl::OkStatus();
  }

  Status parse_dense(size_t index, int output, int lengths_output) {
    const DenseList& list = spec_.dense[index];
    const std::string_view key = keys_.dense[index];
    const int64_t elements = list.shape.num_elements();
    for (size_t i = 0; i < examples_.size(); ++i) {
      if (!examples_[i].find(key) && !keys_.may_miss[index]) {
        return invalid_argument("Name: ", key, ", Index: ", i,
                                ". Feature list is required but could not be found.");
      }
    }
    Collected all(list.dtype);
    TENON_RETURN_IF_ERROR(collect(key, all));
    Status bad;
    for_each_step(all, [&](int64_t example, int64_t step, int64_t, int64_t count) {
      if (count == elements || !bad.ok()) return;
      bad = invalid_argument(
          list_place(key, static_cast<size_t>(example), static_cast<size_t>(step)), ". Number of ",
          list.dtype, " values != expected: ", count, " and ", elements);
    });
    TENON_RETURN_IF_ERROR(bad);
    return store_dense(list, all, output, lengths_output);
  }

  // Examples with fewer steps than the longest are filled up with zeros.
  Status store_dense(const DenseList& list, const Collected& all, int output, int lengths_output) {
    const int64_t steps = longest(all), elements = list.shape.num_elements();
    TENON_ASSIGN_OR_RETURN(const int64_t padded, multiply_dims(steps, elements));
    std::vector<int64_t> dims, lengths;
    if (!single()) dims.push_back(static_cast<int64_t>(examples_.size()));
    dims.push_back(steps);
    dims.insert(dims.end(), list.shape.dims().begin(), list.shape.dims().end());
    TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(list.dtype)));
    FeatureColumn column(list.dtype);
    int64_t before = 0;
    for (int64_t end : all.example_ends) {
      column.append(all.column, before * elements, (end - before) * elements);
      column.append_zeros(padded - (end - before) * elements);
      lengths.push_back(end - before);
      before = end;
    }
    TENON_ASSIGN_OR_RETURN(Tensor values, column.to_tensor(r_, shape, {&serialized_, 1}));
    r_.set_output(output, std::move(values));
    if (lengths_output < 0) return absl::OkStatus();
    r_.set_output(lengths_output, single() ? Tensor::scalar<int64_t>(lengths[0])
                                           : Tensor::vector<int64_t>(lengths));
    return absl::OkStatus();
  }

  Status parse_ragged(size_t index, int output, int stride) {
    Collected all(spec_.ragged[index]);
    TENON_RETURN_IF_ERROR(collect(keys_.ragged[index], all));
    TENON_ASSIGN_OR_RETURN(Tensor values,
                           all.column.to_tensor(r_, Shape{all.column.size()}, {&serialized_, 1}));
    r_.set_output(output, std::move(values));
    const DType dtype = spec_.ragged_splits[index];
    // One example has no outer splits.
    TENON_RETURN_IF_ERROR(set_splits(output + stride, dtype, all.example_ends, /*empty=*/single()));
    return set_splits(output + 2 * stride, dtype, all.step_ends, false);
  }

  Status set_splits(int output, DType dtype, std::span<const int64_t> ends, bool empty) {
    const int64_t count = empty ? 0 : static_cast<int64_t>(ends.size()) + 1;
    TENON_ASSIGN_OR_RETURN(Tensor splits, r_.allocate(dtype, Shape{count}));
    visit<IndexTypes>(dtype, [&]<class T>() {
      T* place = splits.mutable_data<T>();
      if (!empty) *place++ = 0;
      for (size_t i = 0; !empty && i < ends.size(); ++i) *place++ = static_cast<T>(ends[i]);
    });
    r_.set_output(output, std::move(splits));
    return absl::OkStatus();
  }

  KernelRun& r_;
  const ListSpec& spec_;
  const ListKeys& keys_;
  const Tensor& serialized_;
  const std::span<const SequenceExampleView> examples_;
  const int output_;  // the first one
};

Status parse_sequences(KernelRun& r, const ExampleSpec& context, const ExampleKeys& context_keys,
                       const ListSpec& lists, const ListKeys& list_keys) {
  if (list_keys.sparse.size() != lists.sparse.size() ||
      list_keys.dense.size() != lists.dense.size() ||
      list_keys.ragged.size() != lists.ragged.size() ||
      list_keys.may_miss.size() != lists.dense.size()) {
    return invalid_argument("the numbers of keys of feature lists differ from those declared");
  }
  const Tensor serialized = r.input(0).keep();
  const auto records = serialized.span<std::string_view>();
  std::vector<SequenceExampleView> examples(records.size());
  std::vector<const ExampleView*> contexts;
  for (size_t i = 0; i < records.size(); ++i) {
    if (Status status = examples[i].decode(records[i]); !status.ok()) {
      return with_context(status, cat("Could not parse example input ", i));
    }
    contexts.push_back(&examples[i].context());
  }
  TENON_RETURN_IF_ERROR(parse_features(r, context, context_keys, serialized, contexts));
  return ListParser(r, lists, list_keys, serialized, examples, context_outputs(context)).parse();
}

Status sequence_shapes(ShapeContext& c, int first_default, bool with_lengths,
                       const PartialShape& batch) {
  TENON_ASSIGN_OR_RETURN(const ExampleSpec context, context_spec(c.attrs(), first_default));
  TENON_ASSIGN_OR_RETURN(const ListSpec lists, list_spec(c.attrs(), with_lengths));
  const size_t of_lists = 3 * lists.sparse.size() + (with_lengths ? 2 : 1) * lists.dense.size() +
                          3 * lists.ragged.size();
  if (c.num_outputs() != context_outputs(context) + static_cast<int>(of_lists)) {
    return invalid_argument("the numbers of features and of their dtypes differ");
  }
  TENON_RETURN_IF_ERROR(example_output_shapes(c, context, batch));
  list_output_shapes(c, lists, batch, context_outputs(context));
  return absl::OkStatus();
}

std::vector<bool> contained_in(std::span<const std::string_view> keys,
                               std::span<const std::string_view> set) {
  std::vector<bool> found;
  for (std::string_view key : keys) {
    found.push_back(std::find(set.begin(), set.end(), key) != set.end());
  }
  return found;
}

// Version 1: keys are attributes.
Status sequence_shape_v1(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  const PartialShape& batch = c.input(0);
  return sequence_shapes(c, 2, true, batch.has_rank() ? batch : PartialShape{-1});
}

StatusOr<Kernel> make_sequence_v1(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(ExampleSpec context, context_spec(p.attrs(), 2));
  TENON_ASSIGN_OR_RETURN(ListSpec lists, list_spec(p.attrs(), true));
  const AttrMap attrs = p.attrs();
  return Kernel([=](KernelRun& r) {
    const auto keys = [&](std::string_view name) {
      const auto& texts = attrs.get<std::vector<std::string>>(name);
      return std::vector<std::string_view>(texts.begin(), texts.end());
    };
    const ExampleKeys context_keys{keys("context_sparse_keys"), keys("context_dense_keys"), {}};
    ListKeys list_keys{keys("feature_list_sparse_keys"), keys("feature_list_dense_keys"), {}, {}};
    list_keys.may_miss =
        contained_in(list_keys.dense, keys("feature_list_dense_missing_assumed_empty"));
    return parse_sequences(r, context, context_keys, lists, list_keys);
  });
}

// Version 2: keys are inputs 2 to 7, then which dense lists may miss.
constexpr int kFirstSequenceDefaultV2 = 9;

Status sequence_shape_v2(ShapeContext& c) {
  const PartialShape& batch = c.input(0);
  if (batch.has_rank() && batch.rank() > 1) {
    return invalid_argument("serialized must be a scalar or a vector, its shape is ", batch);
  }
  return sequence_shapes(c, kFirstSequenceDefaultV2, true, batch);
}

StatusOr<Kernel> make_sequence_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(ExampleSpec context, context_spec(p.attrs(), kFirstSequenceDefaultV2));
  TENON_ASSIGN_OR_RETURN(ListSpec lists, list_spec(p.attrs(), true));
  return Kernel([context = std::move(context), lists = std::move(lists)](KernelRun& r) {
    ExampleKeys context_keys;
    append_keys(r.input(2), context_keys.sparse);
    append_keys(r.input(3), context_keys.dense);
    append_keys(r.input(4), context_keys.ragged);
    ListKeys list_keys;
    append_keys(r.input(5), list_keys.sparse);
    append_keys(r.input(6), list_keys.dense);
    append_keys(r.input(7), list_keys.ragged);
    const auto may_miss = r.input(8).span<bool>();
    list_keys.may_miss.assign(may_miss.begin(), may_miss.end());
    return parse_sequences(r, context, context_keys, lists, list_keys);
  });
}

struct SingleInputs {
  int context_sparse, context_dense, list_sparse, list_dense, defaults;
};
SingleInputs single_inputs(const AttrMap& attrs) {
  const auto count = [&](std::string_view name) {
    return static_cast<int>(attrs.get<int64_t>(name));
  };
  SingleInputs at{};
  at.context_sparse = 2;
  at.context_dense = at.context_sparse + count("Ncontext_sparse");
  at.list_sparse = at.context_dense + count("Ncontext_dense");
  at.list_dense = at.list_sparse + count("Nfeature_list_sparse");
  at.defaults = at.list_dense + count("Nfeature_list_dense");
  return at;
}

Status single_sequence_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  return sequence_shapes(c, single_inputs(c.attrs()).defaults, false, Shape());
}

StatusOr<Kernel> make_single_sequence(Prepare& p) {
  const SingleInputs at = single_inputs(p.attrs());
  TENON_ASSIGN_OR_RETURN(ExampleSpec context, context_spec(p.attrs(), at.defaults));
  TENON_ASSIGN_OR_RETURN(ListSpec lists, list_spec(p.attrs(), false));
  return Kernel([at, context = std::move(context), lists = std::move(lists)](KernelRun& r) {
    const auto keys = [&](int begin, int end) {
      std::vector<std::string_view> texts;
      for (int i = begin; i < end; ++i) append_keys(r.input(i), texts);
      return texts;
    };
    const ExampleKeys context_keys{
        keys(at.context_sparse, at.context_dense), keys(at.context_dense, at.list_sparse), {}};
    ListKeys list_keys{
        keys(at.list_sparse, at.list_dense), keys(at.list_dense, at.defaults), {}, {}};
    list_keys.may_miss = contained_in(list_keys.dense, r.input(1).span<std::string_view>());
    return parse_sequences(r, context, context_keys, lists, list_keys);
  });
}

constexpr OpDecl sequence_op(ArgsText inputs, ArgsText outputs, AttrsText attrs, ShapeFn shape,
                             KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

#define TENON_SEQUENCE_COUNTS                                     \
  "Ncontext_sparse: int >= 0 = 0; Ncontext_dense: int >= 0 = 0; " \
  "Nfeature_list_sparse: int >= 0 = 0; Nfeature_list_dense: int >= 0 = 0; "
#define TENON_SEQUENCE_TYPES                                            \
  "context_sparse_types: list({float, int64, string}) >= 0 = []; "      \
  "Tcontext_dense: list({float, int64, string}) >= 0 = []; "            \
  "feature_list_dense_types: list({float, int64, string}) >= 0 = []; "  \
  "context_dense_shapes: list(shape) >= 0 = []; "                       \
  "feature_list_sparse_types: list({float, int64, string}) >= 0 = []; " \
  "feature_list_dense_shapes: list(shape) >= 0 = []"
#define TENON_SEQUENCE_CONTEXT_OUTPUTS                \
  "context_sparse_indices: Ncontext_sparse * int64, " \
  "context_sparse_values: context_sparse_types, "     \
  "context_sparse_shapes: Ncontext_sparse * int64, context_dense_values: Tcontext_dense, "
#define TENON_SEQUENCE_LIST_OUTPUTS                             \
  "feature_list_sparse_indices: Nfeature_list_sparse * int64, " \
  "feature_list_sparse_values: feature_list_sparse_types, "     \
  "feature_list_sparse_shapes: Nfeature_list_sparse * int64, "  \
  "feature_list_dense_values: feature_list_dense_types"

}  // namespace

TENON_OP(ParseSequenceExample) =
    sequence_op("serialized: string, debug_name: string, context_dense_defaults: Tcontext_dense",
                TENON_SEQUENCE_CONTEXT_OUTPUTS TENON_SEQUENCE_LIST_OUTPUTS
                ", feature_list_dense_lengths: Nfeature_list_dense * int64",
                "feature_list_dense_missing_assumed_empty: list(string) >= 0; "
                "context_sparse_keys: list(string) >= 0; context_dense_keys: list(string) >= 0; "
                "feature_list_sparse_keys: list(string) >= 0; feature_list_dense_keys: "
                "list(string) >= 0; " TENON_SEQUENCE_COUNTS TENON_SEQUENCE_TYPES,
                sequence_shape_v1, make_sequence_v1);

TENON_OP(ParseSequenceExampleV2) = sequence_op(
    "serialized: string, debug_name: string, context_sparse_keys: string, "
    "context_dense_keys: string, context_ragged_keys: string, feature_list_sparse_keys: string, "
    "feature_list_dense_keys: string, feature_list_ragged_keys: string, "
    "feature_list_dense_missing_assumed_empty: bool, context_dense_defaults: Tcontext_dense",
    TENON_SEQUENCE_CONTEXT_OUTPUTS
    "context_ragged_values: context_ragged_value_types, "
    "context_ragged_row_splits: context_ragged_split_types, " TENON_SEQUENCE_LIST_OUTPUTS
    ", feature_list_dense_lengths: Nfeature_list_dense * int64, "
    "feature_list_ragged_values: feature_list_ragged_value_types, "
    "feature_list_ragged_outer_splits: feature_list_ragged_split_types, "
    "feature_list_ragged_inner_splits: feature_list_ragged_split_types",
    "Ncontext_sparse: int >= 0 = 0; "
    "context_ragged_value_types: list({float, int64, string}) >= 0 = []; "
    "context_ragged_split_types: list({int32, int64}) >= 0 = []; "
    "Nfeature_list_sparse: int >= 0 = 0; Nfeature_list_dense: int >= 0 = 0; "
    "feature_list_ragged_value_types: list({float, int64, string}) >= 0 = []; "
    "feature_list_ragged_split_types: list({int32, int64}) >= 0 = []; " TENON_SEQUENCE_TYPES,
    sequence_shape_v2, make_sequence_v2);

TENON_OP(ParseSingleSequenceExample) = sequence_op(
    "serialized: string, feature_list_dense_missing_assumed_empty: string, "
    "context_sparse_keys: Ncontext_sparse * string, "
    "context_dense_keys: Ncontext_dense * string, "
    "feature_list_sparse_keys: Nfeature_list_sparse * string, "
    "feature_list_dense_keys: Nfeature_list_dense * string, "
    "context_dense_defaults: Tcontext_dense, debug_name: string",
    TENON_SEQUENCE_CONTEXT_OUTPUTS TENON_SEQUENCE_LIST_OUTPUTS,
    TENON_SEQUENCE_COUNTS TENON_SEQUENCE_TYPES, single_sequence_shape, make_single_sequence);

#undef TENON_SEQUENCE_COUNTS
#undef TENON_SEQUENCE_TYPES
#undef TENON_SEQUENCE_CONTEXT_OUTPUTS
#undef TENON_SEQUENCE_LIST_OUTPUTS

}  // namespace tenon
