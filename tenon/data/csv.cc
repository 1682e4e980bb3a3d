#include <algorithm>
#include <charconv>

#include "tenon/base/files.h"
#include "tenon/data/files.h"

namespace tenon::data {

namespace {

constexpr size_t kMaxColumns = 1 << 20;

// Walks the records of RFC 4180 text; '\r' before a line end is dropped.
class CsvReader {
 public:
  CsvReader(std::string_view text, char separator) : text_(text), separator_(separator) {}

  int64_t line() const { return line_; }

  // The cells of the next record that is not empty; false at the end.
  StatusOr<bool> next(std::vector<std::string>& cells) {
    for (;;) {
      if (at_ >= text_.size()) return false;
      line_ = next_line_;
      cells.clear();
      TENON_RETURN_IF_ERROR(record(cells));
      if (cells.size() > 1 || !cells[0].empty()) return true;
    }
  }

 private:
  Status record(std::vector<std::string>& cells) {
    cells.emplace_back();
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"' && cells.back().empty()) {
        TENON_RETURN_IF_ERROR(quoted(cells.back()));
      } else if (c == separator_) {
        if (cells.size() == kMaxColumns) return invalid_argument("more than 2^20 columns");
        cells.emplace_back();
      } else if (c == '\n') {
        ++next_line_;
        break;
      } else if (c != '\r') {
        cells.back() += c;
      }
    }
    return absl::OkStatus();
  }
  Status quoted(std::string& cell) {
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '\n') ++next_line_;
      if (c != '"') {
        cell += c;
      } else if (at_ < text_.size() && text_[at_] == '"') {
        cell += text_[at_++];
      } else {
        return absl::OkStatus();
      }
    }
    return invalid_argument("a quote that is not closed");
  }

  std::string_view text_;
  char separator_;
  size_t at_ = 0;
  int64_t line_ = 1, next_line_ = 1;
};

bool parse_cell(std::string_view cell, double& value) {
  cell = trim(cell);
  if (!cell.empty() && cell.front() == '+') cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return error == std::errc() && end == cell.data() + cell.size();
}

// Which column holds the labels; the number of columns when none does.
StatusOr<size_t> label_column(const std::vector<std::string>& header, size_t columns,
                              const FileOptions& options) {
  if (!options.label_column.empty()) {
    for (size_t i = 0; i < header.size(); ++i) {
      if (trim(header[i]) == options.label_column) return i;
    }
    int64_t index;
    if (parse_number(options.label_column, index) && index >= 0 &&
        index < static_cast<int64_t>(columns)) {
      return static_cast<size_t>(index);
    }
    return not_found("there is no column '", options.label_column, "' among ", columns, " columns");
  }
  for (size_t i = 0; i < header.size(); ++i) {
    const std::string name = to_lower(trim(header[i]));
    if (name == "label" || name == "target" || name == "class" || name == "y") return i;
  }
  return options.with_labels ? columns - 1 : columns;
}

Tensor label_tensor(const std::vector<std::string>& texts, std::vector<std::string>& classes) {
  const auto count = static_cast<int64_t>(texts.size());
  std::vector<double> numbers(texts.size());
  bool numeric = true, integral = true;
  for (size_t i = 0; i < texts.size(); ++i) {
    numeric = numeric && parse_cell(texts[i], numbers[i]);
    integral = integral && numeric && std::abs(numbers[i]) < 1e15 &&
               numbers[i] == static_cast<double>(static_cast<int64_t>(numbers[i]));
  }
  if (numeric && !integral) {
    Tensor y(DType::kFloat, Shape{count});
    std::copy(numbers.begin(), numbers.end(), y.mutable_data<float>());
    return y;
  }
  Tensor y(DType::kInt64, Shape{count});
  if (numeric) {
    std::copy(numbers.begin(), numbers.end(), y.mutable_data<int64_t>());
    return y;
  }
  classes = texts;
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  for (size_t i = 0; i < texts.size(); ++i) {
    y.mutable_data<int64_t>()[i] =
        std::lower_bound(classes.begin(), classes.end(), texts[i]) - classes.begin();
  }
  return y;
}

StatusOr<Table> parse_csv(std::string_view text, char separator, const FileOptions& options,
                          int64_t& line) {
  CsvReader reader(text, separator);
  std::vector<std::string> cells, header, labels;
  std::vector<float> features;
  size_t columns = 0, label = 0;
  int64_t rows = 0;
  for (;;) {
    const StatusOr<bool> more = reader.next(cells);
    line = reader.line();
    if (!more.ok()) return more.status();
    if (!*more) break;
    if (columns == 0) {
      columns = cells.size();
      double number;
      if (std::none_of(cells.begin(), cells.end(),
                       [&](const std::string& cell) { return parse_cell(cell, number); })) {
        header = cells;
      }
      TENON_ASSIGN_OR_RETURN(label, label_column(header, columns, options));
      if (!header.empty()) continue;
    }
    if (cells.size() != columns) {
      return invalid_argument(cells.size(), " columns, expected ", columns,
                              " as in the first line");
    }
    for (size_t i = 0; i < columns; ++i) {
      double number;
      if (i == label) {
        if (trim(cells[i]).empty()) return invalid_argument("column ", i, ": no label");
        labels.emplace_back(trim(cells[i]));
      } else if (parse_cell(cells[i], number)) {
        features.push_back(static_cast<float>(number));
      } else {
        return invalid_argument("column ", i, ": '", cells[i].substr(0, 40), "' is no number");
      }
    }
    ++rows;
  }
  if (rows == 0) return invalid_argument("no rows");
  Table table;
  const auto width = static_cast<int64_t>(features.size()) / rows;
  table.x = Tensor::from<float>({rows, width}, features);
  if (!labels.empty() && options.with_labels) table.y = label_tensor(labels, table.classes);
  return table;
}

}  // namespace

StatusOr<Table> read_csv(const std::string& path, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  int64_t line = 0;
  StatusOr<Table> table = parse_csv(text, path.ends_with(".tsv") ? '\t' : ',', options, line);
  if (!table.ok()) return with_context(table.status(), cat(path, ":", line));
  return table;
}

}  // namespace tenon::data
