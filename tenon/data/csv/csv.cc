// CSV texts in memory, and CSV files that are read as they are asked for.
#include "tenon/data/content.h"
#include "tenon/data/csv/csv_layout.h"
#include "tenon/data/dataset_of.h"
#include "tenon/data/labels.h"
#include "tenon/data/row_sources.h"
#include "tenon/data/stack.h"
#include "tenon/io/npy.h"

namespace tenon::data {

namespace {

// A CSV whose layout is known, read from its beginning.
class CsvFile {
 public:
  static StatusOr<std::unique_ptr<CsvFile>> open(const std::string& path) {
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, open_source(path));
    return std::make_unique<CsvFile>(std::move(source));
  }
  explicit CsvFile(std::unique_ptr<ByteSource> source) : reader_(std::move(source)) {}
  CsvReader& reader() { return reader_; }
  int64_t line() const { return reader_.line(); }
  const CsvCells& cells() const { return cells_; }

  // The next row's record in cells(); false at the end.
  StatusOr<bool> next(const CsvLayout& layout) {
    if (!std::exchange(begun_, true)) {
      TENON_RETURN_IF_ERROR(reader_.look().status());
      reader_.set_separator(layout.separator());
      if (layout.has_header()) TENON_RETURN_IF_ERROR(layout.next(reader_, cells_).status());
    }
    return layout.next(reader_, cells_);
  }

 private:
  CsvReader reader_;
  CsvCells cells_;
  bool begun_ = false;
};

struct CsvShared {
  std::string path;
  CsvLayout layout;
  LabelNumbers labels;
};

class CsvRowsIterator final : public Iterator {
 public:
  // With `features` their row, then, where labels are read, the label.
  CsvRowsIterator(std::shared_ptr<const CsvShared> shared, std::unique_ptr<CsvFile> file,
                  bool features)
      : shared_(std::move(shared)), file_(std::move(file)), features_(features) {}
  StatusOr<bool> next(Element& element) override {
    const CsvLayout& layout = shared_->layout;
    TENON_ASSIGN_OR_RETURN(const bool more, file_->next(layout));
    if (!more) return false;
    element.resize((features_ ? 1 : 0) + (layout.reads_labels() ? 1 : 0));
    const Shape shape{static_cast<int64_t>(layout.features())};
    const bool numbers = features_ && layout.takes() != Features::kTexts;
    if (numbers) {
      const bool integers = layout.takes() == Features::kIntegers;
      TENON_RETURN_IF_ERROR(make_room(element[0], integers ? DType::kInt64 : DType::kFloat, shape));
    }
    std::string_view label;
    TENON_RETURN_IF_ERROR(layout.parse(file_->cells(), file_->line(),
                                       numbers ? element[0].mutable_raw() : nullptr, label));
    if (features_ && !numbers) element[0] = Tensor::strings(shape, layout.texts(file_->cells()));
    if (!layout.reads_labels()) return true;
    TENON_RETURN_IF_ERROR(make_room(element.back(), shared_->labels.dtype(), Shape{}));
    const Status status = shared_->labels.write(label, element.back(), 0);
    if (!status.ok()) return with_context(status, layout.label_place(file_->line()));
    return true;
  }
  StatusOr<int64_t> skip(int64_t count) override {
    for (int64_t passed = 0; passed < count; ++passed) {
      TENON_ASSIGN_OR_RETURN(const bool more, file_->next(shared_->layout));
      if (!more) return passed;
    }
    return count;
  }

 private:
  std::shared_ptr<const CsvShared> shared_;
  std::unique_ptr<CsvFile> file_;
  bool features_;
};

DatasetPtr csv_rows(const std::shared_ptr<const CsvShared>& shared, bool features) {
  return dataset_of(
      [shared, features](uint64_t) -> IteratorOr {
        TENON_ASSIGN_OR_RETURN(std::unique_ptr<CsvFile> file, CsvFile::open(shared->path));
        return std::make_unique<CsvRowsIterator>(shared, std::move(file), features);
      },
      []() -> int64_t { return -1; });
}

// The labels of all rows as they stand in the file.
Status each_label(const std::string& path, const CsvLayout& layout,
                  FunctionRef<bool(std::string_view)> see) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<CsvFile> file, CsvFile::open(path));
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, file->next(layout));
    if (!more) return absl::OkStatus();
    std::string_view label;
    TENON_RETURN_IF_ERROR(layout.parse(file->cells(), file->line(), nullptr, label));
    if (!see(label)) return absl::OkStatus();
  }
}

}  // namespace

