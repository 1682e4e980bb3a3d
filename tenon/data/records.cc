// TFRecord files and the tf.Examples in them.
#include <set>

#include "tenon/data/dataset_of.h"
#include "tenon/data/record_files.h"
#include "tenon/data/sources.h"
#include "tenon/io/bytes.h"
#include "tenon/io/crc32c.h"
#include "tenon/io/example.h"

namespace tenon::data {

namespace {

DType dtype_of_kind(FeatureKind kind) {
  switch (kind) {
    case FeatureKind::kBytes:
      return DType::kString;
    case FeatureKind::kFloat:
      return DType::kFloat;
    case FeatureKind::kInt64:
      return DType::kInt64;
    default:
      return DType::kInvalid;
  }
}

// The shape of `count` values: the first dimension of the specification may be unknown.
StatusOr<Shape> shape_of_values(const FeatureSpec& spec, size_t count) {
  const auto refuse = [&] {
    return invalid_argument("feature '", spec.name, "' has ", count,
                            " values, expected is the shape ", spec.shape);
  };
  std::vector<int64_t> dims(spec.shape.dims().begin(), spec.shape.dims().end());
  const bool open = spec.shape.has_rank() && !dims.empty() && dims[0] < 0;
  if (open) dims[0] = 1;
  if (!spec.shape.has_rank() ||
      std::any_of(dims.begin(), dims.end(), [](auto d) { return d < 0; })) {
    return invalid_argument("feature '", spec.name,
                            "': a schema's shape is known but for its first "
                            "dimension, not ",
                            spec.shape);
  }
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, 16));
  const int64_t each = shape.num_elements();
  if (open && each > 0) shape.set(0, static_cast<int64_t>(count) / each);
  if (shape.num_elements() != static_cast<int64_t>(count)) return refuse();
  return shape;
}

template <class T>
StatusOr<Tensor> tensor_of_values(const FeatureSpec& spec, const std::vector<T>& values) {
  TENON_ASSIGN_OR_RETURN(Shape shape, shape_of_values(spec, values.size()));
  return Tensor::from<T>(std::move(shape), values);
}

StatusOr<Tensor> read_feature(const FeatureSpec& spec, const FeatureView& feature) {
  if (feature.kind() == FeatureKind::kFloat) {
    std::vector<float> values;
    TENON_RETURN_IF_ERROR(feature.append_floats(values));
    return tensor_of_values(spec, values);
  }
  if (feature.kind() == FeatureKind::kInt64) {
    std::vector<int64_t> values;
    TENON_RETURN_IF_ERROR(feature.append_int64s(values));
    return tensor_of_values(spec, values);
  }
  std::vector<std::string_view> values;
  TENON_RETURN_IF_ERROR(feature.append_bytes(values));
  TENON_ASSIGN_OR_RETURN(Shape shape, shape_of_values(spec, values.size()));
  const std::vector<std::string> texts(values.begin(), values.end());
  return Tensor::strings(std::move(shape), texts);
}

StatusOr<Tensor> missing_feature(const FeatureSpec& spec) {
  if (spec.default_value.has_value()) return spec.default_value;
  if (spec.shape.has_rank() && spec.shape.rank() > 0 && spec.shape[0] < 0) {
    TENON_ASSIGN_OR_RETURN(Shape shape, shape_of_values(spec, 0));
    return Tensor::allocate(spec.dtype, std::move(shape));
  }
  return invalid_argument("feature '", spec.name, "' is required but missing");
}

StatusOr<size_t> count_values(const FeatureView& feature) {
  std::vector<float> floats;
  std::vector<int64_t> numbers;
  std::vector<std::string_view> texts;
  if (feature.kind() == FeatureKind::kFloat) {
    TENON_RETURN_IF_ERROR(feature.append_floats(floats));
  } else if (feature.kind() == FeatureKind::kInt64) {
    TENON_RETURN_IF_ERROR(feature.append_int64s(numbers));
  } else {
    TENON_RETURN_IF_ERROR(feature.append_bytes(texts));
  }
  return floats.size() + numbers.size() + texts.size();
}

// What the examples seen so far say of one feature.
struct SeenFeature {
  DType dtype = DType::kInvalid;
  size_t values = 0;
  int64_t examples = 0;
  bool varies = false;
};

Status look_at(const ExampleView& example, std::map<std::string, SeenFeature>& seen) {
  std::set<std::string_view> names;
  for (const auto& entry : example.entries()) names.insert(entry.name);
  for (std::string_view name : names) {
    const FeatureView& feature = *example.find(name);
    const DType dtype = dtype_of_kind(feature.kind());
    if (dtype == DType::kInvalid) continue;
    TENON_ASSIGN_OR_RETURN(const size_t values, count_values(feature));
    SeenFeature& all = seen[std::string(name)];
    if (all.examples > 0 && all.dtype != dtype) {
      return invalid_argument("feature '", name, "' is ", dtype, ", before it was ", all.dtype);
    }
    all.varies = all.varies || (all.examples > 0 && values != all.values);
    all.dtype = dtype;
    all.values = values;
    ++all.examples;
  }
  return absl::OkStatus();
}

class RecordsIterator final : public Iterator {
 public:
  // Without a schema, records are given as they are.
  RecordsIterator(std::vector<std::string> paths, std::shared_ptr<const Schema> schema, bool placed)
      : files_(std::move(paths)), schema_(std::move(schema)), placed_(placed) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, files_.next(record_));
    if (!more) return false;
    if (!schema_) {
      element.assign(1, Tensor::string(record_));
      return true;
    }
    StatusOr<Element> example = parse_example(record_, *schema_);
    if (!example.ok()) return files_.at_record(example.status());
    element = *std::move(example);
    if (placed_) element.push_back(files_.place());
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    for (int64_t passed = 0; passed < count; ++passed) {
      TENON_ASSIGN_OR_RETURN(const bool more, files_.next(record_));
      if (!more) return passed;
    }
    return count;
  }

 private:
  RecordFiles files_;
  std::shared_ptr<const Schema> schema_;
  bool placed_;
  std::string record_;
};

