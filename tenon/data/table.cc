#include <cmath>

#include "tenon/base/files.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/data/content.h"
#include "tenon/data/files.h"
#include "tenon/data/record_files.h"
#include "tenon/data/row_sources.h"
#include "tenon/io/npy.h"

namespace tenon::data {

namespace {

StatusOr<Table> read_npz(const std::string& path, const FileOptions& options) {
  StatusOr<NpzReader> opened = NpzReader::open(path);
  if (!opened.ok() || opened->names().empty()) {
    return invalid_argument(path, ": a zip archive, but not of NPY arrays as NPZ is; ",
                            known_kinds());
  }
  const NpzReader& npz = *opened;
  const auto& names = npz.names();
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::string x = options.x_key, y = options.y_key;
  if (x.empty()) x = has("x") ? "x" : has("x_train") ? "x_train" : names[0];
  if (y.empty()) y = has("y") ? "y" : has("y_train") ? "y_train" : names.size() > 1 ? names[1] : "";
  Table table;
  TENON_ASSIGN_OR_RETURN(table.x, npz.read(x));
  if (options.reads_labels() && !y.empty()) {
    TENON_ASSIGN_OR_RETURN(table.y, npz.read(y));
  }
  return table;
}

// An array of an NPY or IDX file.
StatusOr<Tensor> decode_array(const Content& content) {
  return content.kind == ContentKind::kNpy ? decode_npy(content.bytes, content.name)
                                           : decode_idx(content.bytes, content.name);
}

// A column of texts, as arrays hold them too, becomes class numbers.
Status number_text_labels(const std::string& name, const FileOptions& options, Table& table) {
  const Tensor& y = table.y;
  if (!y.has_value() || y.dtype() != DType::kString) return absl::OkStatus();
  if (y.num_elements() != y.dim(0)) {
    return invalid_argument(name, ": text labels of shape ", y.shape(),
                            "; one for each row is expected");
  }
  std::vector<std::string> labels;
  for (std::string_view text : y.span<std::string_view>()) labels.emplace_back(trim(text));
  const auto place = [&](size_t row) { return cat(name, ": the label of row ", row + 1); };
  TENON_ASSIGN_OR_RETURN(Tensor numbers,
                         number_labels(labels, options, place, table.names.classes));
  table.y = std::move(numbers);
  return absl::OkStatus();
}

// A folder or a file of records; no value for another file.
StatusOr<std::optional<RowStream>> open_big(const std::string& path, const FileOptions& options) {
  std::optional<RowStream> stream;
  if (path == "-") return stream;
  if (is_directory(path)) {
    TENON_ASSIGN_OR_RETURN(stream, open_folder(path, options));
  } else if (holds_records(path)) {
    TENON_ASSIGN_OR_RETURN(stream, open_examples({path}, options, cat("'", path, "'")));
  }
  return stream;
}

// What the path names, by what it is.
StatusOr<Table> read_any(const std::string& path, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const std::optional<RowStream> stream, open_big(path, options));
  if (stream) return collect(*stream);
  TENON_ASSIGN_OR_RETURN(const Content content, read_content(path));
  if (content.kind == ContentKind::kNpz) return read_npz(path, options);
  if (content.kind == ContentKind::kCsv) return parse_csv(content.bytes, options, content.name);
  Table table;
  TENON_ASSIGN_OR_RETURN(table.x, decode_array(content));
  return table;
}

StatusOr<Table> read_checked(const std::string& path, const FileOptions& options) {
  const std::string name = path == "-" ? "standard input" : path;
  TENON_ASSIGN_OR_RETURN(Table table, read_any(path, options));
  if (!options.labels.empty() && options.reads_labels()) {
    TENON_ASSIGN_OR_RETURN(const Content labels, read_content(options.labels));
    if (labels.kind == ContentKind::kCsv || labels.kind == ContentKind::kNpz) {
      return invalid_argument("--labels=", options.labels, ": expected an IDX or NPY file");
    }
    TENON_ASSIGN_OR_RETURN(table.y, decode_array(labels));
  }
  if (table.x.rank() == 0) return invalid_argument(name, ": a scalar has no rows");
  for (const Tensor* part : {&table.x, &table.y}) {
    if (part->has_value() && is_complex(part->dtype())) {
      return invalid_argument(name, ": ", part->dtype(),
                              " is not trained on; real numbers are expected");
    }
  }
  if (table.y.has_value() && (table.y.rank() == 0 || table.y.dim(0) != table.x.dim(0))) {
    return invalid_argument(name, " has ", table.x.dim(0), " rows, the labels have shape ",
                            table.y.shape());
  }
  TENON_RETURN_IF_ERROR(number_text_labels(name, options, table));
  return table;
}

}  // namespace

StatusOr<Table> read_table(const std::string& path, const FileOptions& options) {
  return or_out_of_memory([&] { return read_checked(path, options); });
}

StatusOr<RowStream> open_rows(const std::string& path, const FileOptions& options) {
  return or_out_of_memory([&]() -> StatusOr<RowStream> {
    if (path != "-" && options.labels.empty()) {
      TENON_ASSIGN_OR_RETURN(std::optional<RowStream> stream, open_big(path, options));
      if (stream) return *std::move(stream);
      TENON_ASSIGN_OR_RETURN(const Content content, peek_content(path));
      if (content.kind == ContentKind::kCsv) return open_csv(path, options);
    }
    TENON_ASSIGN_OR_RETURN(Table table, read_checked(path, options));
    RowStream stream;
    stream.shape = Shape(table.x.shape().dims().subspan(1));
    stream.names = std::move(table.names);
    Element columns = {std::move(table.x)};
    if (table.y.has_value()) {
      TENON_ASSIGN_OR_RETURN(stream.labels, from_tensors({table.y}));
      columns.push_back(std::move(table.y));
    }
    TENON_ASSIGN_OR_RETURN(stream.rows, from_tensors(std::move(columns)));
    return stream;
  });
}

StatusOr<int64_t> largest_label(const Tensor& labels) {
  if (labels.rank() == 2 && labels.dim(1) > 1) return labels.dim(1) - 1;
  constexpr double kMost = 1e15;  // whole numbers of all dtypes up to there are known exactly
  const bool yes_or_no = labels.dtype() == DType::kBool;
  const Tensor numbers = yes_or_no ? labels.as_dtype(DType::kUint8) : labels;
  int64_t largest = 0;
  Status status;
  const bool known = visit<RealTypes>(numbers.dtype(), [&]<class T>() {
    for (const T value : numbers.span<T>()) {
      const auto number = static_cast<double>(value);
      if (number != std::floor(number) || std::abs(number) > kMost) {
        status = invalid_argument("labels are numbers of classes, from 0 on; ", number, " is none");
        return;
      }
      largest = std::max(largest, static_cast<int64_t>(number));
    }
  });
  if (!known) return invalid_argument("labels of ", labels.dtype(), " are no numbers of classes");
  TENON_RETURN_IF_ERROR(status);
  return largest;
}

StatusOr<int64_t> largest_label(const RowStream& stream) {
  int64_t largest = 0;
  if (!stream.labels) return largest;
  TENON_ASSIGN_OR_RETURN(const auto labels, stream.labels->iterate(0));
  Element element;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, labels->next(element));
    if (!more) return largest;
    Shape as_row{1};
    for (const int64_t dim : element[0].shape().dims()) as_row.append(dim);
    TENON_ASSIGN_OR_RETURN(const int64_t label, largest_label(element[0].reshaped(as_row)));
    largest = std::max(largest, label);
  }
}

}  // namespace tenon::data
