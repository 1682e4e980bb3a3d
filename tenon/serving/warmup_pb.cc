#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/io/record_io.h"
#include "tenon/serving/prediction_service.h"
#include "tenon/serving/request_metrics.h"
#include "tenon/serving/tensor_message.h"
#include "tenon/serving/warmup.h"
#include "tensorflow_serving/apis/prediction_log.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

constexpr int kMostRecords = 1000;

// What `got` lacks of `want`, or differs in; empty when nothing.
StatusOr<std::string> response_difference(const tfs::PredictResponse& got,
                                          const tfs::PredictResponse& want, double tolerance) {
  for (const auto& [name, message] : want.outputs()) {
    const auto found = got.outputs().find(name);
    if (found == got.outputs().end()) return cat("output ", name, " is missing");
    TENON_ASSIGN_OR_RETURN(const Tensor a, tensor_from_message(name, found->second));
    TENON_ASSIGN_OR_RETURN(const Tensor b, tensor_from_message(name, message));
    const std::string difference = golden_difference(a, b, tolerance);
    if (!difference.empty()) return cat("output ", name, ": ", difference);
  }
  return std::string();
}

// Replays one record; `difference` says how its golden answer was missed.
Status replay(const Servable& servable, const tfs::PredictLog& log, const WarmupOptions& options,
              std::string& difference) {
  tfs::PredictResponse response;
  for (int i = 0; i < std::max(options.iterations, 1); ++i) {
    response.Clear();
    TENON_RETURN_IF_ERROR(run_predict_request(servable, PredictOptions{.tensor_content = true},
                                              log.request(), response, nullptr));
  }
  if (options.golden == GoldenMode::kOff || !log.has_response()) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(difference,
                         response_difference(response, log.response(), options.tolerance));
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
  std::string first_difference;
  int missed = 0;
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
    if (!log.has_predict_log()) continue;
    std::string difference;
    const Status status = replay(servable, log.predict_log(), options, difference);
    if (!status.ok()) return with_context(status, cat("warm-up record ", index, " of ", path));
    read.add();
    if (difference.empty()) continue;
    if (missed++ == 0) first_difference = cat("record ", index, ", ", difference);
  }
  if (missed == 0) return absl::OkStatus();
  const Status status =
      failed_precondition(missed, " golden record(s) of ", path, " are missed: ", first_difference);
  if (options.golden == GoldenMode::kRefuse) return status;
  log_warning(message_of(status));
  return absl::OkStatus();
}

template <class T>
std::string number_difference(const Tensor& got, const Tensor& want, double tolerance) {
  const auto a = got.span<T>();
  const auto b = want.span<T>();
  if constexpr (std::is_integral_v<T>) {
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return cat("element ", i, " is ", a[i], ", expected ", b[i]);
    }
  } else {
    double largest = 0;
    for (const T value : b) {
      const double magnitude = std::fabs(static_cast<double>(value));
      if (std::isfinite(magnitude)) largest = std::max(largest, magnitude);
    }
    const double allowed = tolerance * largest + 1e-6;
    for (size_t i = 0; i < a.size(); ++i) {
      const auto x = static_cast<double>(a[i]);
      const auto y = static_cast<double>(b[i]);
      const bool same = x == y || (std::isnan(x) && std::isnan(y)) || std::fabs(x - y) <= allowed;
      if (!same) return cat("element ", i, " is ", x, ", expected ", y, " within ", allowed);
    }
  }
  return "";
}

}  // namespace

std::string golden_difference(const Tensor& got, const Tensor& want, double tolerance) {
  if (got.dtype() != want.dtype() || !(got.shape() == want.shape())) {
    return cat("is ", got.dtype(), " ", got.shape(), ", expected ", want.dtype(), " ",
               want.shape());
  }
  std::string difference;
  const bool real = visit<RealTypes>(
      got.dtype(), [&]<class T>() { difference = number_difference<T>(got, want, tolerance); });
  if (real) return difference;
  if (got.dtype() == DType::kBool) return number_difference<bool>(got, want, tolerance);
  if (got.dtype() == DType::kString) {
    const auto a = got.span<std::string_view>();
    const auto b = want.span<std::string_view>();
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] != b[i]) return cat("element ", i, " is \"", a[i], "\", expected \"", b[i], "\"");
    }
  }
  return "";
}

Status replay_warmup(const Servable& servable, const std::string& folder,
                     const WarmupOptions& options) {
  const std::string path = join_path(folder, "assets.extra/tf_serving_warmup_requests");
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