DatasetPtr records_dataset(std::vector<std::string> paths, std::shared_ptr<const Schema> schema,
                           bool placed) {
  return dataset_of(
      [paths = std::move(paths), schema = std::move(schema), placed](uint64_t) -> IteratorOr {
        return std::make_unique<RecordsIterator>(paths, schema, placed);
      },
      []() -> int64_t { return -1; });
}

}  // namespace

bool begins_record(std::string_view bytes) {
  return bytes.size() >= kRecordStart &&
         mask_crc(crc32c(bytes.substr(0, 8))) == load_le<uint32_t>(bytes.data() + 8);
}

StatusOr<RecordReader> open_records(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  std::string start(std::min<uint64_t>(kRecordStart, file->size()), '\0');
  TENON_RETURN_IF_ERROR(file->read(0, start));
  if (begins_record(start) || start.size() < 2) return RecordReader::open(path);
  const auto first = static_cast<uint8_t>(start[0]), second = static_cast<uint8_t>(start[1]);
  if (first == 0x1f && second == 0x8b) return RecordReader::open(path, Compression::kGzip);
  // RFC 1950: deflate, and a check over both bytes.
  const bool zlib = (first & 0x0f) == 8 && ((first << 8) | second) % 31 == 0;
  return RecordReader::open(path, zlib ? Compression::kZlib : Compression::kNone);
}

bool holds_records(const std::string& path) {
  // The checksum of the first length suffices, so that a file whose first record is damaged is
  // read, and said to be.
  const auto file = RandomAccessFile::open(path);
  std::string start(kRecordStart, '\0');
  if (!file.ok() || !(*file)->read(0, start).ok()) return false;
  if (begins_record(start)) return true;
  StatusOr<RecordReader> reader = open_records(path);
  std::string record;
  const StatusOr<bool> more = reader.ok() ? reader->next(record) : reader.status();
  return more.ok() && *more;
}

StatusOr<bool> RecordFiles::next(std::string& record) {
  for (;;) {
    if (!reader_) {
      if (file_ == paths_.size()) return false;
      TENON_ASSIGN_OR_RETURN(RecordReader reader, open_records(paths_[file_]));
      reader_.emplace(std::move(reader));
    }
    offset_ = reader_->offset();
    TENON_ASSIGN_OR_RETURN(const bool more, reader_->next(record));
    if (more) return true;
    reader_.reset();
    ++file_;
  }
}

Status RecordFiles::at_record(const Status& status) const {
  return with_context(status, cat("'", paths_[file_], "': the record at byte ", offset_));
}

StatusOr<Element> parse_example(std::string_view example, const Schema& schema) {
  ExampleView view;
  TENON_RETURN_IF_ERROR(view.decode(example));
  Element element;
  element.reserve(schema.size());
  for (const FeatureSpec& spec : schema) {
    const FeatureView* feature = view.find(spec.name);
    if (!feature || feature->kind() == FeatureKind::kNone) {
      TENON_ASSIGN_OR_RETURN(Tensor value, missing_feature(spec));
      element.push_back(std::move(value));
      continue;
    }
    if (dtype_of_kind(feature->kind()) != spec.dtype) {
      return invalid_argument("feature '", spec.name, "' is a ", to_string(feature->kind()),
                              ", expected is ", spec.dtype);
    }
    TENON_ASSIGN_OR_RETURN(Tensor value, read_feature(spec, *feature));
    element.push_back(std::move(value));
  }
  return element;
}

DatasetPtr tf_records(std::vector<std::string> paths) {
  return records_dataset(std::move(paths), nullptr, false);
}

DatasetPtr tf_examples(std::vector<std::string> paths, Schema schema) {
  return records_dataset(std::move(paths), std::make_shared<const Schema>(std::move(schema)),
                         false);
}

DatasetPtr placed_examples(std::vector<std::string> paths, Schema schema) {
  return records_dataset(std::move(paths), std::make_shared<const Schema>(std::move(schema)), true);
}

StatusOr<Schema> infer_schema(const std::vector<std::string>& paths, int64_t most) {
  RecordFiles files(paths);
  std::map<std::string, SeenFeature> seen;
  std::string record;
  ExampleView example;
  int64_t examples = 0;
  for (; examples < most; ++examples) {
    TENON_ASSIGN_OR_RETURN(const bool more, files.next(record));
    if (!more) break;
    Status status = example.decode(record);
    if (status.ok()) status = look_at(example, seen);
    if (!status.ok()) return files.at_record(status);
  }
  if (seen.empty()) {
    return invalid_argument(paths.empty() ? "no file" : cat("'", paths[0], "'"),
                            ": no tf.Example with features in ", examples, " records");
  }
  Schema schema;
  for (const auto& [name, feature] : seen) {
    FeatureSpec spec{.name = name, .dtype = feature.dtype, .shape = PartialShape{-1}};
    if (!feature.varies && feature.examples == examples) {
      spec.shape = feature.values == 1 ? PartialShape(Shape())
                                       : PartialShape{static_cast<int64_t>(feature.values)};
    }
    schema.push_back(std::move(spec));
  }
  return schema;
}

}  // namespace tenon::data
