// RaggedTensorToVariant, RaggedTensorFromVariant, RaggedTensorToVariantGradient: ragged tensors, or
// their rows, as elements of a variant tensor.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// Immutable. Splits rise from 0 to the length of the level below.
class RaggedObject final : public Object {
 public:
  RaggedObject(std::vector<std::vector<int64_t>> splits, Tensor values)
      : splits(std::move(splits)), values(std::move(values)) {}
  static constexpr std::string_view kTypeName = "RaggedTensor";
  std::string_view type_name() const override { return kTypeName; }
  int64_t rows() const {
    return splits.empty() ? values.dim(0) : static_cast<int64_t>(splits[0].size()) - 1;
  }
  const std::vector<std::vector<int64_t>> splits;
  const Tensor values;
};

StatusOr<const RaggedObject*> ragged_at(const Tensor& variants, int64_t index) {
  const auto* ragged = object_cast<RaggedObject>(variants.data<Ref<Object>>()[index].get());
  if (!ragged) {
    return invalid_argument("Input Variant element at index ", index,
                            " doesn't hold a RaggedTensorVariant");
  }
  return ragged;
}

StatusOr<std::vector<std::vector<int64_t>>> checked_splits(const KernelRun& r, int levels) {
  std::vector<std::vector<int64_t>> all;
  for (int i = 0; i < levels; ++i) all.push_back(integers_of(r.input(i)));
  for (int i = 0; i < levels; ++i) {
    const auto& splits = all[static_cast<size_t>(i)];
    const int64_t below =
        i + 1 < levels ? r.input(i + 1).num_elements() - 1 : r.input(levels).dim(0);
    if (splits.empty() || splits[0] != 0 || splits.back() != below ||
        !std::is_sorted(splits.begin(), splits.end())) {
      return invalid_argument("row splits ", i, " must rise from 0 to ", below);
    }
  }
  return all;
}

Status to_variant_shape(ShapeContext& c) {
  const auto levels = static_cast<int>(c.attr<int64_t>("RAGGED_RANK"));
  for (int i = 0; i < levels; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  if (!c.attr<bool>("batched_input")) {
    TENON_RETURN_IF_ERROR(c.expect_rank_at_least(levels, levels > 0 ? 1 : 0));
    c.set_output(0, Shape());
    return absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(levels, 1));
  const PartialShape& first = c.input(0);
  const int64_t size = first.has_rank() ? first[0] : -1;
  c.set_output(0, {size < 0 || levels == 0 ? size : std::max<int64_t>(0, size - 1)});
  return absl::OkStatus();
}

// Row `row` of a ragged tensor: the levels below the first, from 0 on.
Ref<Object> ragged_row(const std::vector<std::vector<int64_t>>& splits, const Tensor& values,
                       size_t row) {
  std::vector<std::vector<int64_t>> inner;
  int64_t begin = static_cast<int64_t>(row), end = begin + 1;
  for (size_t level = 0; level < splits.size(); ++level) {
    const auto& all = splits[level];
    if (level > 0) {
      auto& part = inner.emplace_back();
      for (int64_t i = begin; i <= end; ++i) {
        part.push_back(all[static_cast<size_t>(i)] - all[static_cast<size_t>(begin)]);
      }
    }
    begin = all[static_cast<size_t>(begin)];
    end = all[static_cast<size_t>(end)];
  }
  return Ref<Object>(new RaggedObject(std::move(inner), values.slice(begin, end - begin)));
}

StatusOr<Kernel> make_to_variant(Prepare& p) {
  const auto levels = static_cast<int>(p.attr<int64_t>("RAGGED_RANK"));
  const bool batched = p.attr<bool>("batched_input");
  return Kernel([levels, batched](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(auto splits, checked_splits(r, levels));
    const Tensor values = r.input(levels).keep();
    if (!batched) {
      r.set_output(0, Tensor::object(DType::kVariant,
                                     Ref<Object>(new RaggedObject(std::move(splits), values))));
      return absl::OkStatus();
    }
    const auto rows = levels > 0 ? splits[0].size() - 1 : static_cast<size_t>(values.dim(0));
    Tensor variants(DType::kVariant, Shape{static_cast<int64_t>(rows)});
    for (size_t row = 0; row < rows; ++row) {
      auto& element = variants.mutable_data<Ref<Object>>()[row];
      if (levels > 0) {
        element = ragged_row(splits, values, row);
        continue;
      }
      // A row of a dense tensor has one dimension less.
      const Shape inner(values.shape().dims().subspan(1));
      element = Ref<Object>(
          new RaggedObject({}, values.slice(static_cast<int64_t>(row), 1).reshaped(inner)));
    }
    r.set_output(0, std::move(variants));
    return absl::OkStatus();
  });
}

// -1: what the input's rank leaves of the output's.
int64_t input_levels(const AttrMap& attrs, int rank) {
  const int64_t levels = attrs.get<int64_t>("input_ragged_rank");
  return levels >= 0 ? levels : attrs.get<int64_t>("output_ragged_rank") - rank;
}

Status check_levels(const AttrMap& attrs, int rank) {
  const int64_t input = input_levels(attrs, rank),
                output = attrs.get<int64_t>("output_ragged_rank");
  if (input < 0 || output != rank + input) {
    return invalid_argument("output_ragged_rank must be equal to input_ragged_rank + ", rank,
                            ", the rank of encoded_ragged: ", output, " and ", input);
  }
  return absl::OkStatus();
}

Status from_variant_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (x.has_rank()) TENON_RETURN_IF_ERROR(check_levels(c.attrs(), x.rank()));
  for (int i = 0; i + 1 < c.num_outputs(); ++i) c.set_output(i, {-1});
  return absl::OkStatus();
}

