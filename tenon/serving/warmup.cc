#include "tenon/serving/warmup.h"

#include "tenon/base/files.h"
#include "tenon/base/wire.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/prediction_service.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

constexpr int kMostRecords = 1000;

// The numbers of PredictionLog's fields.
enum LogKind : uint32_t {
  kNoLog = 0,
  kClassifyLog = 2,
  kRegressLog = 3,
  kMultiInferenceLog = 4,
  kSessionRunLog = 5,
  kPredictLog = 6,
  kPredictStreamedLog = 7,
};

// What a PredictionLog is of and its request. False where it is malformed.
bool parse_log(std::string_view record, uint32_t& kind, MessageField& request) {
  MessageField log;
  WireReader reader(record);
  WireField field;
  kind = kNoLog;
  while (reader.next(field)) {
    if (field.type != WireType::kBytes) continue;
    if (field.number < kClassifyLog || field.number > kPredictStreamedLog) continue;
    // The kinds of log exclude each other: the last one counts.
    if (field.number != kind) log = MessageField();
    kind = field.number;
    log.add(field.bytes);
  }
  if (reader.malformed()) return false;
  WireReader parts(log.bytes());
  while (parts.next(field)) {
    if (field.is_bytes(1)) request.add(field.bytes);
  }
  return !parts.malformed();
}

Status replay_once(const Servable& servable, uint32_t kind, std::string_view request) {
  switch (kind) {
    case kClassifyLog:
      return replay_inference(servable, InferenceCall::kClassify, request);
    case kRegressLog:
      return replay_inference(servable, InferenceCall::kRegress, request);
    case kMultiInferenceLog:
      return replay_inference(servable, InferenceCall::kMultiInference, request);
    case kPredictLog:
      return replay_predict(servable, request);
    case kSessionRunLog:  // TensorFlow Serving's text
      return unimplemented("Unsupported log_type for warmup: ", kind);
    default:
      return absl::OkStatus();
  }
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
    uint32_t kind = kNoLog;
    MessageField request;
    if (!parse_log(record, kind, request)) {
      return data_loss("warm-up record ", index, " of ", path, " is no PredictionLog");
    }
    Status status;
    for (int i = std::max(options.iterations, 1); i > 0 && status.ok(); --i) {
      status = replay_once(servable, kind, request.bytes());
    }
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
