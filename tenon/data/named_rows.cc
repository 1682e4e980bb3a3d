#include "tenon/data/named_rows.h"

#include <cmath>

#include "tenon/base/thread_pool.h"
#include "tenon/data/csv/csv_records.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/record_files.h"
#include "tenon/data/row_sources.h"
#include "tenon/data/sources.h"
#include "tenon/data/transforms.h"
#include "tenon/io/npy.h"

namespace tenon::data {

namespace {

Status lacks(const std::string& path, const NamedTensor& tensor, std::string_view what,
             const std::vector<std::string>& there) {
  return invalid_argument("'", path, "' has no ", what, " '", tensor.name,
                          "', which the model wants; there are ", join(there, ", "));
}

bool is_among(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool wants_integers(const NamedTensor& tensor) {
  return tensor.is_class_number || tensor.is_integer;
}

StatusOr<Tensor> row_of_integers(const NamedTensor& tensor, Shape shape,
                                 std::span<const int64_t> values) {
  for (int64_t value : values) {
    if (value < 0 && tensor.is_class_number) {
      return invalid_argument("'", tensor.name, "': ", value, " is no number of a class");
    }
  }
  return Tensor::from<int64_t>(std::move(shape), values);
}

// `values`, which are numbers, as a row of the tensor.
template <class T>
StatusOr<Tensor> row_of_numbers(const NamedTensor& tensor, std::span<const T> values) {
  std::vector<int64_t> dims(tensor.row.dims().begin(), tensor.row.dims().end());
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims));
  if (shape.num_elements() != static_cast<int64_t>(values.size())) {
    return invalid_argument("'", tensor.name, "' has ", values.size(), " numbers, the model wants ",
                            shape);
  }
  if (!wants_integers(tensor)) {
    Tensor numbers(DType::kFloat, std::move(shape));
    std::transform(values.begin(), values.end(), numbers.mutable_data<float>(),
                   [](T value) { return static_cast<float>(value); });
    return numbers;
  }
  if constexpr (std::is_same_v<T, int64_t>) {
    return row_of_integers(tensor, std::move(shape), values);
  } else {
    std::vector<int64_t> integers;
    for (const T value : values) {
      if (!(std::abs(value) < T{9e15}) || value != std::floor(value)) {
        return invalid_argument("'", tensor.name, "': ", value, " is no ",
                                tensor.is_class_number ? "number of a class" : "integer");
      }
      integers.push_back(static_cast<int64_t>(value));
    }
    return row_of_integers(tensor, std::move(shape), integers);
  }
}

// The cells of a CSV as a row of numbers.
StatusOr<Tensor> row_of_cells(const NamedTensor& tensor, std::span<const std::string_view> cells) {
  std::vector<float> floats;
  std::vector<int64_t> integers;
  for (std::string_view cell : cells) {
    double number = 0;
    if (!parse_cell(cell, number)) {
      return invalid_argument("'", tensor.name, "': '", cell.substr(0, 40), "' is no number");
    }
    if (wants_integers(tensor)) {
      if (!parse_integer(cell, integers.emplace_back())) {
        return invalid_argument("'", tensor.name, "': '", cell.substr(0, 40), "' is no ",
                                tensor.is_class_number ? "number of a class" : "integer");
      }
      continue;
    }
    floats.push_back(static_cast<float>(number));
    if (std::isinf(floats.back())) {
      return invalid_argument("'", tensor.name, "': '", cell.substr(0, 40), "' is beyond float32");
    }
  }
  return wants_integers(tensor) ? row_of_numbers<int64_t>(tensor, integers)
                                : row_of_numbers<float>(tensor, floats);
}

StatusOr<Tensor> row_of_texts(const NamedTensor& tensor, std::span<const std::string_view> texts) {
  std::vector<int64_t> dims(tensor.row.dims().begin(), tensor.row.dims().end());
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims));
  if (shape.num_elements() != static_cast<int64_t>(texts.size())) {
    return invalid_argument("'", tensor.name, "' has ", texts.size(), " texts, the model wants ",
                            shape);
  }
  const std::vector<std::string> copies(texts.begin(), texts.end());
  return Tensor::strings(std::move(shape), copies);
}

// --- NPZ ---