// The ragged tensors of `variants`, whose splits and values follow each other.
class RaggedStack {
 public:
  RaggedStack(int64_t levels, DType dtype) : splits_(static_cast<size_t>(levels)), dtype_(dtype) {
    for (auto& level : splits_) level.push_back(0);
  }

  Status add(const RaggedObject& ragged) {
    if (ragged.splits.size() != splits_.size() || ragged.values.dtype() != dtype_) {
      return invalid_argument("Encoded input RaggedTensorVariant has ragged_rank ",
                              ragged.splits.size(), " of ", ragged.values.dtype(),
                              ". Expected ragged_rank: ", splits_.size(), " of ", dtype_);
    }
    if (!parts_.empty() && inner_shape(parts_[0]) != inner_shape(ragged.values)) {
      return invalid_argument("All values must have the same shape but the first: ",
                              parts_[0].shape(), " and ", ragged.values.shape());
    }
    for (size_t level = 0; level < splits_.size(); ++level) {
      const int64_t start = splits_[level].back();
      for (size_t i = 1; i < ragged.splits[level].size(); ++i) {
        splits_[level].push_back(start + ragged.splits[level][i]);
      }
    }
    parts_.push_back(ragged.values);
    return absl::OkStatus();
  }

  const std::vector<std::vector<int64_t>>& splits() const { return splits_; }

  StatusOr<Tensor> values() const {
    Shape shape = parts_.empty() ? Shape{0} : parts_[0].shape();
    int64_t rows = 0;
    for (const Tensor& part : parts_) rows += part.dim(0);
    shape.set(0, rows);
    TENON_ASSIGN_OR_RETURN(Tensor all, Tensor::allocate(dtype_, shape));
    if (dtype_ == DType::kString) {
      StringTensorBuilder builder(shape);
      int64_t at = 0;
      for (const Tensor& part : parts_) {
        builder.share(part);
        for (std::string_view text : part.span<std::string_view>()) builder.set_view(at++, text);
      }
      return std::move(builder).build();
    }
    if (is_object(dtype_)) return unimplemented("ragged tensors of ", dtype_);
    char* to = static_cast<char*>(all.mutable_raw());
    for (const Tensor& part : parts_) {
      if (part.num_bytes() > 0) std::memcpy(to, part.raw(), part.num_bytes());
      to += part.num_bytes();
    }
    return all;
  }

