#include "tenon/serving/grpc/prediction_service.h"

#include "tenon/base/wire.h"
#include "tenon/serving/grpc/tensor_message.h"
#include "tenon/serving/inference/inference_messages.h"
#include "tenon/serving/predict.h"

namespace tenon::serving {
namespace {

Status malformed_message(std::string_view message) {
  return internal("malformed ", message, " message");
}

struct SpecField {
  MessageField field;
  NamedSpec spec;

  bool present() const { return field.present(); }
  // Once the whole request has been read; false where it is malformed.
  bool parse() { return parse_model_spec(field.bytes(), spec); }
};

// Inputs are views into the request, which outlives it.
struct PredictMessage {
  SpecField spec;
  std::vector<MapEntry> inputs;  // of equal names only the last
  std::vector<std::string> filter;

  bool parse(std::string_view request) {
    WireReader reader(request);
    WireField field;
    while (reader.next(field)) {
      if (field.is_bytes(1)) spec.field.add(field.bytes);
      if (field.is_bytes(3)) filter.emplace_back(field.bytes);
      if (!field.is_bytes(2)) continue;
      MapEntry entry;
      if (!parse_map_entry(field.bytes, entry)) return false;
      const auto same = std::find_if(inputs.begin(), inputs.end(),
                                     [&](const MapEntry& other) { return other.key == entry.key; });
      if (same != inputs.end()) {
        *same = std::move(entry);
      } else if (inputs.size() < kMostInputs) {
        inputs.push_back(std::move(entry));
      }
    }
    return !reader.malformed() && spec.parse();
  }

 private:
  // No signature has so many; what a request has beyond that only costs time.
  static constexpr size_t kMostInputs = 4096;
};

Status check_predict_method(const Signature& signature) {
  constexpr std::string_view kMethods[] = {
      "tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress"};
  for (const std::string_view method : kMethods) {
    if (signature.method_name == method) return absl::OkStatus();
  }
  return internal("Expected prediction signature method_name to be one of {", join(kMethods, ", "),
                  "}. Was: ", signature.method_name);
}

StatusOr<std::vector<Tensor>> inputs_of(const PredictMessage& request, const Signature& signature) {
  std::vector<Tensor> inputs(signature.inputs.size());
  size_t found = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& name = signature.inputs[i].name;
    for (const MapEntry& entry : request.inputs) {
      if (entry.key != name) continue;
      TENON_ASSIGN_OR_RETURN(inputs[i], parse_input_tensor(name, entry.message.bytes()));
      ++found;
    }
  }
  if (found == inputs.size() && found == request.inputs.size()) return inputs;
  std::set<std::string> given;
  for (const MapEntry& entry : request.inputs) given.emplace(entry.key);
  TENON_RETURN_IF_ERROR(check_input_names(signature, given));
  return inputs;
}

// Runs `request` on `servable` and appends the outputs to `response`.
Status run_request(const PredictionTarget& target, const PredictOptions& options,
                   const PredictMessage& request, const RunLimits& limits,
                   const Signature*& signature, std::string& response) {
  const std::string& name = request.spec.spec.signature_name;
  signature = find_signature(target.servable, name);
  if (signature == nullptr) {
    return failed_precondition("Serving signature key \"", name.empty() ? kDefaultSignature : name,
                               "\" not found.");
  }
  if (options.check_method_name) TENON_RETURN_IF_ERROR(check_predict_method(*signature));
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> inputs, inputs_of(request, *signature));
  TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs,
                         select_outputs(*signature, request.filter));
  TENON_ASSIGN_OR_RETURN(const std::vector<Tensor> results,
                         run_predict(target, PredictionKind::kPredict, *signature,
                                     std::move(inputs), outputs, limits));
  for (size_t i = 0; i < results.size(); ++i) {
    append_message(response, 1, [&] {
      append_string_field(response, 1, signature->outputs[static_cast<size_t>(outputs[i])].name);
      append_message(response, 2,
                     [&] { append_output_tensor(response, results[i], options.tensor_content); });
    });
  }
  return absl::OkStatus();
}

