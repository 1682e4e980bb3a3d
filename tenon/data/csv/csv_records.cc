#include "tenon/data/csv/csv_records.h"

#include <charconv>
#include <cmath>

#include "tenon/data/content.h"

namespace tenon::data {

namespace {

constexpr size_t kMaxColumns = 1 << 20;
constexpr size_t kBlock = 1 << 20, kLongestRecord = 1 << 30;
// Records by which separators are judged.
constexpr int kJudged = 10;

// What a separator makes of the first records.
struct SeparatorScore {
  size_t columns = 0;  // of the first record, when the others have as many; else 0
  size_t numbers = 0;  // cells that are numbers
};

SeparatorScore score(std::string_view text, char separator) {
  CsvReader reader(text);
  reader.set_separator(separator);
  CsvCells cells;
  SeparatorScore result;
  for (int i = 0; i < kJudged; ++i) {
    const StatusOr<bool> more = reader.next(cells);
    if (!more.ok() || !*more) break;
    if (i == 0) result.columns = cells.size();
    if (cells.size() != result.columns) result.columns = 0;
    double number;
    for (const std::string& cell : cells) result.numbers += parse_cell(cell, number);
  }
  return result;
}

// How the kinds of a column's cells compare with that of its first.
enum class Evidence { kNone, kTextsBelowNumber, kNumbersBelowText };

Evidence compare_below(std::span<const CsvCells> records, size_t column) {
  double number;
  const std::string& first = records[0][column];
  if (is_missing(first)) return Evidence::kNone;
  const bool first_is_number = parse_cell(first, number);
  int numbers = 0, texts = 0;
  for (const CsvCells& record : records.subspan(1)) {
    if (column >= record.size() || is_missing(record[column])) continue;
    ++(parse_cell(record[column], number) ? numbers : texts);
  }
  if (first_is_number && texts > 0 && numbers == 0) return Evidence::kTextsBelowNumber;
  if (!first_is_number && numbers > 0 && texts == 0) return Evidence::kNumbersBelowText;
  return Evidence::kNone;
}

// "0,1,2" or "0,1,2,species": what pandas writes above an array without column names.
bool counts_columns(std::span<const CsvCells> records) {
  size_t numbers = 0;
  const CsvCells& first = records[0];
  for (size_t column = 0; column < first.size(); ++column) {
    double number;
    if (parse_cell(first[column], number)) {
      if (trim(first[column]) != cat(column)) return false;
      ++numbers;
      continue;
    }
    for (const CsvCells& record : records.subspan(1)) {
      if (column < record.size() && record[column] == first[column]) return false;
    }
  }
  return numbers >= 2;
}

}  // namespace

StatusOr<std::string_view> CsvReader::look() {
  if (source_ && !begun_) TENON_RETURN_IF_ERROR(refill(0).status());
  return text_.substr(at_);
}

// Reads on, after what text_ holds from `from` on; there the reader then stands. False at the end
// of the source, where nothing has changed but that the text before `from` is gone.
StatusOr<bool> CsvReader::refill(size_t from) {
  if (!source_) return false;
  block_.erase(0, from);
  at_ -= from;
  const size_t held = block_.size();
  if (held > kLongestRecord) {
    return resource_exhausted("the record that begins here has more than ", kLongestRecord,
                              " bytes; is a quote not closed?");
  }
  block_.resize(held + std::max(kBlock, held));
  StatusOr<size_t> got = read_fully(*source_, std::span(block_).subspan(held));
  block_.resize(held + (got.ok() ? *got : 0));
  text_ = block_;
  if (!got.ok()) return got.status();
  if (*got > 0) at_ = 0;
  if (!std::exchange(begun_, true) && text_.starts_with(kUtf8Mark)) at_ = kUtf8Mark.size();
  return *got > 0;
}

StatusOr<bool> CsvReader::next(CsvCells& cells) {
  for (;;) {
    line_ = next_line_;
    if (at_ >= text_.size()) {
      TENON_ASSIGN_OR_RETURN(const bool more, refill(at_));
      if (!more) return false;
    }
    const size_t begin = at_;
    cells.clear();
    const Status status = record(cells);
    // What reaches the end of the text so far may go on.
    if (at_ >= text_.size()) {
      TENON_ASSIGN_OR_RETURN(const bool more, refill(begin));
      if (more) {
        next_line_ = line_;
        continue;
      }
    }
    TENON_RETURN_IF_ERROR(status);
    if (cells.size() > 1 || !cells[0].empty()) return true;
  }
}

Status CsvReader::record(CsvCells& cells) {
  cells.emplace_back();
  while (at_ < text_.size()) {
    const char c = text_[at_++];
    if (c == '"' && cells.back().empty()) {
      TENON_RETURN_IF_ERROR(quoted(cells.back()));
    } else if (c == separator_) {
      if (cells.size() == kMaxColumns) return invalid_argument("more than 2^20 columns");
      cells.emplace_back();
    } else if (c == '\n' || c == '\r') {
      if (c == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      ++next_line_;
      break;
    } else {
      cells.back() += c;
    }
  }
  return absl::OkStatus();
}

Status CsvReader::quoted(std::string& cell) {
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

bool parse_cell(std::string_view cell, double& value) {
  cell = trim(cell);
  if (!cell.empty() && cell.front() == '+') cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return error == std::errc() && end == cell.data() + cell.size() && std::isfinite(value);
}

bool parse_integer(std::string_view cell, int64_t& value) {
  cell = trim(cell);
  if (!cell.empty() && cell.front() == '+') cell.remove_prefix(1);
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc() && end == cell.data() + cell.size()) return true;
  double number = 0;
  if (!parse_cell(cell, number) || number != std::floor(number) || std::abs(number) >= 0x1p63) {
    return false;
  }
  value = static_cast<int64_t>(number);
  return true;
}

bool is_missing(std::string_view cell) {
  cell = trim(cell);
  if (cell.empty()) return true;
  const std::string lower = to_lower(cell);
  for (std::string_view marker : {"na", "n/a", "#n/a", "nan", "null", "none", "?", "-", "<na>"}) {
    if (lower == marker) return true;
  }
  return false;
}

char find_separator(std::string_view text) {
  char best = ',';
  SeparatorScore best_score;
  for (char separator : {',', ';', '\t', '|'}) {
    const SeparatorScore found = score(text, separator);
    if (found.columns < 2) continue;
    if (std::pair(found.numbers, found.columns) <=
            std::pair(best_score.numbers, best_score.columns) &&
        best_score.columns > 0) {
      continue;
    }
    best = separator;
    best_score = found;
  }
  return best;
}

bool is_label_name(std::string_view name) {
  const std::string lower = to_lower(trim(name));
  return lower == "label" || lower == "target" || lower == "class" || lower == "y";
}

bool has_header(std::span<const CsvCells> records, std::span<const std::string> names) {
  const CsvCells& first = records[0];
  double number;
  size_t numbers = 0, texts = 0, texts_above_numbers = 0;
  for (size_t column = 0; column < first.size(); ++column) {
    const std::string_view cell = trim(first[column]);
    if (is_label_name(cell)) return true;
    const bool is_number = parse_cell(cell, number);
    if (!is_number && std::find(names.begin(), names.end(), cell) != names.end()) return true;
    numbers += is_number;
    texts += !is_number && !is_missing(cell);
    const Evidence evidence = compare_below(records, column);
    if (evidence == Evidence::kTextsBelowNumber) return true;
    texts_above_numbers += evidence == Evidence::kNumbersBelowText;
  }
  if (numbers == 0 && texts > 0) return true;
  // One text above a column of numbers may be a slip of the pen in data; half of them are not.
  if (texts_above_numbers > 0 && 2 * texts_above_numbers >= first.size()) return true;
  return counts_columns(records);
}

}  // namespace tenon::data
