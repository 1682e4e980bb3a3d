// CSV files (RFC 4180), read row by row; gzipped ones too.
#pragma once

#include "tenon/io/byte_source.h"

namespace tenon {

enum class CsvHeader {
  kDetect,  // the first row names the columns when none of its fields is a number and some field of
            // the second row is
  kPresent,
  kAbsent,
};

struct CsvOptions {
  char separator = ',';
  CsvHeader header = CsvHeader::kDetect;
  uint64_t row_limit = uint64_t{1} << 26;  // bytes of one row
};

// Not thread-safe. Lines end in LF or CRLF; a quoted field may hold separators, line ends and
// doubled quotes; empty lines are skipped; a byte order mark is dropped.
class CsvReader {
 public:
  static StatusOr<CsvReader> open(const std::string& path, const CsvOptions& options = {});

  // Names of the columns from the header, "0", "1", ... without one.
  const std::vector<std::string>& columns() const { return columns_; }

  // The next row, false at the end. A row with another number of fields than the first is
  // INVALID_ARGUMENT naming file, line and both numbers. The views are valid until the next call.
  StatusOr<bool> next(std::vector<std::string_view>& fields);

  // The line on which the last row began, counted from 1.
  int64_t line() const { return line_; }

 private:
  struct Row {
    std::string text;          // the fields, unquoted, one after another
    std::vector<size_t> ends;  // where each field ends in `text`
    int64_t line = 0;
    std::vector<std::string_view> fields() const;
  };
  CsvReader(std::unique_ptr<ByteSource> source, const CsvOptions& options)
      : source_(std::move(source)), options_(options) {}
  Status read_header();
  StatusOr<bool> read_row(Row& row);
  StatusOr<bool> read_quoted(Row& row);
  StatusOr<int> peek();  // the next byte, -1 at the end

  std::unique_ptr<ByteSource> source_;
  CsvOptions options_;
  std::string buffer_;
  size_t position_ = 0;
  int64_t next_line_ = 1;
  int64_t line_ = 0;
  std::vector<std::string> columns_;
  std::vector<Row> ahead_;  // rows read while the header was looked for, last first
  Row row_;
};

}  // namespace tenon
