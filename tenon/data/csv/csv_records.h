// The records of a CSV text, and what its first lines say about its form. Internal to data/.
#pragma once

#include "tenon/data/files.h"
#include "tenon/io/byte_source.h"

namespace tenon::data {

using CsvCells = std::vector<std::string>;

// Walks the records of RFC 4180 text; lines end in "\n", "\r\n" or "\r". Empty lines are passed
// over.
class CsvReader {
 public:
  // `text` must outlive the reader.
  explicit CsvReader(std::string_view text) : text_(text) {}
  // Text that is read block by block; a byte order mark is passed over.
  explicit CsvReader(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {}
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;

  // The text before the first record is taken, or its first block.
  StatusOr<std::string_view> look();
  void set_separator(char separator) { separator_ = separator; }

  // Where the last record began, from 1.
  int64_t line() const { return line_; }

  // The cells of the next record; false at the end.
  StatusOr<bool> next(CsvCells& cells);

 private:
  StatusOr<bool> refill(size_t from);
  Status record(CsvCells& cells);
  Status quoted(std::string& cell);

  std::string_view text_;
  char separator_ = ',';
  size_t at_ = 0;
  int64_t line_ = 1, next_line_ = 1;
  std::unique_ptr<ByteSource> source_;  // null: text_ is all there is
  std::string block_;                   // what text_ is, where there is a source
  bool begun_ = false;
};

// A number, blanks around it allowed; no "nan" and no "inf".
bool parse_cell(std::string_view cell, double& value);

// An integer of 64 bits, every bit of it; "3.0" is one, too.
bool parse_integer(std::string_view cell, int64_t& value);

// Nothing, or what spreadsheets and pandas write for nothing: "NA", "NaN", "null", "?" ...
bool is_missing(std::string_view cell);

// The separator by which the first records have the same number of cells, and most of them.
char find_separator(std::string_view text);

// Is the first of these records, the first of a file, a header? The others tell: a column of texts
// below a number, or of numbers below a text. `names` are columns that the caller asks for.
bool has_header(std::span<const CsvCells> records, std::span<const std::string> names);

// "label", "target", "class" or "y".
bool is_label_name(std::string_view name);

}  // namespace tenon::data
