#include "tenon/ops/parsing/example_parser.h"

#include "tenon/ops/parsing/feature_column.h"

namespace tenon {
namespace {

// One parse in progress.
class ExampleParser {
 public:
  // `examples` view into `serialized`.
  ExampleParser(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys, Tensor serialized,
                std::span<const ExampleView* const> examples)
      : r_(r), spec_(spec), keys_(keys), serialized_(std::move(serialized)), examples_(examples) {}

  Status parse() {
    const int num_sparse = static_cast<int>(spec_.sparse.size());
    const int num_dense = static_cast<int>(spec_.dense.size());
    const int num_ragged = static_cast<int>(spec_.ragged.size());
    for (int i = 0; i < num_sparse; ++i) {
      TENON_RETURN_IF_ERROR(parse_sparse(static_cast<size_t>(i), i, num_sparse));
    }
    for (int i = 0; i < num_dense; ++i) {
      TENON_RETURN_IF_ERROR(parse_dense(static_cast<size_t>(i), 3 * num_sparse + i));
    }
    for (int i = 0; i < num_ragged; ++i) {
      const int output = 3 * num_sparse + num_dense + i;
      TENON_RETURN_IF_ERROR(parse_ragged(static_cast<size_t>(i), output, output + num_ragged));
    }
    return absl::OkStatus();
  }

 private:
  bool single() const { return serialized_.rank() == 0; }
  int64_t count() const { return static_cast<int64_t>(examples_.size()); }

  static const FeatureView* present(const ExampleView& example, std::string_view key) {
    const FeatureView* feature = example.find(key);
    return feature && feature->kind() != FeatureKind::kNone ? feature : nullptr;
  }

  static std::string place(std::string_view key, size_t example) {
    return cat("Key: ", key, ", Index: ", example);
  }

  // All values of `key`; ends[i] is how many there are up to example i.
  Status collect(std::string_view key, FeatureColumn& column, std::vector<int64_t>& ends) const {
    for (size_t i = 0; i < examples_.size(); ++i) {
      if (const FeatureView* feature = present(*examples_[i], key)) {
        if (Status status = column.append(*feature); !status.ok()) {
          return with_context(status, place(key, i));
        }
      }
      ends.push_back(column.size());
    }
    return absl::OkStatus();
  }

  // indices, values and dense shape.
  Status parse_sparse(size_t index, int output, int stride) {
    FeatureColumn column(spec_.sparse[index]);
    std::vector<int64_t> ends;
    TENON_RETURN_IF_ERROR(collect(keys_.sparse[index], column, ends));
    const int64_t width = single() ? 1 : 2;
    TENON_ASSIGN_OR_RETURN(Tensor indices, r_.allocate(DType::kInt64, Shape{column.size(), width}));
    int64_t* place = indices.mutable_data<int64_t>();
    int64_t begin = 0, longest = 0;
    for (size_t i = 0; i < ends.size(); ++i) {
      for (int64_t k = 0; k < ends[i] - begin; ++k) {
        if (!single()) *place++ = static_cast<int64_t>(i);
        *place++ = k;
      }
      longest = std::max(longest, ends[i] - begin);
      begin = ends[i];
    }
    TENON_ASSIGN_OR_RETURN(Tensor shape, r_.allocate(DType::kInt64, Shape{width}));
    if (!single()) shape.mutable_data<int64_t>()[0] = count();
    shape.mutable_data<int64_t>()[width - 1] = longest;
    TENON_ASSIGN_OR_RETURN(Tensor values,
                           column.to_tensor(r_, Shape{column.size()}, {&serialized_, 1}));
    r_.set_output(output, std::move(indices));
    r_.set_output(output + stride, std::move(values));
    r_.set_output(output + 2 * stride, std::move(shape));
    return absl::OkStatus();
  }

  Status parse_dense(size_t index, int output) {
    const DenseFeature& feature = spec_.dense[index];
    FeatureColumn column(feature.dtype);
    const Tensor fallback = r_.input(feature.default_input).keep();
    Shape shape;
    if (!single()) shape.append(count());
    if (feature.variable_length) {
      TENON_ASSIGN_OR_RETURN(const int64_t steps, fill_padded(index, fallback, column));
      shape.append(steps);
    } else {
      TENON_RETURN_IF_ERROR(fill_fixed(index, fallback, column));
    }
    for (int axis = feature.variable_length ? 1 : 0; axis < feature.shape.rank(); ++axis) {
      shape.append(feature.shape[axis]);
    }
    const Tensor sources[] = {serialized_, fallback};
    TENON_ASSIGN_OR_RETURN(Tensor values, column.to_tensor(r_, shape, sources));
    r_.set_output(output, std::move(values));
    return absl::OkStatus();
  }

