// TFRecord files, one after the other. Internal to data/.
#pragma once

#include "tenon/data/sources.h"
#include "tenon/io/record_io.h"

namespace tenon::data {

// Do these first bytes of a file begin a record? Its length has a checksum of its own.
inline constexpr size_t kRecordStart = 12;
bool begins_record(std::string_view bytes);

// Whatever it is compressed by, which its content tells.
StatusOr<RecordReader> open_records(const std::string& path);

// Is this a TFRecord file, by its first record? A file that cannot be read is none.
bool holds_records(const std::string& path);

// The tf.Examples as tf_examples() gives them, with their places as a last component.
DatasetPtr placed_examples(std::vector<std::string> paths, Schema schema);

class RecordFiles {
 public:
  explicit RecordFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  // The next record; false after the last file.
  StatusOr<bool> next(std::string& record);

  // Of the last record: the file's number, and the byte where it begins.
  Tensor place() const {
    return Tensor::vector<int64_t>({static_cast<int64_t>(file_), static_cast<int64_t>(offset_)});
  }

  // `status` with the place of the last record in front: "'FILE': the record at byte N".
  Status at_record(const Status& status) const;

 private:
  std::vector<std::string> paths_;
  size_t file_ = 0;
  std::optional<RecordReader> reader_;  // of paths_[file_]; none between files
  uint64_t offset_ = 0;                 // of the last record
};

}  // namespace tenon::data
