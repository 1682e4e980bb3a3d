// CsvLayout: which columns of a CSV are features and which is the label, and records as rows.
// Internal to data/.
#pragma once

#include "tenon/data/csv/csv_records.h"

namespace tenon::data {

class CsvLayout {
 public:
  struct Record {
    CsvCells cells;
    int64_t line;
  };

  // Finds the separator where none is given, takes the first records from the reader, and decides
  // by them. Messages begin with `name`.
  static StatusOr<CsvLayout> find(CsvReader& reader, const FileOptions& options, std::string name);

  // The rows among the records that were taken; the header is none.
  std::span<const Record> first_rows() const;
  char separator() const { return separator_; }
  bool has_header() const { return !header_.empty(); }
  size_t features() const { return features_.size(); }
  bool reads_labels() const { return options_.reads_labels(); }
  // The columns' names; empty where they would not find the columns again.
  std::vector<std::string> names_of_features() const;

  // The next record; messages name the line.
  StatusOr<bool> next(CsvReader& reader, CsvCells& cells) const;
  // The features of a record, features() numbers of takes() (null: not wanted). `label` is a part
  // of `cells`, where labels are read.
  Status parse(const CsvCells& cells, int64_t line, void* values, std::string_view& label) const;
  // The features of a record that has been parsed, as texts.
  std::vector<std::string> texts(const CsvCells& cells) const;
  Features takes() const { return options_.take; }
  // "FILE:3: column 5 ('label')".
  std::string label_place(int64_t line) const;

 private:
  CsvLayout(const FileOptions& options, std::string name)
      : options_(options), name_(std::move(name)) {}
  Status at_line(int64_t line, const Status& status) const;
  Status look_ahead(CsvReader& reader);
  Status choose_columns();
  Status choose_known_features();
  StatusOr<size_t> find_column(const std::string& wanted) const;
  StatusOr<size_t> guess_label() const;
  const std::vector<std::string>& wanted_features() const;
  bool is_known_feature(size_t column) const;
  std::string separator_text() const;
  std::string header_text() const;
  std::string column_text(size_t column) const;
  Status parse_feature(const std::string& cell, size_t column, float& value) const;
  Status parse_feature(const std::string& cell, size_t column, int64_t& value) const;
  Status no_number(const std::string& cell, size_t column) const;

  FileOptions options_;
  std::string name_;
  char separator_ = ',';
  std::vector<Record> ahead_;
  size_t columns_ = 0, label_ = SIZE_MAX;
  std::vector<size_t> features_;
  CsvCells header_;
};

}  // namespace tenon::data