  Status fill_fixed(size_t index, const Tensor& fallback, FeatureColumn& column) const {
    const DenseFeature& feature = spec_.dense[index];
    const std::string_view key = keys_.dense[index];
    for (size_t i = 0; i < examples_.size(); ++i) {
      const FeatureView* found = present(*examples_[i], key);
      if (!found) {
        if (fallback.num_elements() != feature.elements) {
          return invalid_argument(place(key, i), ". Feature: ", key, " (data type: ", feature.dtype,
                                  ") is required but could not be found.");
        }
        column.append(fallback, feature.elements);
        continue;
      }
      const int64_t before = column.size();
      if (Status status = column.append(*found); !status.ok()) {
        return with_context(status, place(key, i));
      }
      if (column.size() - before != feature.elements) {
        return invalid_argument(place(key, i), ". Number of ", feature.dtype,
                                " values != expected. Values size: ", column.size() - before,
                                " but output shape: ", feature.shape);
      }
    }
    return absl::OkStatus();
  }

  // Examples with fewer steps than the longest are filled up. Returns the number of steps.
  StatusOr<int64_t> fill_padded(size_t index, const Tensor& fallback, FeatureColumn& column) const {
    const DenseFeature& feature = spec_.dense[index];
    const std::string_view key = keys_.dense[index];
    std::vector<FeatureColumn> each(examples_.size(), FeatureColumn(feature.dtype));
    int64_t longest = 0;
    for (size_t i = 0; i < examples_.size(); ++i) {
      const FeatureView* found = present(*examples_[i], key);
      if (!found) continue;
      if (Status status = each[i].append(*found); !status.ok()) {
        return with_context(status, place(key, i));
      }
      if (feature.elements == 0 || each[i].size() % feature.elements != 0) {
        return invalid_argument(place(key, i), ". Number of ", feature.dtype, " values (",
                                each[i].size(), ") is not a multiple of the ", feature.elements,
                                " of a step");
      }
      longest = std::max(longest, each[i].size());
    }
    for (FeatureColumn& values : each) {
      const int64_t missing = longest - values.size();
      column.append(values);
      for (int64_t k = 0; k < missing; ++k) column.append(fallback, 1);
    }
    return feature.elements == 0 ? 0 : longest / feature.elements;
  }

  Status parse_ragged(size_t index, int values_output, int splits_output) {
    FeatureColumn column(spec_.ragged[index]);
    std::vector<int64_t> ends;
    TENON_RETURN_IF_ERROR(collect(keys_.ragged[index], column, ends));
    TENON_ASSIGN_OR_RETURN(Tensor values,
                           column.to_tensor(r_, Shape{column.size()}, {&serialized_, 1}));
    r_.set_output(values_output, std::move(values));
    TENON_ASSIGN_OR_RETURN(
        Tensor splits, r_.allocate(spec_.ragged_splits[index], Shape{single() ? 0 : count() + 1}));
    if (!single()) {
      visit<IndexTypes>(splits.dtype(), [&]<class T>() {
        T* place = splits.mutable_data<T>();
        *place++ = 0;
        for (int64_t end : ends) *place++ = static_cast<T>(end);
      });
    }
    r_.set_output(splits_output, std::move(splits));
    return absl::OkStatus();
  }

