// SerializeSparse, SerializeManySparse, DeserializeSparse, DeserializeManySparse: sparse tensors as
// elements of a string tensor (TensorProto messages) or a variant tensor, three to each: indices,
// values, dense shape.
#include "tenon/core/tensor_message.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

// A tensor as an element of another. Immutable.
class TensorObject final : public Object {
 public:
  explicit TensorObject(Tensor tensor) : tensor(std::move(tensor)) {}
  static constexpr std::string_view kTypeName = "Tensor";
  std::string_view type_name() const override { return kTypeName; }
  const Tensor tensor;
};

// --- writing ---

// Element `index` of the output, which is of strings or variants.
class SerializedWriter {
 public:
  SerializedWriter(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
    if (dtype_ == DType::kVariant) variants_ = Tensor(dtype_, shape_);
    if (dtype_ == DType::kString) texts_.resize(static_cast<size_t>(shape_.num_elements()));
  }
  void set(int64_t index, const Tensor& tensor) {
    if (dtype_ == DType::kString) {
      append_tensor(texts_[static_cast<size_t>(index)], tensor);
    } else {
      variants_.mutable_data<Ref<Object>>()[index] = Ref<Object>(new TensorObject(tensor.keep()));
    }
  }
  Tensor build() const {
    return dtype_ == DType::kString ? Tensor::strings(shape_, texts_) : variants_;
  }

 private:
  DType dtype_;
  Shape shape_;
  Tensor variants_;
  std::vector<std::string> texts_;
};

Status serialize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  c.set_output(0, Shape{3});
  return absl::OkStatus();
}

StatusOr<Kernel> make_serialize(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) {
    SerializedWriter writer(dtype, Shape{3});
    for (int i = 0; i < 3; ++i) writer.set(i, r.input(i));
    r.set_output(0, writer.build());
    return absl::OkStatus();
  });
}

Status serialize_many_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  const Tensor* shape = c.constant(2);
  c.set_output(0, {shape && shape->num_elements() > 0 ? integer_at(*shape, 0) : -1, 3});
  return absl::OkStatus();
}

// Row i of the dense shape as a sparse tensor of one dimension less.
StatusOr<Kernel> make_serialize_many(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    const Coordinates places(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape dense, dense_shape(r.input(2)));
    TENON_RETURN_IF_ERROR(check_bounds(places, dense));
    if (dense.rank() < 2) {
      return invalid_argument("Rank of input SparseTensor should be > 1, but saw rank: ",
                              dense.rank());
    }
    TENON_RETURN_IF_ERROR(Shape::make({{dense[0], int64_t{3}}}, size_of(dtype)).status());
    SerializedWriter writer(dtype, Shape{dense[0], 3});
    std::vector<int64_t> inner(dense.dims().begin() + 1, dense.dims().end());
    const Tensor shape = Tensor::vector<int64_t>(inner);
    int64_t next = 0;
    for (int64_t row = 0; row < dense[0]; ++row) {
      const int64_t begin = next;
      std::vector<int64_t> rest;
      for (; next < places.count && places.row(next)[0] == row; ++next) {
        rest.insert(rest.end(), places.row(next).begin() + 1, places.row(next).end());
      }
      writer.set(3 * row, Tensor::from<int64_t>(Shape{next - begin, dense.rank() - 1}, rest));
      writer.set(3 * row + 1, r.input(1).slice(begin, next - begin));
      writer.set(3 * row + 2, shape);
    }
    if (next != places.count) return invalid_argument("indices must be in order of their rows");
    r.set_output(0, writer.build());
    return absl::OkStatus();
  });
}

// --- reading ---

Status deserialize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  const PartialShape& x = c.input(0);
  if (x.has_rank() && x[x.rank() - 1] >= 0 && x[x.rank() - 1] != 3) {
    return invalid_argument("Serialized sparse should have 3 as the last dimension, its shape is ",
                            x);
  }
  c.set_output(0, {-1, -1});
  c.set_output(1, {-1});
  c.set_output(2, {-1});
  return absl::OkStatus();
}
Status deserialize_many_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  return deserialize_shape(c);
}

StatusOr<Tensor> serialized_at(const Tensor& serialized, int64_t index) {
  if (serialized.dtype() == DType::kString) {
    return parse_tensor(serialized.data<std::string_view>()[index]);
  }
  const auto* object = object_cast<TensorObject>(serialized.data<Ref<Object>>()[index].get());
  if (!object) return invalid_argument("serialized_sparse has an element that holds no tensor");
  return object->tensor;
}

struct SparseParts {
  Tensor indices, values;
  std::vector<int64_t> shape;
};