StatusOr<RowStream> open_csv(const std::string& path, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<CsvFile> file, CsvFile::open(path));
  TENON_ASSIGN_OR_RETURN(CsvLayout layout, CsvLayout::find(file->reader(), options, path));
  LabelNumbers labels;
  if (layout.reads_labels()) {
    TENON_ASSIGN_OR_RETURN(labels, LabelNumbers::find(options, [&](auto see) {
                             return each_label(path, layout, see);
                           }));
  }
  RowStream stream;
  stream.shape = Shape{static_cast<int64_t>(layout.features())};
  stream.names = {labels.classes(), layout.names_of_features()};
  const auto shared =
      std::make_shared<const CsvShared>(CsvShared{path, std::move(layout), std::move(labels)});
  stream.rows = csv_rows(shared, true);
  if (options.reads_labels()) stream.labels = csv_rows(shared, false);
  return stream;
}

StatusOr<Table> parse_csv(std::string_view text, const FileOptions& options,
                          const std::string& name) {
  CsvReader reader(text);
  TENON_ASSIGN_OR_RETURN(const CsvLayout layout, CsvLayout::find(reader, options, name));
  std::vector<float> floats;
  std::vector<int64_t> integers;
  std::vector<std::string> texts, labels;
  std::vector<int64_t> lines;
  const auto add = [&](const CsvCells& cells, int64_t line) -> Status {
    std::string_view label;
    const auto grown = [&](auto& numbers) {
      numbers.resize(numbers.size() + layout.features());
      return numbers.data() + numbers.size() - layout.features();
    };
    void* row = nullptr;
    if (layout.takes() == Features::kFloats) row = grown(floats);
    if (layout.takes() == Features::kIntegers) row = grown(integers);
    TENON_RETURN_IF_ERROR(layout.parse(cells, line, row, label));
    if (layout.takes() == Features::kTexts) {
      for (std::string& text : layout.texts(cells)) texts.push_back(std::move(text));
    }
    if (layout.reads_labels()) labels.emplace_back(label);
    lines.push_back(line);
    return absl::OkStatus();
  };
  for (const CsvLayout::Record& record : layout.first_rows()) {
    TENON_RETURN_IF_ERROR(add(record.cells, record.line));
  }
  CsvCells cells;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, layout.next(reader, cells));
    if (!more) break;
    TENON_RETURN_IF_ERROR(add(cells, reader.line()));
  }
  Table table;
  const Shape shape{static_cast<int64_t>(lines.size()), static_cast<int64_t>(layout.features())};
  table.x = layout.takes() == Features::kTexts      ? Tensor::strings(shape, texts)
            : layout.takes() == Features::kIntegers ? Tensor::from<int64_t>(shape, integers)
                                                    : Tensor::from<float>(shape, floats);
  table.names.features = layout.names_of_features();
  if (!options.reads_labels()) return table;
  const auto place = [&](size_t row) { return layout.label_place(lines[row]); };
  TENON_ASSIGN_OR_RETURN(table.y, number_labels(labels, options, place, table.names.classes));
  return table;
}

StatusOr<std::vector<std::string>> csv_names(const std::string& path, const FileOptions& options) {
  TENON_ASSIGN_OR_RETURN(const Content content, peek_content(path));
  if (content.kind == ContentKind::kNpz) TENON_RETURN_IF_ERROR(NpzReader::open(path).status());
  if (content.kind != ContentKind::kCsv) {
    return invalid_argument(content.name, ": a CSV with a header is expected");
  }
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<CsvFile> file, CsvFile::open(path));
  TENON_ASSIGN_OR_RETURN(const std::string_view start, file->reader().look());
  file->reader().set_separator(options.separator ? options.separator : find_separator(start));
  CsvCells names;
  TENON_ASSIGN_OR_RETURN(const bool any, file->reader().next(names));
  if (!any) return invalid_argument(content.name, ": no rows");
  for (std::string& name : names) name = std::string(trim(name));
  return names;
}

}  // namespace tenon::data
