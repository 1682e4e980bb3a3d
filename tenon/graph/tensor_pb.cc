#include "tenon/graph/tensor_pb.h"

#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/framework/tensor_shape.pb.h"

namespace tenon {
namespace {

using tensorflow::TensorProto;

// Element `i` of the *_val field that holds dtype T, as T; complex numbers take two values each.
template <class T>
auto repeated_of(const TensorProto& proto) {
  if constexpr (std::is_same_v<T, float>) {
    return proto.float_val();
  } else if constexpr (std::is_same_v<T, double>) {
    return proto.double_val();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return proto.int64_val();
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return proto.uint64_val();
  } else if constexpr (std::is_same_v<T, uint32_t>) {
    return proto.uint32_val();
  } else if constexpr (std::is_same_v<T, bool>) {
    return proto.bool_val();
  } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
    return proto.half_val();
  } else if constexpr (std::is_same_v<T, std::complex<float>>) {
    return proto.scomplex_val();
  } else if constexpr (std::is_same_v<T, std::complex<double>>) {
    return proto.dcomplex_val();
  } else {
    return proto.int_val();
  }
}

template <class T>
void fill_values(const TensorProto& proto, std::span<T> out) {
  const auto values = repeated_of<T>(proto);
  constexpr bool kPairs =
      std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;
  const size_t given = static_cast<size_t>(values.size()) / (kPairs ? 2 : 1);
  T last{};
  for (size_t i = 0; i < out.size(); ++i) {
    if (i < given) {
      const int at = static_cast<int>(i);
      if constexpr (kPairs) {
        last = T(values[2 * at], values[2 * at + 1]);
      } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
        last = T::from_bits(static_cast<uint16_t>(values[at]));
      } else {
        last = static_cast<T>(values[at]);
      }
    }
    out[i] = last;
  }
}

using StoredTypes =
    TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
             uint32_t, uint64_t, bool, std::complex<float>, std::complex<double>>;

Tensor strings_from(const TensorProto& proto, Shape shape) {
  const int64_t count = shape.num_elements();
  StringTensorBuilder builder(std::move(shape));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = std::min<int64_t>(i, proto.string_val_size() - 1);
    if (at >= 0) builder.set(i, proto.string_val(static_cast<int>(at)));
  }
  return std::move(builder).build();
}

// The dtype in whose *_val field a quantised dtype travels.
DType carrier(DType dtype) {
  switch (dtype) {
    case DType::kQint8:
      return DType::kInt8;
    case DType::kQuint8:
      return DType::kUint8;
    case DType::kQint16:
      return DType::kInt16;
    case DType::kQuint16:
      return DType::kUint16;
    case DType::kQint32:
      return DType::kInt32;
    default:
      return dtype;
  }
}

}  // namespace

StatusOr<PartialShape> shape_from_proto(const tensorflow::TensorShapeProto& proto) {
  if (proto.unknown_rank()) return PartialShape();
  if (proto.dim_size() > kMaxRank) {
    return invalid_argument("a shape has rank ", proto.dim_size(), ", at most ", kMaxRank,
                            " is possible");
  }
  std::vector<int64_t> dims;
  for (const auto& dim : proto.dim()) {
    if (dim.size() < -1) return invalid_argument("a shape has the dimension ", dim.size());
    dims.push_back(dim.size());
  }
  return PartialShape(std::span<const int64_t>(dims));
}

void shape_to_proto(const PartialShape& shape, tensorflow::TensorShapeProto& proto) {
  proto.Clear();
  if (!shape.has_rank()) return proto.set_unknown_rank(true);
  for (int64_t dim : shape.dims()) proto.add_dim()->set_size(dim);
}

StatusOr<Tensor> tensor_from_proto(const TensorProto& proto, size_t limit) {
  const auto dtype = dtype_from_enum(proto.dtype());
  if (!dtype)
    return invalid_argument("a tensor has the unknown dtype ", static_cast<int>(proto.dtype()));
  TENON_ASSIGN_OR_RETURN(const PartialShape partial, shape_from_proto(proto.tensor_shape()));
  if (!partial.is_fully_known()) {
    return invalid_argument("a tensor has the shape ", partial, ", it must be fully known");
  }
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(partial.dims(), size_of(*dtype)));
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size_of(*dtype);
  if (bytes > limit) {
    return resource_exhausted("a ", *dtype, " tensor of shape ", shape, " has ", bytes,
                              " bytes, at most ", limit, " are accepted");
  }
  if (*dtype == DType::kString) return strings_from(proto, std::move(shape));
  if (is_object(*dtype)) return unimplemented("a ", *dtype, " tensor cannot be read from a file");
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(*dtype, std::move(shape)));
  if (!proto.tensor_content().empty()) {
    if (proto.tensor_content().size() != bytes) {
      return invalid_argument("a ", *dtype, " tensor of shape ", tensor.shape(), " has ",
                              proto.tensor_content().size(), " bytes of content, ", bytes,
                              " are expected");
    }
    if (bytes > 0) std::memcpy(tensor.mutable_raw(), proto.tensor_content().data(), bytes);
    return tensor;
  }
  const bool known = visit<StoredTypes>(carrier(*dtype), [&]<class T>() {
    fill_values<T>(proto, {tensor.mutable_data<T>(), static_cast<size_t>(tensor.num_elements())});
  });
  if (!known) return unimplemented("tensors of dtype ", *dtype, " are not supported");
  return tensor;
}

void tensor_to_proto(const Tensor& tensor, TensorProto& proto) {
  proto.Clear();
  proto.set_dtype(static_cast<tensorflow::DataType>(tensor.dtype()));
  shape_to_proto(PartialShape(tensor.shape()), *proto.mutable_tensor_shape());
  if (tensor.dtype() == DType::kString) {
    for (std::string_view text : tensor.span<std::string_view>()) {
      proto.add_string_val(text.data(), text.size());
    }
  } else {
    proto.set_tensor_content(tensor.raw(), tensor.num_bytes());
  }
}

}  // namespace tenon
