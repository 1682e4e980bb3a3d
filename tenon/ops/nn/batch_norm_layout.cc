#include "tenon/ops/nn/batch_norm_layout.h"

#include "tenon/kernels/norm.h"

namespace tenon {

int batch_norm_channel_axis(const AttrMap& attrs, int rank) {
  return attrs.get<std::string>("data_format").starts_with("NC") ? 1 : rank - 1;
}

BatchNormLayout batch_norm_layout(const AttrMap& attrs, const Shape& shape, DType dtype) {
  BatchNormLayout layout;
  const int axis = batch_norm_channel_axis(attrs, shape.rank());
  layout.batch = shape[0];
  layout.channels = shape[axis];
  layout.channels_first = axis == 1;
  layout.spatial = shape.product(1, axis) * shape.product(axis + 1, shape.rank());
  layout.dtype = dtype;
  return layout;
}

size_t batch_norm_scratch(const BatchNormLayout& layout, int64_t copies) {
  const int64_t floats = kernels::batch_norm_factors(layout.channels) +
                         (layout.direct() ? 0 : copies * layout.elements());
  return static_cast<size_t>(floats) * sizeof(float);
}

namespace {

// Calls `move(place in the tensor, place in the rows)` for every element.
template <class Move>
void for_each_place(const BatchNormLayout& layout, Move move) {
  if (!layout.channels_first) {
    for (int64_t i = 0; i < layout.elements(); ++i) move(i, i);
    return;
  }
  int64_t place = 0;
  for (int64_t b = 0; b < layout.batch; ++b) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      for (int64_t s = 0; s < layout.spatial; ++s, ++place) {
        move(place, (b * layout.spatial + s) * layout.channels + c);
      }
    }
  }
}

}  // namespace

const float* load_rows(const BatchNormLayout& layout, const Tensor& tensor, float* scratch) {
  if (layout.direct()) return tensor.data<float>();
  visit<FloatTypes>(layout.dtype, [&]<class T>() {
    const T* values = tensor.data<T>();
    for_each_place(
        layout, [&](int64_t from, int64_t to) { scratch[to] = static_cast<float>(values[from]); });
  });
  return scratch;
}

const float* load_shifted_rows(const BatchNormLayout& layout, const Tensor& tensor,
                               const Tensor* bias, float* scratch) {
  const float* rows = load_rows(layout, tensor, scratch);
  if (!bias) return rows;
  visit<FloatTypes>(layout.dtype, [&]<class T>() {
    const T* shift = bias->data<T>();
    for (int64_t i = 0; i < layout.elements(); ++i) {
      const auto by = static_cast<float>(shift[i % layout.channels]);
      scratch[i] = static_cast<float>(static_cast<T>(rows[i] + by));
    }
  });
  return scratch;
}

void store_rows(const BatchNormLayout& layout, const float* rows, Tensor& tensor) {
  visit<FloatTypes>(layout.dtype, [&]<class T>() {
    T* values = tensor.mutable_data<T>();
    for_each_place(layout,
                   [&](int64_t to, int64_t from) { values[to] = static_cast<T>(rows[from]); });
  });
}

StatusOr<int64_t> batch_norm_channels(const ShapeContext& c, int x, int first, int last) {
  const PartialShape& shape = c.input(x);
  // TensorFlow takes five dimensions under the format of four too.
  const bool five =
      c.attr<std::string>("data_format").size() == 5 || (shape.has_rank() && shape.rank() == 5);
  TENON_RETURN_IF_ERROR(c.expect_rank(x, five ? 5 : 4));
  int64_t channels =
      shape.has_rank() ? shape[batch_norm_channel_axis(c.attrs(), shape.rank())] : -1;
  for (int i = first; i <= last; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t length = c.input(i).has_rank() ? c.input(i)[0] : -1;
    if (channels >= 0 && length >= 0 && length != channels) {
      return invalid_argument("input ", i, " has ", length, " elements for ", channels,
                              " channels");
    }
    if (channels < 0) channels = length;
  }
  return channels;
}

}  // namespace tenon
