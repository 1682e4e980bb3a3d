#include "tenon/data/stack.h"

#include <algorithm>
#include <cstring>

#include "tenon/data/dataset_value.h"

namespace tenon::data {

namespace {

Status check_row(const Tensor& first, const Tensor& row) {
  if (row.dtype() == first.dtype() && row.shape() == first.shape()) return absl::OkStatus();
  return invalid_argument("rows of ", first.dtype(), first.shape(), " and ", row.dtype(),
                          row.shape(), " cannot form a batch");
}

bool can_stack(DType dtype) { return dtype == DType::kString || !is_object(dtype); }

// Values that several tensors make: ops take them out of their tensor, all at once.
Status stack_variants(std::span<const Element> rows, size_t component, const Shape& shape,
                      Tensor& batch) {
  batch = Tensor(DType::kVariant, shape);
  auto* to = batch.mutable_data<Ref<Object>>();
  for (const Element& row : rows) {
    const Tensor& variants = row[component];
    if (variants.rank() == 0 && dataset_in(variants).ok()) {
      return unimplemented("batches of datasets");
    }
    to = std::copy_n(variants.data<Ref<Object>>(), variants.num_elements(), to);
  }
  return absl::OkStatus();
}

Status stack_component(std::span<const Element> rows, size_t component, Tensor& batch) {
  const Tensor& first = rows[0][component];
  const bool variants = first.dtype() == DType::kVariant;
  if (!variants && !can_stack(first.dtype())) {
    return unimplemented("batches of ", first.dtype(), " rows");
  }
  const Shape shape = shape_of_rows(static_cast<int64_t>(rows.size()), first.shape().dims());
  for (const Element& row : rows) TENON_RETURN_IF_ERROR(check_row(first, row[component]));
  if (variants) return stack_variants(rows, component, shape, batch);
  if (first.dtype() == DType::kString) {
    StringTensorBuilder builder(shape);
    int64_t at = 0;
    for (const Element& row : rows) {
      builder.share(row[component]);
      for (std::string_view text : row[component].span<std::string_view>()) {
        builder.set_view(at++, text);
      }
    }
    batch = std::move(builder).build();
    return absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(make_room(batch, first.dtype(), shape));
  char* to = static_cast<char*>(batch.mutable_raw());
  for (const Element& row : rows) {
    if (const size_t bytes = row[component].num_bytes()) {
      std::memcpy(to, row[component].raw(), bytes);
      to += bytes;
    }
  }
  return absl::OkStatus();
}

// The shape to which all rows are filled up.
StatusOr<Shape> padded_row(std::span<const Element> rows, size_t component,
                           const PartialShape& to) {
  const Tensor& first = rows[0][component];
  Shape padded = first.shape();
  for (const Element& row : rows) {
    const Tensor& tensor = row[component];
    if (tensor.dtype() != first.dtype() || tensor.rank() != first.rank()) {
      return check_row(first, tensor);
    }
    for (int axis = 0; axis < tensor.rank(); ++axis) {
      padded.set(axis, std::max(padded[axis], tensor.dim(axis)));
    }
  }
  if (!to.has_rank()) return padded;
  if (to.rank() != padded.rank()) {
    return invalid_argument("rows of ", first.dtype(), first.shape(), " cannot be padded to ", to,
                            ": the ranks differ");
  }
  for (int axis = 0; axis < padded.rank(); ++axis) {
    if (to[axis] < 0) continue;
    if (padded[axis] > to[axis]) {
      return data_loss("a row with ", padded[axis], " elements in dimension ", axis,
                       " cannot be padded to ", to);
    }
    padded.set(axis, to[axis]);
  }
  return padded;
}

// Calls copy(from, to, count) for each run of elements that lie together in a tensor of `shape`
// and in one of `padded`, which is as large or larger in each dimension.
template <class Copy>
void for_each_run(const Shape& shape, const Shape& padded, Copy copy) {
  if (shape.num_elements() == 0) return;
  if (shape.rank() == 0) return copy(0, 0, 1);
  const int last = shape.rank() - 1;
  std::vector<int64_t> index(static_cast<size_t>(last), 0);
  for (int64_t from = 0; from < shape.num_elements(); from += shape[last]) {
    int64_t to = 0;
    for (int axis = 0; axis < last; ++axis) {
      to = (to + index[static_cast<size_t>(axis)]) * padded[axis + 1];
    }
    copy(from, to, shape[last]);
    for (int axis = last - 1; axis >= 0; --axis) {
      if (++index[static_cast<size_t>(axis)] < shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
}

void fill(Tensor& tensor, const Tensor& padding) {
  char* to = static_cast<char*>(tensor.mutable_raw());
  const size_t bytes = tensor.num_bytes(), each = size_of(tensor.dtype());
  if (bytes == 0) return;
  if (!padding.has_value()) {
    std::memset(to, 0, bytes);
    return;
  }
  for (size_t at = 0; at < bytes; at += each) std::memcpy(to + at, padding.raw(), each);
}

Status pad_texts(std::span<const Element> rows, size_t component, const Shape& padded,
                 const Shape& shape, const Tensor& padding, Tensor& batch) {
  StringTensorBuilder builder(shape);
  if (padding.has_value()) {
    builder.share(padding);
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      builder.set_view(i, *padding.data<std::string_view>());
    }
  }
  const int64_t each = padded.num_elements();
  for (size_t row = 0; row < rows.size(); ++row) {
    const Tensor& tensor = rows[row][component];
    builder.share(tensor);
    const int64_t begin = static_cast<int64_t>(row) * each;
    for_each_run(tensor.shape(), padded, [&](int64_t from, int64_t to, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        builder.set_view(begin + to + i, tensor.data<std::string_view>()[from + i]);
      }
    });
  }
  batch = std::move(builder).build();
  return absl::OkStatus();
}

}  // namespace

Shape shape_of_rows(int64_t rows, std::span<const int64_t> row) {
  Shape shape{rows};
  for (int64_t dim : row) shape.append(dim);
  return shape;
}

Status make_room(Tensor& tensor, DType dtype, const Shape& shape) {
  const size_t bytes = shape.num_bytes(size_of(dtype));
  if (!is_object(dtype) && tensor.dtype() == dtype && tensor.writable() &&
      tensor.raw() == tensor.buffer()->data() && tensor.buffer()->size() >= bytes) {
    if (!(tensor.shape() == shape)) {
      tensor = Tensor(dtype, shape, tensor.buffer(), tensor.mutable_raw());
    }
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(tensor, Tensor::allocate(dtype, shape));
  return absl::OkStatus();
}

Status check_components(std::span<const Element> rows) {
  for (const Element& row : rows) {
    if (row.size() == rows[0].size()) continue;
    return invalid_argument("rows of ", rows[0].size(), " and of ", row.size(),
                            " components cannot form a batch");
  }
  return absl::OkStatus();
}

Status stack(std::span<const Element> rows, Element& batch) {
  TENON_RETURN_IF_ERROR(check_components(rows));
  batch.resize(rows[0].size());
  for (size_t i = 0; i < batch.size(); ++i) {
    TENON_RETURN_IF_ERROR(stack_component(rows, i, batch[i]));
  }
  return absl::OkStatus();
}

Status stack_padded(std::span<const Element> rows, size_t component, const PartialShape& to,
                    const Tensor& padding, Tensor& batch) {
  const DType dtype = rows[0][component].dtype();
  if (!can_stack(dtype)) return unimplemented("batches of ", dtype, " rows");
  if (padding.has_value() && (padding.dtype() != dtype || padding.rank() != 0)) {
    return invalid_argument("rows of ", dtype, " are padded by a scalar of that type, not by ",
                            padding.dtype(), padding.shape());
  }
  TENON_ASSIGN_OR_RETURN(const Shape padded, padded_row(rows, component, to));
  const Shape shape = shape_of_rows(static_cast<int64_t>(rows.size()), padded.dims());
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), size_of(dtype)).status());
  if (dtype == DType::kString) return pad_texts(rows, component, padded, shape, padding, batch);
  TENON_RETURN_IF_ERROR(make_room(batch, dtype, shape));
  fill(batch, padding);
  const size_t each = size_of(dtype);
  const size_t row_bytes = padded.num_bytes(each);
  for (size_t row = 0; row < rows.size(); ++row) {
    const Tensor& tensor = rows[row][component];
    char* begin = static_cast<char*>(batch.mutable_raw()) + row * row_bytes;
    for_each_run(tensor.shape(), padded, [&](int64_t from, int64_t to_element, int64_t count) {
      std::memcpy(begin + static_cast<size_t>(to_element) * each,
                  static_cast<const char*>(tensor.raw()) + static_cast<size_t>(from) * each,
                  static_cast<size_t>(count) * each);
    });
  }
  return absl::OkStatus();
}

}  // namespace tenon::data
