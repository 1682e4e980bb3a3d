// RotatedRecords: a TFRecord file that is written record by record, and followed by the next once
// it is full; of all of them the newest are kept. Not thread-safe.
#pragma once

#include <string>

#include "tenon/serving/net/listener.h"

namespace tenon::serving {

struct RotationLimits {
  uint64_t file_bytes = 64 << 20;  // a record that does not fit any more begins the next file
  int files = 10;                  // kept, the one that is written included
};

class RotatedRecords {
 public:
  // The files are PREFIX.TIME.tfrecord, in the order of their times (UTC, with microseconds). The
  // folder is made where it is not there. Nothing is opened before the first record.
  RotatedRecords(std::string prefix, const RotationLimits& limits);

  // Writes one record with its frame. After an error (a full disk) the file ends with the record
  // before, and the next call tries again.
  Status append(std::string_view record);

 private:
  Status open_next();
  Status write(std::string_view bytes);
  void remove_old();

  const std::string prefix_;
  const RotationLimits limits_;
  Descriptor file_;
  std::string path_;
  uint64_t size_ = 0;  // of whole records
};

}  // namespace tenon::serving