 private:
  static Shape inner_shape(const Tensor& values) { return Shape(values.shape().dims().subspan(1)); }
  std::vector<std::vector<int64_t>> splits_;
  std::vector<Tensor> parts_;
  DType dtype_;
};

Status set_ragged_splits(KernelRun& r, int output, std::span<const int64_t> splits) {
  TENON_RETURN_IF_ERROR(r.allocate_output(output, Shape{static_cast<int64_t>(splits.size())}));
  visit<IndexTypes>(r.output(output).dtype(), [&]<class T>() {
    for (size_t i = 0; i < splits.size(); ++i) r.out<T>(output)[i] = static_cast<T>(splits[i]);
  });
  return absl::OkStatus();
}

// A tensor of ragged tensors has a level of splits for each of its dimensions.
Status stack_variants(KernelRun& r, int64_t levels) {
  const Tensor& variants = r.input(0);
  const int values_output = r.num_outputs() - 1;
  const DType dtype = r.output(values_output).dtype();
  RaggedStack stack(levels, dtype);
  std::vector<int64_t> rows{0};
  for (int64_t i = 0; i < variants.num_elements(); ++i) {
    TENON_ASSIGN_OR_RETURN(const RaggedObject* ragged, ragged_at(variants, i));
    if (ragged->splits.empty() && ragged->values.rank() == 0) {
      return invalid_argument("Expected values of rank 1 at least, element ", i, " has rank 0");
    }
    TENON_RETURN_IF_ERROR(stack.add(*ragged));
    rows.push_back(rows.back() + ragged->rows());
  }
  int output = 0;
  for (int axis = 0; axis + 1 < variants.rank(); ++axis) {
    const int64_t count = variants.shape().product(0, axis + 1);
    std::vector<int64_t> splits;
    for (int64_t i = 0; i <= count; ++i) splits.push_back(i * variants.dim(axis + 1));
    TENON_RETURN_IF_ERROR(set_ragged_splits(r, output++, splits));
  }
  if (variants.rank() > 0) TENON_RETURN_IF_ERROR(set_ragged_splits(r, output++, rows));
  for (const auto& splits : stack.splits()) {
    TENON_RETURN_IF_ERROR(set_ragged_splits(r, output++, splits));
  }
  TENON_ASSIGN_OR_RETURN(Tensor values, stack.values());
  r.set_output(values_output, std::move(values));
  return absl::OkStatus();
}

StatusOr<Kernel> make_from_variant(Prepare& p) {
  const int rank = p.input_shape(0).rank();
  TENON_RETURN_IF_ERROR(check_levels(p.attrs(), rank));
  const int64_t levels = input_levels(p.attrs(), rank);
  return Kernel([rank, levels](KernelRun& r) -> Status {
    if (rank > 0 || levels > 0) return stack_variants(r, levels);
    TENON_ASSIGN_OR_RETURN(const RaggedObject* ragged, ragged_at(r.input(0), 0));
    if (!ragged->splits.empty() || ragged->values.dtype() != r.output(0).dtype()) {
      return invalid_argument("the element holds a ragged tensor of rank ", ragged->splits.size(),
                              " of ", ragged->values.dtype());
    }
    r.set_output(0, ragged->values);
    return absl::OkStatus();
  });
}

// ragged_conversion_ops.py: the gradient of a conversion is the conversion back.
Status to_variant_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const int values = g.num_inputs() - 1;
  const Endpoint splits = values > 0 ? g.input(0) : b.constant(Tensor::scalar<int64_t>(0));
  g.set_dx(values,
           b.op("RaggedTensorToVariantGradient", {g.dy(), splits, b.shape_of(g.input(values))},
                {{"Tvalues", g.input_dtype(values)}}));
  return absl::OkStatus();
}

