#include "tenon/data/row_sources.h"

#include <cmath>
#include <cstring>

#include "tenon/base/files.h"
#include "tenon/base/thread_pool.h"
#include "tenon/data/csv/csv_records.h"
#include "tenon/data/labels.h"
#include "tenon/data/record_files.h"
#include "tenon/data/sources.h"
#include "tenon/data/transforms.h"
#include "tenon/ops/image/codec.h"

namespace tenon::data {

namespace {

// Rows of one dtype and shape, put one after the other into a tensor that grows by doubling.
class RowsBuilder {
 public:
  Status append(const Tensor& row) {
    if (rows_ == 0) {
      first_ = row.shape();
      TENON_RETURN_IF_ERROR(grow(row.dtype(), 64));
    } else if (row.dtype() != all_.dtype() || !(row.shape() == first_)) {
      return invalid_argument("row ", rows_ + 1, " is ", row.dtype(), row.shape(), ", the first ",
                              all_.dtype(), first_, ": rows of one shape are expected");
    }
    if (row.dtype() == DType::kString) {
      for (std::string_view text : row.span<std::string_view>()) texts_.emplace_back(text);
      ++rows_;
      return absl::OkStatus();
    }
    if (rows_ == all_.dim(0)) TENON_RETURN_IF_ERROR(grow(row.dtype(), 2 * rows_));
    if (const size_t bytes = row.num_bytes()) {
      std::memcpy(static_cast<char*>(all_.mutable_raw()) + static_cast<size_t>(rows_) * bytes,
                  row.raw(), bytes);
    }
    ++rows_;
    return absl::OkStatus();
  }
  // No value when there are no rows.
  Tensor build() && {
    if (rows_ == 0) return Tensor();
    if (all_.dtype() != DType::kString) return all_.slice(0, rows_);
    Shape shape = first_;
    shape.insert(0, rows_);
    return Tensor::strings(std::move(shape), texts_);
  }

 private:
  Status grow(DType dtype, int64_t rows) {
    Shape shape = first_;
    shape.insert(0, rows);
    TENON_ASSIGN_OR_RETURN(Tensor larger, Tensor::allocate(dtype, std::move(shape)));
    if (rows_ > 0 && all_.num_bytes() > 0) {
      std::memcpy(larger.mutable_raw(), all_.raw(), all_.num_bytes());
    }
    all_ = std::move(larger);
    return absl::OkStatus();
  }

  Tensor all_;                      // of texts: none yet
  std::vector<std::string> texts_;  // of all rows
  Shape first_;
  int64_t rows_ = 0;
};

// What all rows must be like: the first.
struct RowForm {
  DType dtype = DType::kInvalid;
  Shape shape;

  Status check(const Tensor& row) const {
    if (row.dtype() == dtype && row.shape() == shape) return absl::OkStatus();
    return invalid_argument("this is ", row.dtype(), row.shape(), ", the first row ", dtype, shape,
                            row.rank() == 3 ? ": images of different sizes need --image_size"
                                            : ": rows of one shape are expected");
  }
};

StatusOr<Element> first_of(const DatasetPtr& rows) {
  TENON_ASSIGN_OR_RETURN(const auto iterator, rows->iterate(0));
  Element first;
  TENON_ASSIGN_OR_RETURN(const bool any, iterator->next(first));
  if (!any) return invalid_argument("there are no rows");
  return first;
}

// Keras draws images before it sets a part aside for validation: in their folders' order the last
// part would be the last classes alone. The draw depends on nothing but how many there are.
Status draw_order(ImageFiles& files) {
  const auto count = static_cast<int64_t>(files.paths.size());
  TENON_ASSIGN_OR_RETURN(const auto order, shuffle(range(0, count, 1), count, 0)->iterate(0));
  ImageFiles drawn{.paths = {}, .classes = std::move(files.classes), .labels = {}};
  Element index;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, order->next(index));
    if (!more) break;
    const auto at = static_cast<size_t>(integer_at(index[0], 0));
    drawn.paths.push_back(std::move(files.paths[at]));
    if (!files.labels.empty()) drawn.labels.push_back(files.labels[at]);
  }
  files = std::move(drawn);
  return absl::OkStatus();
}

