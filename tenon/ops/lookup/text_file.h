// Vocabulary files: lines of text that fill a table.
#pragma once

#include <string>

#include "tenon/ops/lookup/table.h"

namespace tenon {

// What of a line is a key or a value: the line's number, the whole line or a column of it.
inline constexpr int64_t kWholeLine = -2;
inline constexpr int64_t kLineNumber = -1;

struct TextFileFormat {
  int64_t key_index = kWholeLine;
  int64_t value_index = kLineNumber;
  int64_t vocab_size = -1;  // lines that are read; -1: all
  char delimiter = '\t';
  int64_t offset = 0;  // added to line numbers
};

// INVALID_ARGUMENT when the format does not go with the dtypes of `type`.
Status check_text_file_format(const TextFileFormat& format, const TableType& type);

// The entries that `text`, the content of the file `path`, gives a table of `type`.
// INVALID_ARGUMENT names the line that has too few columns or holds something that is no number.
StatusOr<LookupTable::Entries> read_text_file(std::string_view text, std::string_view path,
                                              const TextFileFormat& format, const TableType& type);

}  // namespace tenon