StatusOr<NamedRows> open_arrays(const NpzReader& npz, const std::string& path,
                                std::span<const NamedTensor> wanted) {
  NamedRows made;
  Element columns;
  for (const NamedTensor& tensor : wanted) {
    made.exists.push_back(is_among(tensor.name, npz.names()));
    if (!made.exists.back()) {
      if (!tensor.optional) return lacks(path, tensor, "array", npz.names());
      continue;
    }
    TENON_ASSIGN_OR_RETURN(Tensor array, npz.read(tensor.name));
    columns.push_back(std::move(array));
  }
  TENON_ASSIGN_OR_RETURN(made.rows, from_tensors(std::move(columns)));
  return made;
}

// --- CSV ---

// The columns that a tensor is made of; empty where the file lacks one of them.
std::vector<std::string> columns_of(const NamedTensor& tensor,
                                    const std::vector<std::string>& there) {
  int64_t width = 1;
  for (const int64_t dim : tensor.row.dims()) {
    if (dim < 0 || __builtin_mul_overflow(width, dim, &width)) return {};
  }
  if (width > static_cast<int64_t>(there.size())) return {};
  if (width == 1 && is_among(tensor.name, there)) return {tensor.name};
  std::vector<std::string> columns;
  for (int64_t i = 0; i < width; ++i) {
    columns.push_back(cat(tensor.name, "_", i));
    if (!is_among(columns.back(), there)) return {};
  }
  return columns;
}

// Tensors side by side in the rows of a table.
struct Cut {
  std::vector<NamedTensor> tensors;
  std::vector<size_t> widths;
};

class CutIterator final : public Iterator {
 public:
  CutIterator(std::shared_ptr<const Cut> cut, std::unique_ptr<Iterator> rows)
      : cut_(std::move(cut)), rows_(std::move(rows)) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, rows_->next(row_));
    if (!more) return false;
    ++number_;
    element.resize(cut_->tensors.size());
    size_t at = 0;
    for (size_t i = 0; i < element.size(); ++i) {
      StatusOr<Tensor> value = cut(i, at);
      if (!value.ok()) return with_context(value.status(), cat("row ", number_));
      element[i] = *std::move(value);
      at += cut_->widths[i];
    }
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    TENON_ASSIGN_OR_RETURN(const int64_t passed, rows_->skip(count));
    number_ += passed;
    return passed;
  }

 private:
  // The columns of tensor `i`, which begin at `at`.
  StatusOr<Tensor> cut(size_t i, size_t at) const {
    const NamedTensor& tensor = cut_->tensors[i];
    const size_t width = cut_->widths[i];
    if (row_[0].dtype() != DType::kString) {
      return row_of_numbers<float>(tensor, row_[0].span<float>().subspan(at, width));
    }
    const auto cells = row_[0].span<std::string_view>().subspan(at, width);
    return tensor.is_text ? row_of_texts(tensor, cells) : row_of_cells(tensor, cells);
  }

  const std::shared_ptr<const Cut> cut_;
  const std::unique_ptr<Iterator> rows_;
  Element row_;
  int64_t number_ = 0;
};

StatusOr<NamedRows> open_columns(const std::string& path, std::span<const NamedTensor> wanted,
                                 FileOptions options) {
  TENON_ASSIGN_OR_RETURN(const auto there, csv_names(path, options));
  options.use_labels = Labels::kNone;
  options.label_column.clear();
  options.names = {};
  options.features.clear();
  NamedRows made;
  const auto cut = std::make_shared<Cut>();
  for (const NamedTensor& tensor : wanted) {
    const std::vector<std::string> columns = columns_of(tensor, there);
    made.exists.push_back(!columns.empty());
    if (columns.empty()) {
      if (!tensor.optional) return lacks(path, tensor, "columns of", there);
      continue;
    }
    options.features.insert(options.features.end(), columns.begin(), columns.end());
    // Cells of integers are read from their texts: float32 would cut their bits.
    if (tensor.is_text || wants_integers(tensor)) options.take = Features::kTexts;
    cut->tensors.push_back(tensor);
    cut->widths.push_back(columns.size());
  }
  TENON_ASSIGN_OR_RETURN(const RowStream stream, open_csv(path, options));
  made.rows = dataset_of(
      [cut, table = stream.rows](uint64_t epoch) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> rows, table->iterate(epoch));
        return std::make_unique<CutIterator>(cut, std::move(rows));
      },
      [table = stream.rows] { return table->size(); });
  return made;
}

