// DecodeCSV: records of comma-separated values into a tensor for each column.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/text_number.h"

namespace tenon {
namespace {

struct CsvSpec {
  char delimiter = ',';
  bool quotes = true;
  std::string missing;            // a field of this text is as an empty one
  std::vector<int64_t> selected;  // columns, rising; empty: all
};

Status decode_csv_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) {
    const PartialShape& fallback = c.input(i);
    if (!fallback.has_rank()) continue;
    if (fallback.rank() > 1 || (fallback.rank() == 1 && fallback[0] > 1)) {
      return invalid_argument("There should only be 1 default per field but field ", i - 1,
                              " has shape ", fallback);
    }
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.input(0));
  return absl::OkStatus();
}

// A quoted field from its opening quote at `at` on; `at` ends behind the closing one.
StatusOr<std::string> read_quoted(std::string_view record, char delimiter, size_t& at) {
  std::string field;
  ++at;
  for (;;) {
    if (at >= record.size()) {
      return invalid_argument("Quoted field has to end with quote followed by delim, CRLF, or EOF");
    }
    if (record[at] != '"') {
      field += record[at++];
    } else if (at + 1 < record.size() && record[at + 1] == '"') {
      field += '"';
      at += 2;
    } else {
      break;
    }
  }
  ++at;
  if (at < record.size() && record[at] != delimiter && record[at] != '\n' && record[at] != '\r') {
    return invalid_argument("Quoted field has to end with quote followed by delim, CRLF, or EOF");
  }
  return field;
}

StatusOr<std::vector<std::string>> read_fields(std::string_view record, const CsvSpec& spec) {
  std::vector<std::string> fields;
  const auto ends_line = [](char c) { return c == '\n' || c == '\r'; };
  for (size_t at = 0;;) {
    if (spec.quotes && at < record.size() && record[at] == '"') {
      TENON_ASSIGN_OR_RETURN(fields.emplace_back(), read_quoted(record, spec.delimiter, at));
    } else {
      const size_t begin = at;
      while (at < record.size() && record[at] != spec.delimiter && !ends_line(record[at])) {
        if (spec.quotes && record[at] == '"') {
          return invalid_argument("Unquoted fields cannot have quotes inside");
        }
        ++at;
      }
      fields.emplace_back(record.substr(begin, at - begin));
    }
    if (at < record.size() && record[at] == spec.delimiter) {
      ++at;
      continue;
    }
    while (at < record.size() && ends_line(record[at])) ++at;
    if (at < record.size()) {
      return invalid_argument("a record is one line, found text behind its end");
    }
    break;
  }
  if (spec.selected.empty()) return fields;
  std::vector<std::string> chosen;
  for (int64_t column : spec.selected) {
    if (column < static_cast<int64_t>(fields.size())) {
      chosen.push_back(std::move(fields[static_cast<size_t>(column)]));
    }
  }
  return chosen;
}

// Column by column; `row` is the record.
class CsvColumns {
 public:
  CsvColumns(KernelRun& r, const CsvSpec& spec) : r_(r), spec_(spec) {
    texts_.resize(static_cast<size_t>(r.num_outputs()));
  }

  Status allocate() {
    for (int i = 0; i < r_.num_outputs(); ++i) {
      if (r_.output(i).dtype() == DType::kString) {
        texts_[static_cast<size_t>(i)].emplace(r_.input(0).shape());
      } else {
        TENON_RETURN_IF_ERROR(r_.allocate_output(i, r_.input(0).shape()));
      }
    }
    return absl::OkStatus();
  }

  Status put(int64_t row, int column, std::string_view field) {
    const Tensor& fallback = r_.input(column + 1);
    if (field.empty() || field == spec_.missing) {
      if (fallback.num_elements() != 1) {
        return invalid_argument("Field ", column, " is required but missing in record ", row, "!");
      }
      if (fallback.dtype() == DType::kString) {
        texts_[static_cast<size_t>(column)]->set(row, *fallback.data<std::string_view>());
        return absl::OkStatus();
      }
    } else if (fallback.dtype() == DType::kString) {
      texts_[static_cast<size_t>(column)]->set(row, field);
      return absl::OkStatus();
    }
    bool valid = true;
    visit<TextNumberTypes>(fallback.dtype(), [&]<class T>() {
      T& target = r_.out<T>(column)[row];
      if (field.empty() || field == spec_.missing) {
        target = *fallback.data<T>();
      } else {
        valid = read_text_number(field, target);
      }
    });
    if (valid) return absl::OkStatus();
    return invalid_argument("Field ", column, " in record ", row, " is not a valid ",
                            fallback.dtype(), ": ", field);
  }

  void finish() {
    for (int i = 0; i < r_.num_outputs(); ++i) {
      auto& texts = texts_[static_cast<size_t>(i)];
      if (texts) r_.set_output(i, std::move(*texts).build());
    }
  }

 private:
  KernelRun& r_;
  const CsvSpec& spec_;
  std::vector<std::optional<StringTensorBuilder>> texts_;
};

StatusOr<Kernel> make_decode_csv(Prepare& p) {
  CsvSpec spec{',', p.attr<bool>("use_quote_delim"), p.attr<std::string>("na_value"),
               p.attr<std::vector<int64_t>>("select_cols")};
  const std::string& delimiter = p.attr<std::string>("field_delim");
  if (delimiter.size() != 1) {
    return invalid_argument("field_delim should be only 1 char, found '", delimiter, "'");
  }
  spec.delimiter = delimiter[0];
  if (!spec.selected.empty()) {
    if (static_cast<int>(spec.selected.size()) != p.num_outputs()) {
      return invalid_argument("select_cols should match output size: ", spec.selected.size(),
                              " and ", p.num_outputs());
    }
    for (size_t i = 0; i < spec.selected.size(); ++i) {
      if (spec.selected[i] < 0 || (i > 0 && spec.selected[i] <= spec.selected[i - 1])) {
        return invalid_argument("select_cols should be strictly increasing indices from 0 on");
      }
    }
  }
  return Kernel([spec](KernelRun& r) -> Status {
    const auto records = r.input(0).span<std::string_view>();
    CsvColumns columns(r, spec);
    TENON_RETURN_IF_ERROR(columns.allocate());
    for (size_t row = 0; row < records.size(); ++row) {
      TENON_ASSIGN_OR_RETURN(const auto fields, read_fields(records[row], spec));
      if (static_cast<int>(fields.size()) != r.num_outputs()) {
        return invalid_argument("Expect ", r.num_outputs(), " fields but have ", fields.size(),
                                " in record ", row);
      }
      for (int i = 0; i < r.num_outputs(); ++i) {
        TENON_RETURN_IF_ERROR(
            columns.put(static_cast<int64_t>(row), i, fields[static_cast<size_t>(i)]));
      }
    }
    columns.finish();
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(DecodeCSV) = {
    .inputs = "records: string, record_defaults: OUT_TYPE",
    .outputs = "output: OUT_TYPE",
    .attrs =
        "OUT_TYPE: list({float, double, int32, int64, string}) >= 1; field_delim: string = ','; "
        "use_quote_delim: bool = true; na_value: string = ''; select_cols: list(int) = []",
    .supplies_outputs = true,
    .shape = decode_csv_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_decode_csv},
};

}  // namespace tenon
