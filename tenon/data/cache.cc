// What a first pass gave, kept in memory or in a file.
#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/data/dataset_of.h"
#include "tenon/io/record_io.h"

namespace tenon::data {

namespace {

// What a cache has kept; filled by the first iterator that reaches the end.
struct Kept {
  std::mutex mutex;
  std::shared_ptr<const std::vector<Element>> elements;
};

class KeepingIterator final : public Iterator {
 public:
  KeepingIterator(std::unique_ptr<Iterator> source, std::shared_ptr<Kept> kept)
      : source_(std::move(source)), kept_(std::move(kept)) {}
  StatusOr<bool> next(Element& element) override {
    Element fresh;
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(fresh));
    if (!more) {
      const std::lock_guard<std::mutex> lock(kept_->mutex);
      if (!kept_->elements) {
        kept_->elements = std::make_shared<const std::vector<Element>>(std::move(elements_));
      }
      return false;
    }
    for (Tensor& tensor : fresh) tensor = tensor.keep();
    element = fresh;
    elements_.push_back(std::move(fresh));
    return true;
  }

 private:
  std::unique_ptr<Iterator> source_;
  std::shared_ptr<Kept> kept_;
  std::vector<Element> elements_;
};

class CacheDataset final : public Dataset {
 public:
  explicit CacheDataset(DatasetPtr source) : source_(std::move(source)) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const override {
    std::shared_ptr<const std::vector<Element>> elements;
    {
      const std::lock_guard<std::mutex> lock(kept_->mutex);
      elements = kept_->elements;
    }
    if (elements) return iterate_elements(std::move(elements));
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, source_->iterate(epoch));
    return std::make_unique<KeepingIterator>(std::move(source), kept_);
  }
  int64_t size() const override { return source_->size(); }
  // Rows that stand in memory already, unless their order belongs to the pass.
  std::optional<Columns> columns(uint64_t epoch) const override {
    std::optional<Columns> columns = source_->columns(epoch);
    if (columns && !columns->order.empty()) return std::nullopt;
    return columns;
  }

 private:
  DatasetPtr source_;
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

// The file of a cache: TFRecords, one an element with its tensors as TensorProto (field 1), and at
// the end one with the number of elements (field 2).
constexpr uint32_t kTensorField = 1, kCountField = 2;

class FileWritingIterator final : public Iterator {
 public:
  FileWritingIterator(std::unique_ptr<Iterator> source, std::unique_ptr<AtomicFile> file)
      : source_(std::move(source)), file_(std::move(file)) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, source_->next(element));
    if (!file_) return more;
    std::string record;
    if (more) {
      TENON_RETURN_IF_ERROR(append_element(element, record));
      ++count_;
    } else {
      append_varint(record, kCountField << 3);
      append_varint(record, count_);
    }
    std::string framed;
    append_record(framed, record);
    TENON_RETURN_IF_ERROR(file_->append(framed));
    if (more) return true;
    TENON_RETURN_IF_ERROR(file_->commit());
    file_ = nullptr;
    return false;
  }

 private:
  static Status append_element(const Element& element, std::string& record) {
    for (const Tensor& tensor : element) {
      if (is_object(tensor.dtype()) && tensor.dtype() != DType::kString) {
        return unimplemented("a cache file of ", tensor.dtype(), " elements");
      }
      append_message(record, kTensorField, [&] { append_tensor(record, tensor); });
    }
    return absl::OkStatus();
  }

  std::unique_ptr<Iterator> source_;
  std::unique_ptr<AtomicFile> file_;  // null once it is committed
  uint64_t count_ = 0;
};

class FileReadingIterator final : public Iterator {
 public:
  FileReadingIterator(RecordReader reader, std::string path)
      : reader_(std::move(reader)), path_(std::move(path)) {}
  StatusOr<bool> next(Element& element) override {
    TENON_ASSIGN_OR_RETURN(const bool more, record());
    if (!more) return false;
    element.clear();
    WireReader fields(record_);
    WireField field;
    while (fields.next(field)) {
      if (!field.is_bytes(kTensorField)) continue;
      StatusOr<Tensor> tensor = parse_tensor(field.bytes);
      if (!tensor.ok()) return damaged(message_of(tensor.status()));
      element.push_back(*std::move(tensor));
    }
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    for (int64_t passed = 0; passed < count; ++passed) {
      TENON_ASSIGN_OR_RETURN(const bool more, record());
      if (!more) return passed;
    }
    return count;
  }

 private:
  // The next element's record in record_; false at the end.
  StatusOr<bool> record() {
    if (ended_) return false;
    offset_ = reader_.offset();
    TENON_ASSIGN_OR_RETURN(const bool more, reader_.next(record_));
    if (!more) return damaged("the file is cut off");
    WireReader fields(record_);
    WireField field;
    bool tensors = false;
    while (fields.next(field)) {
      ended_ = ended_ || field.is_varint(kCountField);
      tensors = tensors || field.is_bytes(kTensorField);
      if (field.is_varint(kCountField) && field.value != count_) {
        return damaged(cat(count_, " elements stand here, expected are ", field.value));
      }
    }
    if (fields.malformed() || tensors == ended_) return damaged("this is no record of a cache");
    if (!ended_) ++count_;
    return !ended_;
  }
  Status damaged(std::string_view what) const {
    return data_loss("the cache '", path_, "' at byte ", offset_, ": ", what,
                     "; remove it to have it made anew");
  }

  RecordReader reader_;
  std::string path_, record_;
  uint64_t offset_ = 0, count_ = 0;
  bool ended_ = false;
};

}  // namespace

DatasetPtr cache(DatasetPtr elements) {
  return std::make_shared<CacheDataset>(std::move(elements));
}

DatasetPtr cache(DatasetPtr elements, std::string path) {
  const auto iterate = [elements, path = std::move(path)](uint64_t epoch) -> IteratorOr {
    if (path_exists(path)) {
      TENON_ASSIGN_OR_RETURN(RecordReader reader, RecordReader::open(path));
      return std::make_unique<FileReadingIterator>(std::move(reader), path);
    }
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file, AtomicFile::create(path));
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, elements->iterate(epoch));
    return std::make_unique<FileWritingIterator>(std::move(source), std::move(file));
  };
  return dataset_of(iterate, [elements] { return elements->size(); });
}

}  // namespace tenon::data
