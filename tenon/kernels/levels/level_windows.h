// The windows of a convolution of levels as rows of terms. Private to this folder.
#pragma once

#include "tenon/kernels/levels/level_way.h"

namespace tenon::kernels {

// Groups of four bytes: LevelLoops' pairs or quads.
enum class LevelTerms { kPairs, kQuads };

class LevelWindows {
 public:
  LevelWindows(const LevelConvSpec& spec, LevelTerms form);

  LevelTerms form() const { return form_; }
  int64_t groups() const { return groups_; }  // of channels
  int64_t terms() const { return terms_; }    // of a window and one group
  int64_t row_bytes() const { return row_bytes_; }
  // Quads stand for x + 128 where x is signed. So does the zero point that terms are greater by
  // than what is to be summed, and which those outside of the image have.
  int64_t outside() const { return s_.zero_x + added_; }

  // The windows of `count` cells of the output from `cell` on, of one group of channels. Up to
  // kShortRow bytes behind `rows` may be written too.
  static constexpr int64_t kShortRow = 16;
  void collect(const char* x, int64_t cell, int64_t count, int64_t group, char* rows) const;

 private:
  // `count` levels as terms.
  void copy(const char* from, int64_t count, char* to) const;
  void fill(int64_t count, char* to) const;
  void collect_window(const char* image, int64_t row, int64_t column, int64_t group,
                      char* to) const;
  // With short_rows_: so many cells of a row, at most `most`, have their windows inside the image
  // and kShortRow bytes to read from each row of them; and their windows.
  int64_t short_cells(const char* image, const char* end, int64_t row, int64_t column,
                      int64_t most) const;
  void collect_short(const char* image, int64_t row, int64_t column, int64_t cells, char* to) const;
  void collect_row(const char* image_row, int64_t column, int64_t group, char* to) const;

  LevelConvSpec s_;
  LevelTerms form_;
  int64_t groups_, group_in_, terms_, row_bytes_, level_bytes_, term_bytes_;
  int32_t added_;
  bool short_rows_ = false;  // of a window: within kShortRow bytes
};

}  // namespace tenon::kernels