// Sets `served` to the version that was found, as soon as it is.
Status predict_on(const PredictionService& service, const PredictMessage& request,
                  const RunLimits& limits, std::shared_ptr<const ServedVersion>& served,
                  std::string& response) {
  if (!request.spec.present()) return invalid_argument("Missing ModelSpec");
  TENON_ASSIGN_OR_RETURN(served, service.models.find(request.spec.spec.model));
  const Signature* signature = nullptr;
  TENON_RETURN_IF_ERROR(run_request(served, service.options, request, limits, signature, response));
  append_model_spec(response, 2, *served, signature->name);
  return absl::OkStatus();
}

void count_failure(const PredictionService& service, const PredictMessage& request,
                   const Status& status) {
  const std::string& name = request.spec.spec.model.name;
  service.requests.count_failure(service.models.knows(name) ? name : "",
                                 cat("gRPC Predict of ", name), status);
}

}  // namespace

Status predict(const PredictionService& service, std::string_view request, const RunLimits& limits,
               std::string* response) {
  const int64_t start = steady_microseconds();
  PredictMessage message;
  std::shared_ptr<const ServedVersion> served;
  const Status status = message.parse(request)
                            ? predict_on(service, message, limits, served, *response)
                            : malformed_message("PredictRequest");
  if (status.ok()) {
    served->cells.ok.add();
    served->cells.grpc_latency.observe(static_cast<double>(microseconds_since(start)));
  } else {
    count_failure(service, message, status);
  }
  return status;
}

void count_refusal(const PredictionService& service, std::string_view request, const Status& why) {
  PredictMessage message;
  message.parse(request);
  count_failure(service, message, why);
}

Status replay_predict(const Servable& servable, std::string_view request) {
  PredictMessage message;
  if (!message.parse(request)) return malformed_message("PredictRequest");
  const Signature* signature = nullptr;
  std::string response;
  return run_request(servable, PredictOptions{.tensor_content = true}, message, {}, signature,
                     response);
}

Status get_model_metadata(const PredictionService& service, std::string_view request,
                          const RunLimits&, std::string* response) {
  constexpr std::string_view kSignatureDef = "signature_def";
  SpecField spec;
  std::vector<std::string_view> fields;
  WireReader reader(request);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) spec.field.add(field.bytes);
    if (field.is_bytes(2)) fields.push_back(field.bytes);
  }
  if (reader.malformed() || !spec.parse()) return malformed_message("GetModelMetadataRequest");
  if (!spec.present()) return invalid_argument("Missing ModelSpec");
  if (fields.empty()) {
    return invalid_argument("GetModelMetadataRequest must specify at least one metadata_field");
  }
  for (const std::string_view name : fields) {
    if (name != kSignatureDef) {
      return invalid_argument("Metadata field ", name, " is not supported");
    }
  }
  TENON_ASSIGN_OR_RETURN(const auto served, service.models.find(spec.spec.model));
  append_message(*response, 1, [&] {  // ModelSpec, without a signature
    append_string_field(*response, 1, served->model);
    append_message(*response, 2, [&] {
      append_varint_field(*response, 1, static_cast<uint64_t>(served->version));
    });
  });
  append_message(*response, 2, [&] {
    append_string_field(*response, 1, kSignatureDef);
    append_message(*response, 2, [&] {  // google.protobuf.Any
      append_string_field(*response, 1, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
      append_string_field(*response, 2, served->servable->signature_def_map());
    });
  });
  return absl::OkStatus();
}

Status get_model_status(const PredictionService& service, std::string_view request,
                        const RunLimits&, std::string* response) {
  SpecField spec;
  WireReader reader(request);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) spec.field.add(field.bytes);
  }
  if (reader.malformed() || !spec.parse()) return malformed_message("GetModelStatusRequest");
  if (!spec.present()) return invalid_argument("Missing ModelSpec");
  TENON_ASSIGN_OR_RETURN(const auto versions,
                         service.models.status(spec.spec.model.name, spec.spec.model.version));
  for (const VersionStatus& version : versions) {
    append_message(*response, 1, [&] {  // ModelVersionStatus
      append_varint_field(*response, 1, static_cast<uint64_t>(version.version));
      append_varint_field(*response, 2, static_cast<uint64_t>(version.state));
      append_message(*response, 3, [&] {  // StatusProto
        append_varint_field(*response, 1, static_cast<uint64_t>(version.status.code()));
        append_string_field(*response, 2, message_of(version.status));
      });
    });
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
