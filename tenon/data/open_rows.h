// Rows of files that are read as they are asked for, whatever their number.
#pragma once

#include "tenon/data/dataset.h"
#include "tenon/data/files.h"

namespace tenon::data {

struct RowStream {
  DatasetPtr rows;    // {x} of each row, or {x, y}
  DatasetPtr labels;  // {y} alone; null where labels are not read
  Shape shape;        // of x
  Names names;        // as those of a Table
};

// As read_table(), row by row: TFRecords, folders of images and CSV files, plain or gzipped, are
// read anew in each pass; of other kinds, and from standard input, the rows are in memory. What
// labels stand for is found by a pass over the file, where it holds texts and `options` name no
// classes. Damaged records and rows that differ from the first are named with file and place by the
// pass that meets them.
StatusOr<RowStream> open_rows(const std::string& path, const FileOptions& options = {});

// The largest class that labels, [rows] or [rows, ...], tell of; 0 where there are none. They are
// numbers of classes, of any dtype, yes or no, or have a column for each class. INVALID_ARGUMENT
// for numbers that are not whole.
StatusOr<int64_t> largest_label(const Tensor& labels);
// The same by a pass over a stream's.
StatusOr<int64_t> largest_label(const RowStream& stream);

}  // namespace tenon::data