Status from_variant_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const PartialShape shape = g.input_shape(0);
  if (shape.has_rank() && shape.rank() > 1) {
    return unimplemented(
        "TensorFlow has the gradient of RaggedTensorFromVariant for scalars and "
        "vectors only, not for shape ",
        shape);
  }
  const auto levels = static_cast<int64_t>(g.num_outputs()) - 1;
  const bool batched = shape.has_rank() ? shape.rank() == 1 : levels > 0;
  std::vector<Endpoint> parts;
  for (int i = 0; i < levels; ++i) parts.push_back(g.output(i));
  parts.push_back(g.dy(static_cast<int>(levels)));
  g.set_dx(0, b.op("RaggedTensorToVariant", parts,
                   {{"RAGGED_RANK", levels},
                    {"batched_input", batched},
                    {"Tvalues", b.dtype(parts.back())},
                    {"Tsplits", g.attr<DType>("Tsplits")}}));
  return absl::OkStatus();
}

Status variant_gradient_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape shape, c.shape_from_input(2));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// Elements one after the other; zeros for one that no gradient flowed into, as many as its row.
StatusOr<Kernel> make_variant_gradient(Prepare& p) {
  if (is_object(p.output_dtype(0))) {
    return unimplemented("a gradient has no dtype ", p.output_dtype(0));
  }
  return Kernel([](KernelRun& r) -> Status {
    const Tensor& variants = r.input(0);
    const std::vector<int64_t> splits = integers_of(r.input(1));
    TENON_ASSIGN_OR_RETURN(const Shape shape,
                           Shape::make(integers_of(r.input(2)), size_of(r.output(0).dtype())));
    TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    char* to = r.out<char>(0);
    size_t left = r.output(0).num_bytes();
    std::memset(to, 0, left);
    const size_t row_bytes =
        shape.rank() == 0 || shape[0] == 0 ? left : left / static_cast<size_t>(shape[0]);
    for (int64_t i = 0; i < variants.num_elements(); ++i) {
      const auto* ragged = object_cast<RaggedObject>(variants.data<Ref<Object>>()[i].get());
      size_t bytes = 0;
      if (ragged) {
        bytes = ragged->values.num_bytes();
        if (bytes > left || ragged->values.dtype() != r.output(0).dtype()) {
          return invalid_argument("gradients of ragged rows do not fit the values' shape ", shape);
        }
        if (bytes > 0) std::memcpy(to, ragged->values.raw(), bytes);
      } else if (static_cast<size_t>(i) + 1 < splits.size()) {
        const int64_t rows = splits[static_cast<size_t>(i) + 1] - splits[static_cast<size_t>(i)];
        if (rows < 0 || (row_bytes > 0 && static_cast<size_t>(rows) > left / row_bytes)) {
          return invalid_argument("row splits do not fit the values' shape ", shape);
        }
        bytes = static_cast<size_t>(rows) * row_bytes;
      }
      to += bytes;
      left -= bytes;
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(RaggedTensorToVariant) = {
    .inputs = "rt_nested_splits: RAGGED_RANK * Tsplits, rt_dense_values: Tvalues",
    .outputs = "encoded_ragged: variant",
    .attrs =
        "RAGGED_RANK: int >= 0; Tvalues: type; Tsplits: {int32, int64} = int64; "
        "batched_input: bool",
    .supplies_outputs = true,
    .shape = to_variant_shape,
    .gradient = to_variant_gradient,
    .kernels = {make_to_variant},
};
TENON_OP(RaggedTensorFromVariant) = {
    .inputs = "encoded_ragged: variant",
    .outputs = "output_nested_splits: output_ragged_rank * Tsplits, output_dense_values: Tvalues",
    .attrs =
        "input_ragged_rank: int >= -1; output_ragged_rank: int >= 0; Tvalues: type; "
        "Tsplits: {int32, int64} = int64",
    .supplies_outputs = true,
    .shape = from_variant_shape,
    .gradient = from_variant_gradient,
    .kernels = {make_from_variant},
};
TENON_OP(RaggedTensorToVariantGradient) = {
    .inputs = "encoded_ragged_grad: variant, row_splits: Tsplits, dense_values_shape: int32",
    .outputs = "dense_values_grad: Tvalues",
    .attrs = "Tvalues: type; Tsplits: {int32, int64} = int64",
    .host_inputs = {2},
    .supplies_outputs = true,
    .shape = variant_gradient_shape,
    .gradient = not_differentiable,
    .kernels = {make_variant_gradient},
};

}  // namespace tenon
