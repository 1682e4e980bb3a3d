#include "tenon/serving/batching/batch_tensors.h"

#include <cstring>

namespace tenon::serving {
namespace {

bool same_beyond_rows(const Shape& a, const Shape& b) {
  if (a.rank() != b.rank()) return false;
  for (int i = 1; i < a.rank(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

Tensor concatenate_strings(std::span<const Tensor> parts, const Shape& shape) {
  StringTensorBuilder builder(shape);
  int64_t place = 0;
  for (const Tensor& part : parts) {
    builder.share(part);
    for (const std::string_view text : part.span<std::string_view>()) {
      builder.set_view(place++, text);
    }
  }
  return std::move(builder).build();
}

// Calls row(source, target, count) for each innermost run of elements of `from` and its place in
// `to`, as indices of elements; both have the same rank and dimension 0.
template <class Row>
void for_each_run(const Shape& from, const Shape& to, Row row) {
  const int last = from.rank() - 1;
  const int64_t length = from[last];
  const int64_t runs = length == 0 ? 0 : from.num_elements() / length;
  for (int64_t run = 0; run < runs; ++run) {
    int64_t index = run;
    int64_t target = 0;
    int64_t stride = to[last];
    for (int i = last - 1; i >= 0; --i) {
      target += index % from[i] * stride;
      index /= from[i];
      stride *= to[i];
    }
    row(run * length, target, length);
  }
}

}  // namespace

StatusOr<Tensor> concatenate_rows(std::span<const Tensor> parts) {
  std::vector<int64_t> dims(parts[0].shape().dims().begin(), parts[0].shape().dims().end());
  dims[0] = 0;
  for (const Tensor& part : parts) {
    if (part.dtype() != parts[0].dtype() || !same_beyond_rows(part.shape(), parts[0].shape())) {
      return invalid_argument("rows of ", part.dtype(), " ", part.shape(), " do not fit those of ",
                              parts[0].dtype(), " ", parts[0].shape());
    }
    if (__builtin_add_overflow(dims[0], part.dim(0), dims.data())) {
      return invalid_argument("a batch of more rows than can be counted");
    }
  }
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(parts[0].dtype())));
  if (parts[0].dtype() == DType::kString) return concatenate_strings(parts, shape);
  if (is_object(parts[0].dtype())) {
    return unimplemented("tensors of ", parts[0].dtype(), " cannot be merged");
  }
  TENON_ASSIGN_OR_RETURN(Tensor merged, Tensor::allocate(parts[0].dtype(), shape));
  char* place = static_cast<char*>(merged.mutable_raw());
  for (const Tensor& part : parts) {
    if (part.num_bytes() == 0) continue;
    std::memcpy(place, part.raw(), part.num_bytes());
    place += part.num_bytes();
  }
  return merged;
}

StatusOr<Tensor> pad_rows(const Tensor& tensor, const Shape& shape) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims[0] = tensor.dim(0);
  TENON_ASSIGN_OR_RETURN(const Shape padded, Shape::make(dims, size_of(tensor.dtype())));
  if (padded == tensor.shape()) return tensor;
  if (tensor.num_elements() == 0) {
    return invalid_argument("a tensor of shape ", tensor.shape(),
                            " has no element that it could be padded with");
  }
  if (tensor.dtype() == DType::kString) {
    StringTensorBuilder builder(padded);
    builder.share(tensor);
    const auto* source = tensor.data<std::string_view>();
    for (int64_t i = 0; i < padded.num_elements(); ++i) builder.set_view(i, source[0]);
    for_each_run(tensor.shape(), padded, [&](int64_t from, int64_t to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) builder.set_view(to + i, source[from + i]);
    });
    return std::move(builder).build();
  }
  if (is_object(tensor.dtype())) {
    return unimplemented("tensors of ", tensor.dtype(), " cannot be padded");
  }
  TENON_ASSIGN_OR_RETURN(Tensor grown, Tensor::allocate(tensor.dtype(), padded));
  const size_t size = size_of(tensor.dtype());
  const char* source = static_cast<const char*>(tensor.raw());
  char* target = static_cast<char*>(grown.mutable_raw());
  for (int64_t i = 0; i < padded.num_elements(); ++i) {
    std::memcpy(target + static_cast<size_t>(i) * size, source, size);
  }
  for_each_run(tensor.shape(), padded, [&](int64_t from, int64_t to, int64_t count) {
    std::memcpy(target + static_cast<size_t>(to) * size, source + static_cast<size_t>(from) * size,
                static_cast<size_t>(count) * size);
  });
  return grown;
}

}  // namespace tenon::serving
