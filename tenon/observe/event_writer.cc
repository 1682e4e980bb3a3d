#include "tenon/observe/event_writer.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstdio>

#include "tenon/base/files.h"
#include "tenon/base/wire.h"
#include "tenon/io/record_io.h"

// The messages (tensorflow/core/util/event.proto, framework/summary.proto) are written field by
// field, so that programs which write events need no protobuf.
namespace tenon {
namespace {

// Field numbers.
enum Event : uint32_t { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSource = 10 };
enum SummaryValue : uint32_t { kTag = 1, kTensor = 8, kMetadata = 9 };
enum TensorField : uint32_t { kDtype = 1, kTensorShape = 2, kFloatVal = 5 };
constexpr uint64_t kDtFloat = 1;
constexpr uint64_t kDataClassScalar = 1;

double wall_time() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void append_little_endian(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::string message_field(uint32_t number, std::string_view content) {
  std::string out;
  append_bytes_field(out, number, content);
  return out;
}

std::string scalar_tensor(float value) {
  std::string number;
  append_little_endian(number, std::bit_cast<uint32_t>(value), 4);
  std::string tensor;
  append_varint_field(tensor, kDtype, kDtFloat);
  append_bytes_field(tensor, kTensorShape, {});
  append_bytes_field(tensor, kFloatVal, number);
  return tensor;
}

std::string scalar_metadata() {
  std::string metadata = message_field(1, message_field(1, "scalars"));
  append_varint_field(metadata, 4, kDataClassScalar);
  return metadata;
}

std::string event_file_name() {
  static std::atomic<int> uid{0};
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  char seconds[24];
  std::snprintf(seconds, sizeof(seconds), "%010lld", static_cast<long long>(wall_time()));
  return cat("events.out.tfevents.", seconds, ".", host, ".", getpid(), ".", uid++, ".v2");
}

}  // namespace

EventWriter::EventWriter(std::string path, std::unique_ptr<RecordWriter> records)
    : path_(std::move(path)), records_(std::move(records)) {}

EventWriter::~EventWriter() = default;

StatusOr<std::unique_ptr<EventWriter>> EventWriter::create(const std::string& log_dir) {
  TENON_RETURN_IF_ERROR(create_directories(log_dir));
  std::string path = join_path(log_dir, event_file_name());
  TENON_ASSIGN_OR_RETURN(auto records, RecordWriter::create(path));
  std::unique_ptr<EventWriter> writer(new EventWriter(std::move(path), std::move(records)));
  TENON_RETURN_IF_ERROR(writer->write_event(0, kFileVersion, "brain.Event:2"));
  TENON_RETURN_IF_ERROR(writer->flush());
  return writer;
}

Status EventWriter::write_event(int64_t step, uint32_t field, std::string_view content) {
  constexpr uint64_t kFixed64 = 1;  // wire type
  std::string event;
  append_varint(event, kWallTime << 3 | kFixed64);
  append_little_endian(event, std::bit_cast<uint64_t>(wall_time()), 8);
  append_varint_field(event, kStep, static_cast<uint64_t>(step));
  append_bytes_field(event, field, content);
  if (field == kFileVersion) append_bytes_field(event, kSource, message_field(1, "tenon"));
  std::lock_guard lock(mutex_);
  return records_->append(event);
}

Status EventWriter::write_scalar(std::string_view tag, int64_t step, float value) {
  return write_tensor(tag, step, scalar_tensor(value), scalar_metadata());
}

Status EventWriter::write_tensor(std::string_view tag, int64_t step, std::string_view tensor,
                                 std::string_view metadata) {
  std::string point = message_field(kTag, tag);
  append_bytes_field(point, kTensor, tensor);
  append_bytes_field(point, kMetadata, metadata);
  return write_event(step, kSummary, message_field(1, point));
}

Status EventWriter::flush() {
  std::lock_guard lock(mutex_);
  return records_->flush();
}

}  // namespace tenon