// --- TFRecord ---

// Makes rows of examples, whose last value is the place of the record. Called from several threads.
struct NamedExample {
  std::vector<std::string> paths;
  std::vector<NamedTensor> tensors;
  ImageOptions images;
  bool refuse_nan = false;

  StatusOr<Element> operator()(Element values) const {
    Element row;
    for (size_t i = 0; i < tensors.size(); ++i) {
      StatusOr<Tensor> value = make(tensors[i], values[i]);
      if (!value.ok()) {
        const int64_t* at = values.back().data<int64_t>();
        return with_context(value.status(), cat("'", paths[static_cast<size_t>(at[0])],
                                                "': the record at byte ", at[1]));
      }
      row.push_back(*std::move(value));
    }
    return row;
  }

 private:
  StatusOr<Tensor> make(const NamedTensor& tensor, const Tensor& value) const {
    if (tensor.is_text && value.dtype() != DType::kString) {
      return invalid_argument("'", tensor.name, "' holds numbers, the model wants texts");
    }
    if (tensor.is_text) return row_of_texts(tensor, value.span<std::string_view>());
    if (value.dtype() == DType::kString) {
      if (tensor.is_class_number || value.num_elements() != 1) {
        return invalid_argument("'", tensor.name, "' is a text, the model wants numbers");
      }
      return with_context_of(tensor, decode_image(*value.data<std::string_view>(), images));
    }
    if (value.dtype() == DType::kFloat) {
      const std::span<const float> numbers = value.span<float>();
      if (refuse_nan && std::any_of(numbers.begin(), numbers.end(),
                                    [](float number) { return std::isnan(number); })) {
        return invalid_argument("'", tensor.name, "' is NaN; the loss would turn NaN too");
      }
      return row_of_numbers<float>(tensor, numbers);
    }
    return row_of_numbers<int64_t>(tensor, value.span<int64_t>());
  }
  static StatusOr<Tensor> with_context_of(const NamedTensor& tensor, StatusOr<Tensor> image) {
    if (!image.ok()) return with_context(image.status(), cat("'", tensor.name, "'"));
    return image;
  }
};

StatusOr<NamedRows> open_features(const std::vector<std::string>& paths, const std::string& path,
                                  std::span<const NamedTensor> wanted, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const Schema schema, infer_schema(paths));
  std::vector<std::string> there;
  for (const FeatureSpec& spec : schema) there.push_back(spec.name);
  NamedRows made;
  NamedExample make{.paths = paths,
                    .tensors = {},
                    .images = options.images,
                    .refuse_nan = options.use_labels == Labels::kNumber};
  Schema chosen;
  bool encoded = false;
  for (const NamedTensor& tensor : wanted) {
    const auto found = std::find_if(schema.begin(), schema.end(), [&](const FeatureSpec& spec) {
      return spec.name == tensor.name;
    });
    made.exists.push_back(found != schema.end());
    if (found == schema.end()) {
      if (!tensor.optional) return lacks(path, tensor, "feature", there);
      continue;
    }
    chosen.push_back(*found);
    make.tensors.push_back(tensor);
    encoded |= found->dtype == DType::kString && !tensor.is_text;
  }
  // Images are worth threads, numbers are not.
  made.rows = map(placed_examples(paths, std::move(chosen)), std::move(make),
                  encoded ? ThreadPool::configured_threads() : 1);
  return made;
}

}  // namespace

StatusOr<Element> NamedRows::collect() const {
  Element columns;
  if (const std::optional<Columns> held = rows->columns(0)) {
    columns = *held->values;
  } else {
    TENON_ASSIGN_OR_RETURN(columns, columns_of_rows(*rows));
  }
  Element all;
  size_t next = 0;
  for (const bool is_there : exists) {
    all.push_back(is_there && next < columns.size() ? std::move(columns[next++]) : Tensor());
  }
  return all;
}

StatusOr<NamedRows> open_named_rows(const std::string& path, std::vector<NamedTensor> wanted,
                                    const FileOptions& options) {
  const std::vector<std::string> records = record_files(path);
  if (!records.empty()) return open_features(records, path, wanted, options);
  const StatusOr<NpzReader> npz = NpzReader::open(path);
  return npz.ok() ? open_arrays(*npz, path, wanted) : open_columns(path, wanted, options);
}

}  // namespace tenon::data
