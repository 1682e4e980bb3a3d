#include "tenon/serving/grpc/prediction_service.h"
#include "tensorflow_serving/apis/model_management.pb.h"

namespace tenon::serving {
namespace {

// The sum over all cells of a counter or gauge, by its name in TensorFlow.
int64_t total_of(const MetricRegistry& metrics, const std::string& wanted) {
  int64_t total = 0;
  metrics.for_each([&](const std::string& name, const AnyMetric& metric) {
    if (name != wanted) return;
    std::visit(
        [&]<class Cell>(const std::unique_ptr<MetricFamily<Cell>>& family) {
          if constexpr (!std::is_same_v<Cell, Histogram>) {
            family->for_each([&](const auto&, const Cell& cell) { total += cell.value(); });
          }
        },
        metric);
  });
  return total;
}

}  // namespace

// A configuration is a message with a text format, which protobuf reads: in its binary form too.
Status reload_config(const PredictionService& service, std::string_view bytes,
                     const RunLimits& limits, std::string* response) {
  tensorflow::serving::ReloadConfigRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return internal("malformed ReloadConfigRequest message");
  }
  if (!request.config().has_model_config_list()) {
    return invalid_argument(
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
        "is currently supported");
  }
  std::vector<int64_t> before;
  for (const std::string& name : request.metric_names()) {
    before.push_back(total_of(service.metrics, name));
  }
  TENON_ASSIGN_OR_RETURN(const auto configs, model_configs_of(request.config()));
  const Status reloaded = service.models.reload(configs, [&] { return limits.check().ok(); });
  if (!reloaded.ok()) {
    TENON_RETURN_IF_ERROR(limits.check());  // who waited has gone
    return reloaded;
  }
  tensorflow::serving::ReloadConfigResponse answer;
  answer.mutable_status()->set_error_code(tensorflow::error::OK);
  for (int i = 0; i < request.metric_names_size(); ++i) {
    tensorflow::serving::Metric& metric = *answer.add_metric();
    metric.set_name(request.metric_names(i));
    metric.set_int64_value_increase(total_of(service.metrics, metric.name()) -
                                    before[static_cast<size_t>(i)]);
  }
  answer.AppendToString(response);
  return absl::OkStatus();
}

}  // namespace tenon::serving