StatusOr<RowStream> open_images(const std::string& path, const FileOptions& options) {
  const bool known = options.use_labels == Labels::kKnown || !options.names.classes.empty();
  if (known && options.reads_labels() && options.names.classes.empty()) {
    return invalid_argument("'", path, "': the labels are the names of folders, and nothing says ",
                            "which number each had when the model was trained");
  }
  const auto classes = options.reads_labels() ? std::span<const std::string>(options.names.classes)
                                              : std::span<const std::string>();
  TENON_ASSIGN_OR_RETURN(ImageFiles files, list_images(path, classes));
  if (options.use_labels == Labels::kNumber) TENON_RETURN_IF_ERROR(draw_order(files));
  RowStream stream;
  if (options.reads_labels() && !files.classes.empty()) {
    stream.names.classes = files.classes;
    TENON_ASSIGN_OR_RETURN(stream.labels, from_tensors({Tensor::vector<int64_t>(files.labels)}));
  }
  const bool labels = stream.labels != nullptr;
  if (!labels) files.labels.clear();
  const auto count = static_cast<int64_t>(files.paths.size());
  TENON_ASSIGN_OR_RETURN(const DatasetPtr paths,
                         from_tensors({Tensor::strings(Shape{count}, files.paths)}));
  const DatasetPtr decoded =
      images(std::move(files), options.images, ThreadPool::configured_threads());
  TENON_ASSIGN_OR_RETURN(const Element first, first_of(decoded));
  stream.shape = first[0].shape();
  const RowForm form{first[0].dtype(), first[0].shape()};
  TENON_ASSIGN_OR_RETURN(const DatasetPtr placed, zip({decoded, paths}));
  stream.rows = map(placed, [form](Element element) -> StatusOr<Element> {
    if (const Status status = form.check(element[0]); !status.ok()) {
      return with_context(status, cat("'", *element.back().data<std::string_view>(), "'"));
    }
    element.pop_back();
    return element;
  });
  return stream;
}

