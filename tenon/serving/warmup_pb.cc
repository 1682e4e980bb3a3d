#include "tenon/base/files.h"
#include "tenon/io/record_io.h"
#include "tenon/saved_model/golden.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/prediction_service.h"
#include "tenon/serving/request_metrics.h"
#include "tenon/serving/warmup.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

constexpr int kMostRecords = 1000;

Status replay_once(const Servable& servable, const tfs::PredictionLog& log) {
  switch (log.log_type_case()) {
    case tfs::PredictionLog::kClassifyLog:
      return replay_inference(servable, InferenceCall::kClassify,
                              log.classify_log().request().SerializeAsString());
    case tfs::PredictionLog::kRegressLog:
      return replay_inference(servable, InferenceCall::kRegress,
                              log.regress_log().request().SerializeAsString());
    case tfs::PredictionLog::kMultiInferenceLog:
      return replay_inference(servable, InferenceCall::kMultiInference,
                              log.multi_inference_log().request().SerializeAsString());
    case tfs::PredictionLog::kPredictLog: {
      tfs::PredictResponse response;
      return run_predict_request(servable, PredictOptions{.tensor_content = true},
                                 log.predict_log().request(), response, nullptr);
    }
    case tfs::PredictionLog::kSessionRunLog:  // TensorFlow Serving's text
      return unimplemented("Unsupported log_type for warmup: ",
                           static_cast<int>(log.log_type_case()));
    default:
      return absl::OkStatus();
  }
}

Status replay(const Servable& servable, const tfs::PredictionLog& log, int iterations) {
  for (int i = 0; i < std::max(iterations, 1); ++i) {
    TENON_RETURN_IF_ERROR(replay_once(servable, log));
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
    tfs::PredictionLog log;
    if (!log.ParseFromString(record)) {
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
