#include "tenon/ops/lookup/text_file.h"

#include "tenon/base/strings.h"

namespace tenon {
namespace {

// Lines without their end. Carriage returns are dropped, wherever they stand, and a last line that
// has no end counts: TensorFlow's InputBuffer::ReadLine.
std::vector<std::string> lines_of(std::string_view text, int64_t limit) {
  std::vector<std::string> lines;
  size_t begin = 0;
  while (begin < text.size() && (limit < 0 || static_cast<int64_t>(lines.size()) < limit)) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line(text.substr(begin, end - begin));
    std::erase(line, '\r');
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  return lines;
}

// One side of the table, filled line by line.
class Column {
 public:
  Column(DType dtype, int64_t index, int64_t count, const TextFileFormat& format)
      : index_(index),
        format_(format),
        numbers_(dtype == DType::kString ? DType::kInt64 : dtype,
                 Shape{dtype == DType::kString ? 0 : count}) {
    if (dtype == DType::kString) texts_.reserve(static_cast<size_t>(count));
    dtype_ = dtype;
  }

  Status add(int64_t line_number, std::string_view line, std::string_view path) {
    if (index_ == kLineNumber) return add_number(line_number, line_number + format_.offset);
    std::string_view token = line;
    if (index_ >= 0) {
      const std::vector<std::string_view> columns = split(line, format_.delimiter);
      if (static_cast<int64_t>(columns.size()) <= index_) {
        return invalid_argument("Invalid number of columns in ", path, " line ", line_number, " (",
                                line, "): expected at least ", index_ + 1, ", got ",
                                columns.size());
      }
      token = columns[static_cast<size_t>(index_)];
    }
    if (dtype_ == DType::kString) {
      texts_.emplace_back(token);
      return absl::OkStatus();
    }
    int64_t integer = 0;
    double real = 0;
    if (is_integer(dtype_) ? !parse_number(trim(token), integer)
                           : !parse_number(trim(token), real)) {
      return invalid_argument("Field ", token, " in line ", line_number, " of ", path,
                              " is not a valid ", dtype_, ".");
    }
    return is_integer(dtype_) ? add_number(line_number, integer) : add_number(line_number, real);
  }

  Tensor build(int64_t count) && {
    return dtype_ == DType::kString ? Tensor::strings(Shape{count}, texts_) : std::move(numbers_);
  }

 private:
  template <class Number>
  Status add_number(int64_t line, Number value) {
    visit<TypeList<int32_t, int64_t, float, double>>(
        dtype_, [&]<class T>() { numbers_.mutable_data<T>()[line] = static_cast<T>(value); });
    return absl::OkStatus();
  }

  DType dtype_;
  int64_t index_;
  const TextFileFormat& format_;
  Tensor numbers_;
  std::vector<std::string> texts_;
};

Status check_column(std::string_view what, int64_t index, DType dtype) {
  const bool number = dtype == DType::kInt32 || dtype == DType::kInt64 || dtype == DType::kFloat ||
                      dtype == DType::kDouble;
  if (index == kLineNumber && dtype != DType::kInt64 && dtype != DType::kInt32) {
    return invalid_argument(what, " index for line number requires table ", what,
                            " dtype of int64, got ", dtype);
  }
  if (index == kWholeLine && dtype != DType::kString && !is_integer(dtype)) {
    return invalid_argument(what, " index for whole line requires table ", what,
                            " dtype of integer or string, got ", dtype);
  }
  if (dtype != DType::kString && !number) {
    return invalid_argument("a text file gives no ", what, "s of dtype ", dtype);
  }
  return absl::OkStatus();
}

}  // namespace

Status check_text_file_format(const TextFileFormat& format, const TableType& type) {
  TENON_RETURN_IF_ERROR(check_column("key", format.key_index, type.key));
  return check_column("value", format.value_index, type.value);
}

StatusOr<LookupTable::Entries> read_text_file(std::string_view text, std::string_view path,
                                              const TextFileFormat& format, const TableType& type) {
  const std::vector<std::string> lines = lines_of(text, format.vocab_size);
  const auto count = static_cast<int64_t>(lines.size());
  if (format.vocab_size > count) {
    return invalid_argument("Invalid vocab_size in ", path, ": expected ", format.vocab_size,
                            " but got ", count);
  }
  Column keys(type.key, format.key_index, count, format);
  Column values(type.value, format.value_index, count, format);
  for (int64_t i = 0; i < count; ++i) {
    const std::string& line = lines[static_cast<size_t>(i)];
    TENON_RETURN_IF_ERROR(keys.add(i, line, path));
    TENON_RETURN_IF_ERROR(values.add(i, line, path));
  }
  return LookupTable::Entries{std::move(keys).build(count), std::move(values).build(count)};
}

}  // namespace tenon
