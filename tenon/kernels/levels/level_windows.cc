#include "tenon/kernels/levels/level_windows.h"

#include <algorithm>
#include <cstring>

namespace tenon::kernels {
namespace {

// Where tap `i` of output cell `at` lies along axis `axis`, or -1.
int64_t input_place(const LevelConvSpec& s, int axis, int64_t at, int64_t i) {
  const int64_t size = axis == 0 ? s.rows : s.columns;
  int64_t place;
  if (s.transposed) {
    const int64_t apart = at + s.before[axis] - i;
    if (apart < 0 || apart % s.stride[axis] != 0) return -1;
    place = apart / s.stride[axis];
  } else {
    place = at * s.stride[axis] - s.before[axis] + i * s.dilation[axis];
  }
  return place < 0 || place >= size ? -1 : place;
}

// Bytes, signed ones plus 128, which turns their first bit.
constexpr uint64_t kFirstBits = 0x8080808080808080;
void copy_8(const char* from, uint64_t turned, char* to) {
  uint64_t bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  bytes ^= turned;
  std::memcpy(to, &bytes, sizeof(bytes));
}
void copy_turned(const char* from, int64_t count, char* to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) copy_8(from + i, kFirstBits, to + i);
  for (; i < count; ++i) to[i] = static_cast<char>(from[i] ^ 0x80);
}

template <class T>
void copy_widened(const T* from, int64_t count, int16_t* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

}  // namespace

LevelWindows::LevelWindows(const LevelConvSpec& spec, LevelTerms form)
    : s_(spec),
      form_(form),
      groups_(s_.depthwise ? std::max<int64_t>(s_.in, 1) : s_.groups),
      group_in_(s_.in / groups_),
      // An empty filter may have dimensions of any size.
      terms_(s_.out == 0 ? 0 : s_.kernel_rows * s_.kernel_columns * group_in_),
      level_bytes_(static_cast<int64_t>(bytes_of_level(s_.x))),
      term_bytes_(form == LevelTerms::kQuads ? 1 : 2),
      added_(form == LevelTerms::kQuads ? added_in_quads(s_) : 0) {
  row_bytes_ = (terms_ * term_bytes_ + 3) / 4 * 4;
  short_rows_ = form_ == LevelTerms::kQuads && !s_.transposed && groups_ == 1 &&
                s_.dilation[0] == 1 && s_.dilation[1] == 1 && s_.kernel_columns <= kShortRow &&
                s_.kernel_columns * s_.in <= kShortRow;
}

void LevelWindows::copy(const char* from, int64_t count, char* to) const {
  if (form_ == LevelTerms::kPairs && s_.x == DType::kInt8) {
    copy_widened(reinterpret_cast<const int8_t*>(from), count, reinterpret_cast<int16_t*>(to));
  } else if (form_ == LevelTerms::kPairs && s_.x == DType::kUint8) {
    copy_widened(reinterpret_cast<const uint8_t*>(from), count, reinterpret_cast<int16_t*>(to));
  } else if (added_ != 0) {
    copy_turned(from, count, to);
  } else {
    std::memcpy(to, from, static_cast<size_t>(count * term_bytes_));
  }
}

void LevelWindows::fill(int64_t count, char* to) const {
  if (form_ == LevelTerms::kQuads) {
    std::memset(to, static_cast<int>(outside()), static_cast<size_t>(count));
  } else {
    std::fill_n(reinterpret_cast<int16_t*>(to), count, static_cast<int16_t>(s_.zero_x));
  }
}

// One row of a window.
void LevelWindows::collect_row(const char* image_row, int64_t column, int64_t group,
                               char* to) const {
  const int64_t left = column * s_.stride[1] - s_.before[1];
  const int64_t width = s_.kernel_columns;
  if (!s_.transposed && groups_ == 1 && s_.dilation[1] == 1) {
    const int64_t begin = std::clamp<int64_t>(-left, 0, width);
    const int64_t end = std::clamp<int64_t>(s_.columns - left, begin, width);
    const int64_t step = s_.in * term_bytes_;
    if (begin > 0) fill(begin * s_.in, to);
    if (end > begin) {
      copy(image_row + (left + begin) * s_.in * level_bytes_, (end - begin) * s_.in,
           to + begin * step);
    }
    if (end < width) fill((width - end) * s_.in, to + end * step);
    return;
  }
  for (int64_t j = 0; j < width; ++j, to += group_in_ * term_bytes_) {
    const int64_t place = input_place(s_, 1, column, j);
    if (place < 0) {
      fill(group_in_, to);
    } else {
      copy(image_row + (place * s_.in + group * group_in_) * level_bytes_, group_in_, to);
    }
  }
}

void LevelWindows::collect(const char* x, int64_t cell, int64_t count, int64_t group,
                           char* rows) const {
  const bool cells_alone = s_.kernel_rows == 1 && s_.kernel_columns == 1 && s_.stride[0] == 1 &&
                           s_.stride[1] == 1 && s_.before[0] == 0 && s_.before[1] == 0 &&
                           groups_ == 1 && s_.rows == s_.out_rows && s_.columns == s_.out_columns;
  if (cells_alone) {
    x += cell * s_.in * level_bytes_;
    if (terms_ * term_bytes_ == row_bytes_) return copy(x, count * s_.in, rows);
    for (int64_t i = 0; i < count; ++i) {
      copy(x + i * s_.in * level_bytes_, s_.in, rows + i * row_bytes_);
    }
    return;
  }
  const char* const end = x + s_.batch * s_.rows * s_.columns * s_.in * level_bytes_;
  int64_t column = cell % s_.out_columns, row = cell / s_.out_columns % s_.out_rows;
  int64_t image = cell / s_.out_columns / s_.out_rows;
  const int64_t image_size = s_.rows * s_.columns * s_.in * level_bytes_;
  while (count > 0) {
    const char* const from = x + image * image_size;
    int64_t cells = short_rows_ ? short_cells(from, end, row, column, count) : 0;
    if (cells > 0) {
      collect_short(from, row, column, cells, rows);
    } else {
      collect_window(from, row, column, group, rows);
      cells = 1;
    }
    count -= cells;
    rows += cells * row_bytes_;
    column += cells;
    if (column < s_.out_columns) continue;
    column = 0;
    if (++row < s_.out_rows) continue;
    row = 0;
    ++image;
  }
}

int64_t LevelWindows::short_cells(const char* image, const char* end, int64_t row, int64_t column,
                                  int64_t most) const {
  const int64_t top = row * s_.stride[0] - s_.before[0];
  const int64_t left = column * s_.stride[1] - s_.before[1];
  const int64_t right = s_.columns - s_.kernel_columns - left;
  if (top < 0 || top + s_.kernel_rows > s_.rows || left < 0 || right < 0) return 0;
  const int64_t last_row = (top + s_.kernel_rows - 1) * s_.columns + left;
  const int64_t room = end - image - last_row * s_.in - kShortRow;
  if (room < 0) return 0;
  return std::min(
      {most, s_.out_columns - column, right / s_.stride[1] + 1, room / (s_.stride[1] * s_.in) + 1});
}

// What is copied too much is written over, or lies in the room behind the rows.
void LevelWindows::collect_short(const char* image, int64_t row, int64_t column, int64_t cells,
                                 char* to) const {
  const uint64_t turned = added_ == 0 ? 0 : kFirstBits;
  const int64_t row_size = s_.columns * s_.in, part = s_.kernel_columns * s_.in;
  const int64_t step = s_.stride[1] * s_.in;
  image += (row * s_.stride[0] - s_.before[0]) * row_size +
           (column * s_.stride[1] - s_.before[1]) * s_.in;
  for (; cells > 0; --cells, image += step, to += row_bytes_) {
    const char* from = image;
    char* term = to;
    for (int64_t k = 0; k < s_.kernel_rows; ++k, term += part, from += row_size) {
      copy_8(from, turned, term);
      if (part > 8) copy_8(from + 8, turned, term + 8);
    }
  }
}

void LevelWindows::collect_window(const char* image, int64_t row, int64_t column, int64_t group,
                                  char* to) const {
  const int64_t row_size = s_.columns * s_.in * level_bytes_;
  const int64_t part = s_.kernel_columns * group_in_;
  for (int64_t k = 0; k < s_.kernel_rows; ++k, to += part * term_bytes_) {
    const int64_t place = input_place(s_, 0, row, k);
    if (place < 0) {
      fill(part, to);
    } else {
      collect_row(image + place * row_size, column, group, to);
    }
  }
}

}  // namespace tenon::kernels
