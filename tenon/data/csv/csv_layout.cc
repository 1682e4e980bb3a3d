#include "tenon/data/csv/csv_layout.h"

#include "tenon/base/log.h"
#include "tenon/data/content.h"

namespace tenon::data {

namespace {

// Records that are looked at to find out whether the first is a header.
constexpr size_t kRecordsLookedAt = 100;
// Names and cells are quoted in messages up to so many characters.
constexpr size_t kQuoted = 40;

constexpr size_t kNoColumn = SIZE_MAX;

std::string quote(std::string_view cell) {
  return cat("'", cell.substr(0, kQuoted), cell.size() > kQuoted ? "..." : "", "'");
}

}  // namespace

StatusOr<CsvLayout> CsvLayout::find(CsvReader& reader, const FileOptions& options,
                                    std::string name) {
  CsvLayout layout(options, std::move(name));
  TENON_ASSIGN_OR_RETURN(const std::string_view text, reader.look());
  layout.separator_ = options.separator ? options.separator : find_separator(text);
  reader.set_separator(layout.separator_);
  TENON_RETURN_IF_ERROR(layout.look_ahead(reader));
  TENON_RETURN_IF_ERROR(layout.choose_columns());
  if (layout.first_rows().empty()) {
    return invalid_argument(layout.name_, ": no rows below the header");
  }
  return layout;
}

std::span<const CsvLayout::Record> CsvLayout::first_rows() const {
  return std::span(ahead_).subspan(header_.empty() ? 0 : 1);
}

Status CsvLayout::at_line(int64_t line, const Status& status) const {
  return with_context(status, cat(name_, ":", line));
}

StatusOr<bool> CsvLayout::next(CsvReader& reader, CsvCells& cells) const {
  StatusOr<bool> more = reader.next(cells);
  if (!more.ok()) return at_line(reader.line(), more.status());
  return more;
}

std::string CsvLayout::label_place(int64_t line) const {
  return cat(name_, ":", line, ": ", column_text(label_));
}

Status CsvLayout::parse_feature(const std::string& cell, size_t column, float& value) const {
  double number = 0;
  if (!parse_cell(cell, number)) return no_number(cell, column);
  value = static_cast<float>(number);
  if (!std::isinf(value)) return absl::OkStatus();
  return invalid_argument(column_text(column), ": ", quote(cell), " is beyond float32");
}

Status CsvLayout::parse_feature(const std::string& cell, size_t column, int64_t& value) const {
  if (parse_integer(cell, value)) return absl::OkStatus();
  double number = 0;
  if (!parse_cell(cell, number)) return no_number(cell, column);
  return invalid_argument(column_text(column), ": ", quote(cell),
                          " is no integer of 64 bits; the model takes integers");
}

Status CsvLayout::parse(const CsvCells& cells, int64_t line, void* values,
                        std::string_view& label) const {
  if (cells.size() != columns_) {
    return at_line(line,
                   invalid_argument(cells.size(), " columns, expected ", columns_,
                                    " as in the first line, separated by ", separator_text()));
  }
  if (options_.reads_labels()) {
    label = trim(cells[label_]);
    if (is_missing(label)) {
      return at_line(line, invalid_argument(column_text(label_), ": no label; leave the row out"));
    }
  }
  for (size_t i = 0; values && i < features_.size(); ++i) {
    const size_t column = features_[i];
    const Status status =
        takes() == Features::kIntegers
            ? parse_feature(cells[column], column, static_cast<int64_t*>(values)[i])
            : parse_feature(cells[column], column, static_cast<float*>(values)[i]);
    if (!status.ok()) return at_line(line, status);
  }
  return absl::OkStatus();
}

std::vector<std::string> CsvLayout::texts(const CsvCells& cells) const {
  std::vector<std::string> texts;
  for (const size_t column : features_) texts.push_back(cells[column]);
  return texts;
}

// Buffers the first records and decides which of them is the header.
Status CsvLayout::look_ahead(CsvReader& reader) {
  std::vector<CsvCells> records;
  while (records.size() < kRecordsLookedAt) {
    CsvCells cells;
    TENON_ASSIGN_OR_RETURN(const bool more, next(reader, cells));
    if (!more) break;
    ahead_.push_back({cells, reader.line()});
    records.push_back(std::move(cells));
  }
  if (records.empty()) return invalid_argument(name_, ": no rows");
  columns_ = records[0].size();
  if (columns_ == 1 && options_.use_labels != Labels::kNone) {
    return invalid_argument(name_, ": only one column was found, separated by ", separator_text(),
                            "; --separator names another, and ", known_kinds());
  }
  std::vector<std::string> names = wanted_features();
  if (!options_.label_column.empty()) names.push_back(options_.label_column);
  if (options_.header == CsvHeader::kYes ||
      (options_.header == CsvHeader::kAuto && data::has_header(records, names))) {
    header_ = records[0];
    for (std::string& cell : header_) cell = std::string(trim(cell));
    if (options_.header == CsvHeader::kAuto) {
      log_info(name_, ": line ", ahead_[0].line, " is taken for the header: ", header_text(),
               " (--header=no if it is data)");
    }
  }
  return absl::OkStatus();
}

std::string CsvLayout::separator_text() const {
  return separator_ == '\t' ? "tabs" : cat("'", separator_, "'");
}
std::string CsvLayout::header_text() const {
  const size_t count = std::min<size_t>(header_.size(), 8);
  return cat(join(std::vector<std::string>(header_.begin(), header_.begin() + count), ", "),
             count < header_.size() ? ", ..." : "");
}
// "column 3 ('height')".
std::string CsvLayout::column_text(size_t column) const {
  return cat("column ", column + 1, header_.empty() ? "" : cat(" (", quote(header_[column]), ")"));
}

// What the caller names, else what the model was trained on.
const std::vector<std::string>& CsvLayout::wanted_features() const {
  return options_.features.empty() ? options_.names.features : options_.features;
}
bool CsvLayout::is_known_feature(size_t column) const {
  const std::vector<std::string>& known = options_.names.features;
  return options_.features.empty() &&
         std::find(known.begin(), known.end(), header_[column]) != known.end();
}

// By name, else by index from 0.
StatusOr<size_t> CsvLayout::find_column(const std::string& wanted) const {
  const auto it = std::find(header_.begin(), header_.end(), wanted);
  if (it != header_.end()) {
    if (std::find(it + 1, header_.end(), wanted) != header_.end()) {
      return invalid_argument(name_, ": two columns are named '", wanted,
                              "'; name it by its index from 0");
    }
    return static_cast<size_t>(it - header_.begin());
  }
  int64_t index;
  if (parse_number(wanted, index) && index >= 0 && index < static_cast<int64_t>(columns_)) {
    return static_cast<size_t>(index);
  }
  if (header_.empty()) {
    return not_found(name_, ": there is no column '", wanted, "': the file has ", columns_,
                     " columns and no header; name it by its index from 0");
  }
  return not_found(name_, ": there is no column '", wanted, "' among ", columns_,
                   " columns: ", header_text());
}

// The last column that is none of the model's features.
StatusOr<size_t> CsvLayout::guess_label() const {
  if (header_.empty()) return columns_ - 1;
  for (size_t i = columns_; i-- > 0;) {
    if (!is_known_feature(i)) return i;
  }
  return invalid_argument(name_, ": all columns are features of the model: ", header_text(),
                          "; --label names the one that holds the labels");
}

Status CsvLayout::choose_known_features() {
  for (const std::string& name : options_.names.features) {
    const auto it = std::find(header_.begin(), header_.end(), name);
    if (it == header_.end() || std::find(it + 1, header_.end(), name) != header_.end()) {
      return invalid_argument(name_, ": the model was trained on a column ", quote(name),
                              ", of which ",
                              it == header_.end() ? "there is none" : "there are two", " among ",
                              columns_, " columns: ", header_text(),
                              "; --features names the columns to take, in the model's order");
    }
    features_.push_back(static_cast<size_t>(it - header_.begin()));
  }
  return absl::OkStatus();
}

Status CsvLayout::choose_columns() {
  label_ = kNoColumn;
  if (!options_.label_column.empty()) {
    TENON_ASSIGN_OR_RETURN(label_, find_column(options_.label_column));
  } else {
    for (size_t i = header_.size(); i-- > 0;) {
      if (is_label_name(header_[i])) label_ = i;
    }
    if (label_ == kNoColumn && options_.use_labels != Labels::kNone) {
      TENON_ASSIGN_OR_RETURN(label_, guess_label());
    }
  }
  if (options_.features.empty() && !header_.empty() && !options_.names.features.empty()) {
    return choose_known_features();
  }
  if (options_.features.empty()) {
    for (size_t i = 0; i < columns_; ++i) {
      if (i != label_) features_.push_back(i);
    }
    return absl::OkStatus();
  }
  for (const std::string& wanted : options_.features) {
    TENON_ASSIGN_OR_RETURN(const size_t column, find_column(wanted));
    if (column == label_ && options_.use_labels != Labels::kNone) {
      return invalid_argument(name_, ": ", column_text(column),
                              " is the label; it cannot be among --features too");
    }
    features_.push_back(column);
  }
  return absl::OkStatus();
}

Status CsvLayout::no_number(const std::string& cell, size_t column) const {
  const std::string where = column_text(column);
  const std::string leave_out = "leave the column out (--features names those to take)";
  if (is_missing(cell)) {
    return invalid_argument(where, ": a missing value (", quote(cell),
                            "); fill it in, leave the row out, or ", leave_out);
  }
  double number;
  std::string point = cell;
  std::replace(point.begin(), point.end(), ',', '.');
  if (parse_cell(point, number)) {
    return invalid_argument(where, ": ", quote(cell), " is no number; write decimal points");
  }
  return invalid_argument(where, ": ", quote(cell),
                          " is no number; features are numbers: encode texts (a column of 0 and "
                          "1 for each value), or ",
                          leave_out);
}

// Empty where they would not find the columns again.
std::vector<std::string> CsvLayout::names_of_features() const {
  std::vector<std::string> names;
  if (header_.empty()) return names;
  for (size_t column : features_) {
    if (std::count(header_.begin(), header_.end(), header_[column]) != 1) return {};
    names.push_back(header_[column]);
  }
  return names;
}

}  // namespace tenon::data
