#include "tenon/kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kCopyGrain = 65536;  // bytes

int64_t count_of(const Dims& dims) {
  int64_t count = 1;
  for (int64_t size : dims) count *= size;
  return count;
}

template <int64_t kSize>
void copy_line_of(int64_t count, const char* source, int64_t source_step, char* target,
                  int64_t target_step) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(target + i * target_step, source + i * source_step, kSize);
  }
}

// Steps in bytes.
void copy_line(int64_t size, int64_t count, const char* source, int64_t source_step, char* target,
               int64_t target_step) {
  if (source_step == size && target_step == size) {
    std::memcpy(target, source, static_cast<size_t>(count * size));
    return;
  }
  switch (size) {
    case 1:
      return copy_line_of<1>(count, source, source_step, target, target_step);
    case 2:
      return copy_line_of<2>(count, source, source_step, target, target_step);
    case 4:
      return copy_line_of<4>(count, source, source_step, target, target_step);
    case 8:
      return copy_line_of<8>(count, source, source_step, target, target_step);
    default:
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(target + i * target_step, source + i * source_step, static_cast<size_t>(size));
      }
  }
}

// Calls body(source offset, target offset, count) for pieces of the innermost dimension (offsets
// in elements), split over the team.
template <class Body>
void for_each_line(const StridedCopy& copy, int64_t grain, Body&& body) {
  const size_t last = copy.dims.size() - 1;
  parallel_for(count_of(copy.dims), grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t rest = begin;
      int64_t from = 0;
      int64_t to = 0;
      for (size_t i = copy.dims.size(); i-- > 0;) {
        from += rest % copy.dims[i] * copy.source_strides[i];
        to += rest % copy.dims[i] * copy.target_strides[i];
        rest /= copy.dims[i];
      }
      const int64_t count = std::min(copy.dims[last] - begin % copy.dims[last], end - begin);
      body(from, to, count);
      begin += count;
    }
  });
}

// The general walk divides once per line; these two dimensions need none.
template <class Body>
void for_each_line_flat(const StridedCopy& copy, int64_t grain, Body&& body) {
  const int64_t inner = copy.dims[1];
  parallel_for(copy.dims[0], std::max<int64_t>(1, grain / std::max<int64_t>(1, inner)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   body(i * copy.source_strides[0], i * copy.target_strides[0], inner);
                 }
               });
}

}  // namespace

