#include "tenon/io/csv.h"

#include <algorithm>

namespace tenon {
namespace {

bool is_csv_number(std::string_view field) {
  double value = 0;
  return parse_number(trim(field), value);
}

}  // namespace

std::vector<std::string_view> CsvReader::Row::fields() const {
  std::vector<std::string_view> pieces;
  size_t begin = 0;
  for (const size_t end : ends) {
    pieces.push_back(std::string_view(text).substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

StatusOr<CsvReader> CsvReader::open(const std::string& path, const CsvOptions& options) {
  TENON_ASSIGN_OR_RETURN(auto source, open_source(path));
  CsvReader reader(std::move(source), options);
  TENON_RETURN_IF_ERROR(reader.read_header());
  return reader;
}

Status CsvReader::read_header() {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  TENON_RETURN_IF_ERROR(peek().status());
  if (buffer_.starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
  Row first, second;
  TENON_ASSIGN_OR_RETURN(const bool has_first, read_row(first));
  if (!has_first) return invalid_argument("'", source_->name(), "' has no rows");
  TENON_ASSIGN_OR_RETURN(const bool has_second, read_row(second));
  const std::vector<std::string_view> names = first.fields();
  bool has_header = options_.header == CsvHeader::kPresent;
  if (options_.header == CsvHeader::kDetect && has_second) {
    const std::vector<std::string_view> values = second.fields();
    has_header = std::none_of(names.begin(), names.end(), is_csv_number) &&
                 std::any_of(values.begin(), values.end(), is_csv_number);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    columns_.push_back(has_header ? std::string(trim(names[i])) : cat(i));
  }
  if (has_second) ahead_.push_back(std::move(second));
  if (!has_header) ahead_.push_back(std::move(first));
  return absl::OkStatus();
}

StatusOr<int> CsvReader::peek() {
  if (position_ == buffer_.size()) {
    buffer_.resize(1 << 16);
    TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(*source_, buffer_));
    buffer_.resize(got);
    position_ = 0;
    if (got == 0) return -1;
  }
  return static_cast<uint8_t>(buffer_[position_]);
}

// After the opening quote: reads the field's text up to the closing one.
StatusOr<bool> CsvReader::read_quoted(Row& row) {
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const int c, peek());
    if (c < 0) {
      return invalid_argument("'", source_->name(), "' line ", row.line,
                              ": a quoted field is not closed");
    }
    ++position_;
    if (c == '"') {
      TENON_ASSIGN_OR_RETURN(const int following, peek());
      if (following != '"') return true;
      ++position_;
    }
    if (c == '\n') ++next_line_;
    row.text += static_cast<char>(c);
    if (row.text.size() > options_.row_limit) {
      return resource_exhausted("'", source_->name(), "' line ", row.line, " is longer than ",
                                options_.row_limit, " bytes");
    }
  }
}

StatusOr<bool> CsvReader::read_row(Row& row) {
  row.text.clear();
  row.ends.clear();
  row.line = next_line_;
  bool at_field_start = true, quoted = false;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const int c, peek());
    if (c < 0 || c == '\n') {
      if (c == '\n') {
        ++position_;
        ++next_line_;
      }
      const size_t begin = row.ends.empty() ? 0 : row.ends.back();
      if (!quoted && row.text.size() > begin && row.text.back() == '\r') row.text.pop_back();
      if (row.text.empty() && row.ends.empty() && !quoted) {
        if (c < 0) return false;
        row.line = next_line_;
        continue;
      }
      row.ends.push_back(row.text.size());
      return true;
    }
    ++position_;
    if (c == '"' && at_field_start) {
      TENON_ASSIGN_OR_RETURN(quoted, read_quoted(row));
      at_field_start = false;
    } else if (c == static_cast<uint8_t>(options_.separator)) {
      row.ends.push_back(row.text.size());
      at_field_start = true;
      quoted = false;
    } else if (quoted && c == '\r') {
      // the CR of the line end after a quoted field
    } else {
      row.text += static_cast<char>(c);
      at_field_start = false;
    }
    if (row.text.size() > options_.row_limit || row.ends.size() > options_.row_limit) {
      return resource_exhausted("'", source_->name(), "' line ", row.line, " is longer than ",
                                options_.row_limit, " bytes");
    }
  }
}

StatusOr<bool> CsvReader::next(std::vector<std::string_view>& fields) {
  if (!ahead_.empty()) {
    row_ = std::move(ahead_.back());
    ahead_.pop_back();
  } else {
    TENON_ASSIGN_OR_RETURN(const bool more, read_row(row_));
    if (!more) return false;
  }
  line_ = row_.line;
  if (row_.ends.size() != columns_.size()) {
    return invalid_argument("'", source_->name(), "' line ", line_, " has ", row_.ends.size(),
                            " columns, expected ", columns_.size());
  }
  fields = row_.fields();
  return true;
}

}  // namespace tenon
