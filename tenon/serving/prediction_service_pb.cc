#include "tenon/serving/model_messages.h"
#include "tenon/serving/predict.h"
#include "tenon/serving/prediction_service.h"
#include "tenon/serving/tensor_message.h"
#include "tensorflow_serving/apis/get_model_metadata.pb.h"
#include "tensorflow_serving/apis/get_model_status.pb.h"
#include "tensorflow_serving/apis/model_management.pb.h"
#include "tensorflow_serving/apis/predict.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

ModelSpec spec_of(const tfs::ModelSpec& message) {
  ModelSpec spec;
  spec.name = message.name();
  spec.label = message.version_label();
  if (message.has_version()) spec.version = message.version().value();
  return spec;
}

Status check_method_name(const Signature& signature) {
  constexpr std::string_view kMethods[] = {
      "tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress"};
  for (const std::string_view method : kMethods) {
    if (signature.method_name == method) return absl::OkStatus();
  }
  return internal("Expected prediction signature method_name to be one of {", join(kMethods, ", "),
                  "}. Was: ", signature.method_name);
}

StatusOr<std::vector<Tensor>> inputs_of(const tfs::PredictRequest& request,
                                        const Signature& signature) {
  std::set<std::string> given;
  for (const auto& [name, message] : request.inputs()) given.insert(name);
  TENON_RETURN_IF_ERROR(check_input_names(signature, given));
  std::vector<Tensor> inputs(signature.inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = signature.inputs[i].name;
    const auto message = request.inputs().find(name);
    if (message == request.inputs().end()) continue;
    TENON_ASSIGN_OR_RETURN(inputs[i], tensor_from_message(name, message->second));
  }
  return inputs;
}

void set_spec(const ServedVersion& served, tfs::ModelSpec& spec) {
  spec.set_name(served.model);
  spec.mutable_version()->set_value(served.version);
}

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

Status run_predict_request(const Servable& servable, const PredictOptions& options,
                           const tfs::PredictRequest& request, tfs::PredictResponse& response,
                           Histogram* runtime_latency, const RunLimits& limits) {
  const std::string& name = request.model_spec().signature_name();
  const Signature* signature = find_signature(servable, name);
  if (signature == nullptr) {
    return failed_precondition("Serving signature key \"", name.empty() ? kDefaultSignature : name,
                               "\" not found.");
  }
  if (options.check_method_name) TENON_RETURN_IF_ERROR(check_method_name(*signature));
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> inputs, inputs_of(request, *signature));
  const std::vector<std::string> filter(request.output_filter().begin(),
                                        request.output_filter().end());
  TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs, select_outputs(*signature, filter));
  TENON_ASSIGN_OR_RETURN(
      const std::vector<Tensor> results,
      run_predict(servable, *signature, std::move(inputs), outputs, runtime_latency, limits));
  response.mutable_model_spec()->set_signature_name(signature->name);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string& alias = signature->outputs[static_cast<size_t>(outputs[i])].name;
    tensor_to_message(results[i], options.tensor_content, (*response.mutable_outputs())[alias]);
  }
  return absl::OkStatus();
}

Status predict(const ServedModels& models, const PredictOptions& options,
               const tfs::PredictRequest& request, tfs::PredictResponse& response,
               std::shared_ptr<const ServedVersion>& served, const RunLimits& limits) {
  if (!request.has_model_spec()) return invalid_argument("Missing ModelSpec");
  TENON_ASSIGN_OR_RETURN(served, models.find(spec_of(request.model_spec())));
  TENON_RETURN_IF_ERROR(run_predict_request(*served->servable, options, request, response,
                                            &served->cells.runtime_latency, limits));
  set_spec(*served, *response.mutable_model_spec());
  return absl::OkStatus();
}

Status get_model_metadata(const ServedModels& models, const tfs::GetModelMetadataRequest& request,
                          tfs::GetModelMetadataResponse& response) {
  constexpr std::string_view kSignatureDef = "signature_def";
  if (!request.has_model_spec()) return invalid_argument("Missing ModelSpec");
  if (request.metadata_field().empty()) {
    return invalid_argument("GetModelMetadataRequest must specify at least one metadata_field");
  }
  for (const std::string& field : request.metadata_field()) {
    if (field != kSignatureDef) {
      return invalid_argument("Metadata field ", field, " is not supported");
    }
  }
  TENON_ASSIGN_OR_RETURN(const auto served, models.find(spec_of(request.model_spec())));
  set_spec(*served, *response.mutable_model_spec());
  google::protobuf::Any& any = (*response.mutable_metadata())[std::string(kSignatureDef)];
  any.set_type_url("type.googleapis.com/tensorflow.serving.SignatureDefMap");
  any.set_value(served->servable->signature_def_map());
  return absl::OkStatus();
}

Status get_model_status(const ServedModels& models, const tfs::GetModelStatusRequest& request,
                        tfs::GetModelStatusResponse& response) {
  if (!request.has_model_spec()) return invalid_argument("Missing ModelSpec");
  const ModelSpec spec = spec_of(request.model_spec());
  TENON_ASSIGN_OR_RETURN(const auto versions, models.status(spec.name, spec.version));
  set_model_status(versions, response);
  return absl::OkStatus();
}

Status reload_config(ServedModels& models, MetricRegistry& metrics,
                     const tfs::ReloadConfigRequest& request, tfs::ReloadConfigResponse& response) {
  if (!request.config().has_model_config_list()) {
    return invalid_argument(
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
        "is currently supported");
  }
  std::vector<int64_t> before;
  for (const std::string& name : request.metric_names()) before.push_back(total_of(metrics, name));
  TENON_ASSIGN_OR_RETURN(const auto configs, model_configs_of(request.config()));
  TENON_RETURN_IF_ERROR(models.reload(configs));
  response.mutable_status()->set_error_code(tensorflow::error::OK);
  for (int i = 0; i < request.metric_names_size(); ++i) {
    tfs::Metric& metric = *response.add_metric();
    metric.set_name(request.metric_names(i));
    metric.set_int64_value_increase(total_of(metrics, metric.name()) -
                                    before[static_cast<size_t>(i)]);
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
