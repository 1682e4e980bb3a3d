#include "tenon/kernels/transpose.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/strided_copy.h"

namespace tenon::kernels {
namespace {

// Square blocks whose rows are a cache line or two on both sides.
constexpr int64_t kBlockSide = 16;

// y[j, i] = x[i, j] over [rows, columns], x's row stride and y's row stride in elements.
template <class T>
void transpose_block(int64_t rows, int64_t columns, const T* x, int64_t x_stride, T* y,
                     int64_t y_stride) {
  for (int64_t i = 0; i < rows; i += kBlockSide) {
    const int64_t i_end = std::min(i + kBlockSide, rows);
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t k = i; k < i_end; ++k) y[j * y_stride + k] = x[k * x_stride + j];
    }
  }
}

// [batch, rows, columns] to [batch, columns, rows].
template <class T>
void transpose_matrices(int64_t batch, int64_t rows, int64_t columns, const T* x, T* y) {
  const int64_t strips = (columns + kBlockSide - 1) / kBlockSide;
  const int64_t grain = grain_of(rows * kBlockSide);
  parallel_for(batch * strips, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % strips * kBlockSide;
      const int64_t item = i / strips * rows * columns;
      transpose_block(rows, std::min(kBlockSide, columns - first), x + item + first, columns,
                      y + item + first * rows, rows);
    }
  });
}

struct Wide {
  uint64_t words[2];
};

bool transpose_matrices(size_t element_size, int64_t batch, int64_t rows, int64_t columns,
                        const void* x, void* y) {
  const auto call = [&]<class T>(T) {
    transpose_matrices(batch, rows, columns, static_cast<const T*>(x), static_cast<T*>(y));
    return true;
  };
  switch (element_size) {
    case 1:
      return call(uint8_t{});
    case 2:
      return call(uint16_t{});
    case 4:
      return call(uint32_t{});
    case 8:
      return call(uint64_t{});
    case 16:
      return call(Wide{});
    default:
      return false;
  }
}

}  // namespace

void transpose(size_t element_size, const Shape& shape, std::span<const int> permutation,
               const void* x, void* y) {
  const Dims strides = contiguous_strides(shape.dims());
  StridedCopy copy;
  for (int axis : permutation) {
    copy.dims.push_back(shape[axis]);
    copy.source_strides.push_back(strides[static_cast<size_t>(axis)]);
  }
  copy.target_strides = contiguous_strides(copy.dims);
  copy = simplify(copy);
  // Two merged axes swapped, with or without a batch before them: blocks instead of lines.
  const size_t rank = copy.dims.size();
  if ((rank == 2 || rank == 3) && copy.source_strides[rank - 2] == 1) {
    const int64_t rows = copy.dims[rank - 1];
    const int64_t columns = copy.dims[rank - 2];
    const bool batched = rank == 2 || copy.source_strides[0] == rows * columns;
    if (batched && copy.source_strides[rank - 1] == columns &&
        transpose_matrices(element_size, rank == 3 ? copy.dims[0] : 1, rows, columns, x, y)) {
      return;
    }
  }
  run(copy, element_size, x, y);
}

}  // namespace tenon::kernels