const FeatureSpec* find_feature(const Schema& schema, std::string_view name) {
  for (const FeatureSpec& spec : schema) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

std::string names_of(const Schema& schema) {
  std::vector<std::string> names;
  for (const FeatureSpec& spec : schema) names.push_back(spec.name);
  return join(names, ", ");
}

// The feature that holds the labels; null when none is asked for or named like one.
StatusOr<const FeatureSpec*> label_feature(const Schema& schema, const FileOptions& options) {
  if (!options.label_column.empty()) {
    const FeatureSpec* label = find_feature(schema, options.label_column);
    if (!label) {
      return not_found("no feature is named '", options.label_column, "'; there are ",
                       names_of(schema));
    }
    return label;
  }
  for (const FeatureSpec& spec : schema) {
    if (is_label_name(spec.name)) return &spec;
  }
  if (const FeatureSpec* label = find_feature(schema, "image/class/label")) return label;
  if (!options.reads_labels()) return nullptr;
  return invalid_argument(
      "no feature is named label, target, class or y; name the one of the "
      "labels with --label: there are ",
      names_of(schema));
}

bool holds_image(const Tensor& value) {
  return value.has_value() && value.dtype() == DType::kString && value.num_elements() == 1 &&
         image_format(*value.data<std::string_view>()) != ImageFormat::kUnknown;
}

// Which features become x. `first` holds the values of the first example in the schema's order.
StatusOr<Schema> chosen_features(const Schema& schema, const FeatureSpec* label,
                                 const FileOptions& options, const Element& first) {
  const bool takes_texts = options.take == Features::kTexts;
  const std::vector<std::string>& asked =
      options.features.empty() ? options.names.features : options.features;
  Schema chosen;
  for (const std::string& name : asked) {
    const FeatureSpec* spec = find_feature(schema, name);
    if (!spec) return not_found("no feature is named '", name, "'; there are ", names_of(schema));
    if (spec == label) return invalid_argument("feature '", name, "' is the label");
    chosen.push_back(*spec);
  }
  if (!chosen.empty()) return chosen;
  Schema images;
  for (size_t i = 0; i < schema.size(); ++i) {
    if (&schema[i] == label) continue;
    if (takes_texts) {
      if (schema[i].dtype == DType::kString) chosen.push_back(schema[i]);
      continue;
    }
    chosen.push_back(schema[i]);
    if (holds_image(first[i])) images.push_back(schema[i]);
  }
  if (images.size() == 1) return images;
  if (chosen.empty()) {
    return invalid_argument("there is no feature ", takes_texts ? "of texts " : "",
                            "beside the label");
  }
  return chosen;
}

Status check_feature(const FeatureSpec& spec, size_t count, bool texts) {
  const bool is_text = spec.dtype == DType::kString;
  if (spec.shape.is_fully_known() && (texts ? is_text : !is_text || count == 1)) {
    return absl::OkStatus();
  }
  return invalid_argument("feature '", spec.name, "' ",
                          !spec.shape.is_fully_known() ? "has not equally many values everywhere"
                          : is_text                    ? "is a text"
                                                       : "holds numbers, the model takes texts",
                          "; choose others with --features");
}

// One row of x from features that are texts.
Tensor row_of_text_features(std::span<const Tensor> values) {
  if (values.size() == 1) return values[0];
  std::vector<std::string> row;
  for (const Tensor& value : values) {
    for (std::string_view text : value.span<std::string_view>()) row.emplace_back(text);
  }
  return Tensor::strings(Shape{static_cast<int64_t>(row.size())}, row);
}

// One row of x from the values of the features; `integers`: they keep their bits, where all are.
StatusOr<Tensor> row_of_features(std::span<const Tensor> values, const ImageOptions& images,
                                 bool integers) {
  if (values.size() == 1) {
    if (values[0].dtype() != DType::kString) return values[0];
    if (!holds_image(values[0])) {
      return invalid_argument(
          "a text is no feature: an image in JPEG, PNG, GIF or BMP is expected "
          "where there are bytes; choose others with --features");
    }
    return decode_image(*values[0].data<std::string_view>(), images);
  }
  const bool all_integers = std::all_of(values.begin(), values.end(), [](const Tensor& value) {
    return value.dtype() == DType::kInt64;
  });
  if (integers && all_integers) {
    std::vector<int64_t> row;
    for (const Tensor& value : values) {
      const auto numbers = value.span<int64_t>();
      row.insert(row.end(), numbers.begin(), numbers.end());
    }
    return Tensor::vector<int64_t>(row);
  }
  std::vector<float> row;
  for (const Tensor& value : values) {
    if (value.dtype() == DType::kInt64) {
      for (int64_t number : value.span<int64_t>()) row.push_back(static_cast<float>(number));
    } else {
      row.insert(row.end(), value.data<float>(), value.data<float>() + value.num_elements());
    }
  }
  return Tensor::vector<float>(row);
}

// The names of x's columns, where each feature is one.
std::vector<std::string> column_names(const Schema& features) {
  std::vector<std::string> names;
  for (const FeatureSpec& spec : features) {
    if (features.size() == 1 || spec.shape.rank() > 0) return {};
    names.push_back(spec.name);
  }
  return names;
}

// The number that a text which is a label stands for.
StatusOr<Tensor> number_of(const LabelNumbers& numbers, const Tensor& text) {
  Tensor number(numbers.dtype(), Shape{});
  TENON_RETURN_IF_ERROR(numbers.write(*text.data<std::string_view>(), number, 0));
  return number;
}

// Makes rows of examples: the values of the features, the label if there is one, and the place of
// the record. Called from several threads.
struct ExampleRows {
  std::vector<std::string> paths;
  ImageOptions images;
  bool labels = false, refuse_nan = false;
  Features take = Features::kFloats;
  std::optional<RowForm> form = {};                  // none yet for the first row
  std::shared_ptr<const LabelNumbers> numbers = {};  // null: labels are numbers

  StatusOr<Element> operator()(Element element) const {
    const Tensor place = std::move(element.back());
    element.pop_back();
    StatusOr<Element> row = make(element);
    if (row.ok()) return row;
    const int64_t* at = place.data<int64_t>();
    return with_context(
        row.status(), cat("'", paths[static_cast<size_t>(at[0])], "': the record at byte ", at[1]));
  }

 private:
  StatusOr<Element> make(const Element& values) const {
    const size_t features = values.size() - (labels ? 1 : 0);
    const std::span<const Tensor> found = std::span(values).first(features);
    Tensor x;
    if (take == Features::kTexts) {
      x = row_of_text_features(found);
    } else {
      TENON_ASSIGN_OR_RETURN(x, row_of_features(found, images, take == Features::kIntegers));
    }
    if (form) TENON_RETURN_IF_ERROR(form->check(x));
    if (refuse_nan && x.dtype() == DType::kFloat &&
        std::any_of(x.span<float>().begin(), x.span<float>().end(),
                    [](float value) { return std::isnan(value); })) {
      return invalid_argument("a feature is NaN; the loss would turn NaN too");
    }
    Element row = {std::move(x)};
    if (!labels) return row;
    if (!numbers) {
      row.push_back(values.back());
      return row;
    }
    TENON_ASSIGN_OR_RETURN(Tensor number, number_of(*numbers, values.back()));
    row.push_back(std::move(number));
    return row;
  }
};

// What the texts that are labels stand for; null where labels are numbers.
StatusOr<std::shared_ptr<const LabelNumbers>> numbers_of_labels(const FeatureSpec& label,
                                                                const DatasetPtr& labels,
                                                                const FileOptions& options) {
  if (label.dtype != DType::kString) return std::shared_ptr<const LabelNumbers>();
  const auto each = [&](FunctionRef<bool(std::string_view)> see) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto iterator, labels->iterate(0));
    Element element;
    for (;;) {
      TENON_ASSIGN_OR_RETURN(const bool more, iterator->next(element));
      if (!more || !see(*element[0].data<std::string_view>())) return absl::OkStatus();
    }
  };
  TENON_ASSIGN_OR_RETURN(LabelNumbers numbers, LabelNumbers::find(options, each));
  return std::make_shared<const LabelNumbers>(std::move(numbers));
}

}  // namespace