  KernelRun& r_;
  const ExampleSpec& spec_;
  const ExampleKeys& keys_;
  const Tensor serialized_;
  const std::span<const ExampleView* const> examples_;
};

}  // namespace

StatusOr<ExampleSpec> example_spec(const AttrMap& attrs, int first_default) {
  return example_spec_of(
      attrs, first_default,
      {"sparse_types", "Tdense", "dense_shapes", "ragged_value_types", "ragged_split_types"});
}

StatusOr<ExampleSpec> example_spec_of(const AttrMap& attrs, int first_default,
                                      const ExampleAttrs& names) {
  ExampleSpec spec;
  spec.sparse = attrs.get<std::vector<DType>>(names.sparse);
  if (const auto* ragged = attrs.get_if<std::vector<DType>>(names.ragged)) {
    spec.ragged = *ragged;
    spec.ragged_splits = attrs.get<std::vector<DType>>(names.ragged_splits);
  }
  const auto& types = attrs.get<std::vector<DType>>(names.dense);
  const auto& shapes = attrs.get<std::vector<PartialShape>>(names.dense_shapes);
  if (types.size() != shapes.size() || spec.ragged.size() != spec.ragged_splits.size()) {
    return invalid_argument("there are ", types.size(), " dense features and ", shapes.size(),
                            " shapes, ", spec.ragged.size(), " ragged features and ",
                            spec.ragged_splits.size(), " types of splits");
  }
  for (size_t i = 0; i < types.size(); ++i) {
    DenseFeature feature{types[i], shapes[i], false, 1, first_default + static_cast<int>(i)};
    if (!shapes[i].has_rank()) return invalid_argument("dense_shapes[", i, "] has no rank");
    feature.variable_length = shapes[i].rank() > 0 && shapes[i][0] < 0;
    for (int axis = feature.variable_length ? 1 : 0; axis < shapes[i].rank(); ++axis) {
      if (shapes[i][axis] < 0) {
        return invalid_argument("dense_shapes[", i, "] is ", shapes[i],
                                ", only its first dimension may be unknown");
      }
      TENON_ASSIGN_OR_RETURN(feature.elements, multiply_dims(feature.elements, shapes[i][axis]));
    }
    spec.dense.push_back(std::move(feature));
  }
  return spec;
}

Status example_output_shapes(ShapeContext& c, const ExampleSpec& spec, const PartialShape& batch) {
  const int num_sparse = static_cast<int>(spec.sparse.size());
  const int64_t width = batch.has_rank() ? 1 + batch.rank() : -1;
  for (int i = 0; i < num_sparse; ++i) {
    c.set_output(i, {-1, width});
    c.set_output(num_sparse + i, {-1});
    c.set_output(2 * num_sparse + i, {width});
  }
  int output = 3 * num_sparse;
  for (const DenseFeature& feature : spec.dense) {
    PartialShape shape;
    if (batch.has_rank()) {
      std::vector<int64_t> dims(batch.dims().begin(), batch.dims().end());
      dims.insert(dims.end(), feature.shape.dims().begin(), feature.shape.dims().end());
      shape = PartialShape(std::span<const int64_t>(dims));
    }
    c.set_output(output++, std::move(shape));
  }
  for (size_t i = 0; i < spec.ragged.size(); ++i) c.set_output(output++, {-1});
  for (size_t i = 0; i < spec.ragged.size(); ++i) {
    int64_t splits = -1;
    if (batch.has_rank()) splits = batch.rank() == 0 ? 0 : batch[0] < 0 ? -1 : batch[0] + 1;
    c.set_output(output++, {splits});
  }
  return absl::OkStatus();
}

Status parse_features(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys,
                      const Tensor& serialized, std::span<const ExampleView* const> examples) {
  if (keys.sparse.size() != spec.sparse.size() || keys.dense.size() != spec.dense.size() ||
      keys.ragged.size() != spec.ragged.size()) {
    return invalid_argument("there are ", keys.sparse.size(), ", ", keys.dense.size(), " and ",
                            keys.ragged.size(), " sparse, dense and ragged keys, ",
                            spec.sparse.size(), ", ", spec.dense.size(), " and ",
                            spec.ragged.size(), " are declared");
  }
  for (const DenseFeature& feature : spec.dense) {
    const Tensor& fallback = r.input(feature.default_input);
    if (feature.variable_length && fallback.num_elements() != 1) {
      return invalid_argument("the default of a feature of variable length has ",
                              fallback.num_elements(), " elements, 1 is expected");
    }
  }
  return ExampleParser(r, spec, keys, serialized, examples).parse();
}

Status parse_examples(KernelRun& r, const ExampleSpec& spec, const ExampleKeys& keys) {
  const Tensor serialized = r.input(0).keep();
  const std::span<const std::string_view> records = serialized.span<std::string_view>();
  std::vector<ExampleView> examples(records.size());
  std::vector<const ExampleView*> pointers;
  for (size_t i = 0; i < records.size(); ++i) {
    if (Status status = examples[i].decode(records[i]); !status.ok()) {
      return with_context(status, cat("Could not parse example input ", i));
    }
    pointers.push_back(&examples[i]);
  }
  return parse_features(r, spec, keys, serialized, pointers);
}

}  // namespace tenon
