#include "tenon/serving/warmup.h"

#include "tenon/base/files.h"
#include "tenon/base/wire.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/grpc/prediction_service.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

constexpr int kMostRecords = 1000;

// What a PredictionLog is a log of, by the number of its field: the last one counts, as they
// exclude each other.
enum class LogKind : uint32_t {
  kNone = 0,
  kClassify = 2,
  kRegress = 3,
  kMultiInference = 4,
  kSessionRun = 5,
  kPredict = 6
};

struct WarmupRecord {
  LogKind kind = LogKind::kNone;
  MessageField request;

  // False where it is malformed. The request stands in the same field of every kind of log.
  bool parse(std::string_view record) {
    MessageField log;
    WireReader reader(record);
    WireField field;
    while (reader.next(field)) {
      if (field.type != WireType::kBytes || field.number < 2 || field.number > 7) continue;
      const LogKind found = field.number == 7 ? LogKind::kNone : static_cast<LogKind>(field.number);
      if (found != kind) log = MessageField();
      kind = found;
      log.add(field.bytes);
    }
    WireReader parts(log.bytes());
    while (parts.next(field)) {
      if (field.is_bytes(1)) request.add(field.bytes);
    }
    return !reader.malformed() && !parts.malformed();
  }
};

Status replay_once(const Servable& servable, const WarmupRecord& record) {
  switch (record.kind) {
    case LogKind::kClassify:
      return replay_inference(servable, InferenceCall::kClassify, record.request.bytes());
    case LogKind::kRegress:
      return replay_inference(servable, InferenceCall::kRegress, record.request.bytes());
    case LogKind::kMultiInference:
      return replay_inference(servable, InferenceCall::kMultiInference, record.request.bytes());
    case LogKind::kPredict:
      return replay_predict(servable, record.request.bytes());
    case LogKind::kSessionRun:  // TensorFlow Serving's text
      return unimplemented("Unsupported log_type for warmup: ", static_cast<uint32_t>(record.kind));
    case LogKind::kNone:
      break;
  }
  return absl::OkStatus();
}

Status replay(const Servable& servable, const WarmupRecord& record, int iterations) {
  for (int i = 0; i < std::max(iterations, 1); ++i) {
    TENON_RETURN_IF_ERROR(replay_once(servable, record));
  }
  return absl::OkStatus();
}

Status replay_file(const Servable& servable, const std::string& path,
                   const WarmupOptions& options) {
  TENON_ASSIGN_OR_RETURN(RecordReader reader, RecordReader::open(path));
  Counter& read =
      options.metrics
          ->counter("/tensorflow/serving/model_warmup_records_read", {"model_path", "status"})
          .cell({path, "success"});
  std::string record;
  for (int index = 0;; ++index) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(record));
    if (!more) break;
    if (index == kMostRecords) {
      return invalid_argument("Number of warmup records exceeds the maximum (", kMostRecords,
                              ") at ", path);
    }
    WarmupRecord log;
    if (!log.parse(record)) {
      return data_loss("warm-up record ", index, " of ", path, " is no PredictionLog");
    }
    const Status status = replay(servable, log, options.iterations);
    if (!status.ok()) return with_context(status, cat("warm-up record ", index, " of ", path));
    read.add();
  }
  return absl::OkStatus();
}

}  // namespace

Status replay_warmup(const Servable& servable, const std::string& folder,
                     const WarmupOptions& options) {
  const std::string path = join_path(folder, cat("assets.extra/", kGoldenFile));
  if (!path_exists(path)) return absl::OkStatus();
  const int64_t start = steady_microseconds();
  const Status status = replay_file(servable, path, options);
  options.metrics
      ->histogram("/tensorflow/serving/model_warmup_latency", {"model_path", "status"},
                  latency_limits())
      .cell({folder, code_name(status.code())})
      .observe(static_cast<double>(microseconds_since(start)));
  return status;
}

}  // namespace tenon::serving