StatusOr<SparseParts> sparse_at(const Tensor& serialized, int64_t index, DType dtype) {
  SparseParts parts;
  TENON_ASSIGN_OR_RETURN(parts.indices, serialized_at(serialized, 3 * index));
  TENON_ASSIGN_OR_RETURN(parts.values, serialized_at(serialized, 3 * index + 1));
  TENON_ASSIGN_OR_RETURN(const Tensor shape, serialized_at(serialized, 3 * index + 2));
  if (parts.indices.dtype() != DType::kInt64 || parts.indices.rank() != 2 ||
      shape.dtype() != DType::kInt64 || shape.rank() != 1 || parts.values.rank() != 1) {
    return invalid_argument("element ", index, " is not of indices, values and a dense shape");
  }
  if (parts.values.dtype() != dtype) {
    return invalid_argument("Requested SparseTensor of type ", dtype, " but SparseTensor[", index,
                            "].values.dtype() == ", parts.values.dtype());
  }
  parts.shape = integers_of(shape);
  if (parts.indices.dim(0) != parts.values.dim(0) ||
      parts.indices.dim(1) != static_cast<int64_t>(parts.shape.size())) {
    return invalid_argument("element ", index, " has indices ", parts.indices.shape(), ", values ",
                            parts.values.shape(), " and a dense shape of rank ",
                            parts.shape.size());
  }
  return parts;
}

StatusOr<Tensor> joined_values(std::span<const SparseParts> all, DType dtype, int64_t count) {
  if (dtype == DType::kString) {
    StringTensorBuilder builder(Shape{count});
    int64_t at = 0;
    for (const SparseParts& one : all) {
      builder.share(one.values);
      for (std::string_view text : one.values.span<std::string_view>())
        builder.set_view(at++, text);
    }
    return std::move(builder).build();
  }
  if (is_object(dtype)) return unimplemented("sparse tensors of ", dtype, " are not stacked");
  TENON_ASSIGN_OR_RETURN(Tensor values, Tensor::allocate(dtype, Shape{count}));
  char* to = static_cast<char*>(values.mutable_raw());
  for (const SparseParts& one : all) {
    if (one.values.num_bytes() > 0) std::memcpy(to, one.values.raw(), one.values.num_bytes());
    to += one.values.num_bytes();
  }
  return values;
}

// Sparse tensors of one rank under the dimensions of `serialized` but its last.
Status stack_sparse(KernelRun& r, DType dtype) {
  const Tensor& serialized = r.input(0);
  const int batch = serialized.rank() - 1;
  const int64_t count = serialized.num_elements() / 3;
  if (count == 0) return invalid_argument("Must have at least 1 serialized SparseTensor");
  std::vector<SparseParts> all;
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    TENON_ASSIGN_OR_RETURN(SparseParts parts, sparse_at(serialized, i, dtype));
    total += parts.values.dim(0);
    all.push_back(std::move(parts));
    if (all[0].shape.size() != all.back().shape.size()) {
      return invalid_argument(
          "Inconsistent rank across SparseTensors: rank prior to "
          "SparseTensor[",
          i, "] was: ", all[0].shape.size(), " but rank of it is: ", all.back().shape.size());
    }
  }
  std::vector<int64_t> shape(serialized.shape().dims().begin(),
                             serialized.shape().dims().begin() + batch);
  const size_t rank = all[0].shape.size();
  for (size_t axis = 0; axis < rank; ++axis) {
    int64_t most = 0;
    for (const SparseParts& one : all) most = std::max(most, one.shape[axis]);
    shape.push_back(most);
  }
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{total, static_cast<int64_t>(shape.size())}));
  int64_t* to = r.out<int64_t>(0);
  for (int64_t i = 0; i < count; ++i) {
    const Tensor& indices = all[static_cast<size_t>(i)].indices;
    for (int64_t row = 0; row < indices.dim(0); ++row) {
      int64_t rest = i;
      for (int axis = batch - 1; axis >= 0; --axis) {
        to[axis] = rest % serialized.dim(axis);
        rest /= serialized.dim(axis);
      }
      to =
          std::copy_n(indices.data<int64_t>() + row * static_cast<int64_t>(rank), rank, to + batch);
    }
  }
  TENON_ASSIGN_OR_RETURN(Tensor values, joined_values(all, dtype, total));
  r.set_output(1, std::move(values));
  r.set_output(2, Tensor::vector<int64_t>(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_deserialize(Prepare& p) {
  return Kernel([dtype = p.output_dtype(1)](KernelRun& r) { return stack_sparse(r, dtype); });
}

constexpr OpDecl serialize_op(ArgsText inputs, ArgsText outputs, AttrsText attrs, ShapeFn shape,
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

#define TENON_SPARSE_OUTPUTS "sparse_indices: int64, sparse_values: dtype, sparse_shape: int64"

}  // namespace

TENON_OP(SerializeSparse) = serialize_op(
    "sparse_indices: int64, sparse_values: T, sparse_shape: int64", "serialized_sparse: out_type",
    "T: type; out_type: {string, variant} = string", serialize_shape, make_serialize);
TENON_OP(SerializeManySparse) = serialize_op(
    "sparse_indices: int64, sparse_values: T, sparse_shape: int64", "serialized_sparse: out_type",
    "T: type; out_type: {string, variant} = string", serialize_many_shape, make_serialize_many);
TENON_OP(DeserializeSparse) = serialize_op("serialized_sparse: Tserialized", TENON_SPARSE_OUTPUTS,
                                           "dtype: type; Tserialized: {string, variant} = string",
                                           deserialize_shape, make_deserialize);
TENON_OP(DeserializeManySparse) = serialize_op("serialized_sparse: string", TENON_SPARSE_OUTPUTS,
                                               "dtype: type", deserialize_many_shape,
                                               make_deserialize);

#undef TENON_SPARSE_OUTPUTS

}  // namespace tenon
