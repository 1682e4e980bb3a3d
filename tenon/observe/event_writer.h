// EventWriter: TensorBoard event files, in the format of tf.summary (TensorFlow 2).
//
// One file a writer, in the log directory given: events.out.tfevents.<time>.<host>.<pid>.<uid>.v2.
// Readers follow the file while it grows; flush() makes what was written visible to them.
// Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon {

class RecordWriter;

class EventWriter {
 public:
  // Creates `log_dir` where it is missing.
  static StatusOr<std::unique_ptr<EventWriter>> create(const std::string& log_dir);
  ~EventWriter();

  // A point of the curve `tag`, for the plug-in "scalars".
  Status write_scalar(std::string_view tag, int64_t step, float value);

  // A TensorProto for the plug-in that the SummaryMetadata names, both as bytes.
  Status write_tensor(std::string_view tag, int64_t step, std::string_view tensor,
                      std::string_view metadata);

  Status flush();

  const std::string& path() const { return path_; }

 private:
  EventWriter(std::string path, std::unique_ptr<RecordWriter> records);
  Status write_event(int64_t step, uint32_t field, std::string_view content);
  const std::string path_;
  std::mutex mutex_;
  std::unique_ptr<RecordWriter> records_;  // guarded by mutex_
};

}  // namespace tenon