Dims contiguous_strides(std::span<const int64_t> dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

StridedCopy simplify(const StridedCopy& copy) {
  StridedCopy result;
  for (size_t i = 0; i < copy.dims.size(); ++i) {
    if (copy.dims[i] == 1) continue;
    const bool merge = !result.dims.empty() &&
                       result.source_strides.back() == copy.source_strides[i] * copy.dims[i] &&
                       result.target_strides.back() == copy.target_strides[i] * copy.dims[i];
    if (merge) {
      result.dims.back() *= copy.dims[i];
      result.source_strides.back() = copy.source_strides[i];
      result.target_strides.back() = copy.target_strides[i];
    } else {
      result.dims.push_back(copy.dims[i]);
      result.source_strides.push_back(copy.source_strides[i]);
      result.target_strides.push_back(copy.target_strides[i]);
    }
  }
  if (result.dims.empty()) {
    result.dims.push_back(1);
    result.source_strides.push_back(1);
    result.target_strides.push_back(1);
  }
  return result;
}

void run(const StridedCopy& copy, size_t element_size, const void* source, void* target) {
  const auto size = static_cast<int64_t>(element_size);
  if (copy.dims.empty()) {
    std::memcpy(target, source, element_size);
    return;
  }
  if (count_of(copy.dims) == 0) return;
  const int64_t source_step = copy.source_strides.back() * size;
  const int64_t target_step = copy.target_strides.back() * size;
  const auto line = [&](int64_t from, int64_t to, int64_t count) {
    copy_line(size, count, static_cast<const char*>(source) + from * size, source_step,
              static_cast<char*>(target) + to * size, target_step);
  };
  const int64_t grain = std::max<int64_t>(1, kCopyGrain / size);
  if (copy.dims.size() == 2) return for_each_line_flat(copy, grain, line);
  for_each_line(copy, grain, line);
}

bool run_add(const StridedCopy& copy, DType dtype, const void* source, void* target) {
  const BinaryKernel add = find_binary(BinaryOp::kAdd, dtype);
  if (add == nullptr) return false;
  if (copy.dims.empty()) {
    add(source, 1, target, 1, target, 1);
    return true;
  }
  if (count_of(copy.dims) == 0) return true;
  const auto size = static_cast<int64_t>(size_of(dtype));
  const int64_t source_step = copy.source_strides.back();
  const int64_t target_step = copy.target_strides.back();
  for_each_line(copy, kCopyGrain / size, [&](int64_t from, int64_t to, int64_t count) {
    const char* x = static_cast<const char*>(source) + from * size;
    char* y = static_cast<char*>(target) + to * size;
    if (target_step == 1 && (source_step == 0 || source_step == 1)) {
      return add(x, source_step, y, 1, y, count);
    }
    for (int64_t i = 0; i < count; ++i) {
      char* at = y + i * target_step * size;
      add(x + i * source_step * size, 1, at, 1, at, 1);
    }
  });
  return true;
}

namespace {

// Pieces of one side that lie contiguous in the other; body(piece, offset in bytes of the whole).
template <class Body>
void for_each_piece(size_t element_size, int64_t outer, std::span<const int64_t> sizes,
                    int64_t inner, Body&& body) {
  int64_t total = 0;
  for (int64_t size : sizes) total += size;
  const int64_t row = total * inner * static_cast<int64_t>(element_size);
  parallel_for(outer, std::max<int64_t>(1, kCopyGrain / std::max<int64_t>(1, row)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t o = begin; o < end; ++o) {
                   int64_t at = o * row;
                   for (size_t i = 0; i < sizes.size(); ++i) {
                     const int64_t bytes = sizes[i] * inner * static_cast<int64_t>(element_size);
                     if (bytes > 0) body(i, o * bytes, at, static_cast<size_t>(bytes));
                     at += bytes;
                   }
                 }
               });
}

}  // namespace

void concat(size_t element_size, int64_t outer, std::span<const int64_t> sizes, int64_t inner,
            std::span<const void* const> inputs, void* y) {
  for_each_piece(element_size, outer, sizes, inner,
                 [&](size_t piece, int64_t own, int64_t whole, size_t bytes) {
                   std::memcpy(static_cast<char*>(y) + whole,
                               static_cast<const char*>(inputs[piece]) + own, bytes);
                 });
}

void split(size_t element_size, int64_t outer, std::span<const int64_t> sizes, int64_t inner,
           const void* x, std::span<void* const> outputs) {
  for_each_piece(element_size, outer, sizes, inner,
                 [&](size_t piece, int64_t own, int64_t whole, size_t bytes) {
                   std::memcpy(static_cast<char*>(outputs[piece]) + own,
                               static_cast<const char*>(x) + whole, bytes);
                 });
}

void pad(size_t element_size, const Shape& shape, std::span<const int64_t> before,
         std::span<const int64_t> after, const void* x, const void* value, void* y) {
  Dims padded;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    padded.push_back(before[i] + shape[axis] + after[i]);
  }
  const auto size = static_cast<int64_t>(element_size);
  parallel_for(count_of(padded), kCopyGrain / size, [&](int64_t begin, int64_t end) {
    fill(element_size, value, static_cast<char*>(y) + begin * size, end - begin);
  });
  StridedCopy copy;
  copy.dims = Dims(shape.dims());
  copy.source_strides = contiguous_strides(copy.dims);
  copy.target_strides = contiguous_strides(padded);
  int64_t offset = 0;
  for (size_t i = 0; i < padded.size(); ++i) offset += before[i] * copy.target_strides[i];
  run(simplify(copy), element_size, x, static_cast<char*>(y) + offset * size);
}

}  // namespace tenon::kernels