StatusOr<RowStream> open_examples(const std::vector<std::string>& paths, const FileOptions& options,
                                  const std::string& name) {
  const bool takes_texts = options.take == Features::kTexts;
  TENON_ASSIGN_OR_RETURN(const Schema schema, infer_schema(paths));
  TENON_ASSIGN_OR_RETURN(const FeatureSpec* label, label_feature(schema, options));
  TENON_ASSIGN_OR_RETURN(const Element first, first_of(tf_examples(paths, schema)));
  TENON_ASSIGN_OR_RETURN(Schema wanted, chosen_features(schema, label, options, first));
  for (const FeatureSpec& spec : wanted) {
    TENON_RETURN_IF_ERROR(with_context(check_feature(spec, wanted.size(), takes_texts), name));
  }
  RowStream stream;
  stream.names.features = column_names(wanted);
  ExampleRows make{.paths = paths, .images = options.images};
  make.labels = label && options.reads_labels();
  make.refuse_nan = options.use_labels == Labels::kNumber;
  make.take = options.take;
  if (make.labels) {
    if (!label->shape.is_fully_known() ||
        (label->dtype == DType::kString && label->shape.rank() > 0)) {
      return invalid_argument(name, ": feature '", label->name, "' has shape ", label->shape,
                              "; one label for each example is expected");
    }
    wanted.push_back(*label);
    stream.labels = tf_examples(paths, {*label});
    TENON_ASSIGN_OR_RETURN(make.numbers, numbers_of_labels(*label, stream.labels, options));
  }
  if (make.numbers) {
    stream.names.classes = make.numbers->classes();
    stream.labels = map(stream.labels, [numbers = make.numbers](Element text) -> StatusOr<Element> {
      TENON_ASSIGN_OR_RETURN(Tensor number, number_of(*numbers, text[0]));
      return Element{std::move(number)};
    });
  }
  const DatasetPtr examples = placed_examples(paths, wanted);
  TENON_ASSIGN_OR_RETURN(const Element row, first_of(map(examples, make)));
  stream.shape = row[0].shape();
  make.form = RowForm{row[0].dtype(), row[0].shape()};
  // Images are worth threads, numbers are not.
  const bool encoded = wanted[0].dtype == DType::kString && !takes_texts;
  stream.rows = map(examples, std::move(make), encoded ? ThreadPool::configured_threads() : 1);
  return stream;
}

std::vector<std::string> record_files(const std::string& path) {
  std::vector<std::string> records;
  if (!is_directory(path)) {
    if (holds_records(path)) records.push_back(path);
    return records;
  }
  const auto names = list_directory(path);
  if (!names.ok()) return records;
  for (const std::string& name : *names) {
    const std::string file = join_path(path, name);
    if (name[0] == '.' || is_directory(file)) continue;
    if (holds_records(file)) records.push_back(file);
  }
  return records;
}

StatusOr<RowStream> open_folder(const std::string& path, const FileOptions& options) {
  TENON_RETURN_IF_ERROR(list_directory(path).status());
  const std::vector<std::string> records = record_files(path);
  if (!records.empty()) return open_examples(records, options, cat("'", path, "'"));
  return open_images(path, options);
}

StatusOr<Element> columns_of_rows(const Dataset& rows) {
  TENON_ASSIGN_OR_RETURN(const auto iterator, rows.iterate(0));
  std::vector<RowsBuilder> columns;
  Element row;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, iterator->next(row));
    if (!more) break;
    columns.resize(row.size());
    for (size_t i = 0; i < row.size(); ++i) TENON_RETURN_IF_ERROR(columns[i].append(row[i]));
  }
  Element all;
  for (RowsBuilder& column : columns) all.push_back(std::move(column).build());
  return all;
}

StatusOr<Table> collect(const RowStream& stream) {
  TENON_ASSIGN_OR_RETURN(Element columns, columns_of_rows(*stream.rows));
  columns.resize(2);
  return Table{std::move(columns[0]), std::move(columns[1]), stream.names};
}

}  // namespace tenon::data
