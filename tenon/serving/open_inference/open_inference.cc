#include "tenon/serving/open_inference/open_inference.h"

#include "tenon/serving/open_inference/datatype.h"
#include "tenon/serving/predict.h"

namespace tenon::serving {
namespace {

StatusOr<const Signature*> signature_of(const ServedVersion& served, const std::string& name) {
  const std::vector<Signature>& all = served.servable->signatures();
  if (name.empty() && all.size() == 1) return &all[0];
  if (const Signature* signature = find_signature(*served.servable, name)) return signature;
  std::vector<std::string_view> names;
  for (const Signature& signature : all) names.push_back(signature.name);
  return invalid_argument(
      "model ", served.model, " has no signature ", name.empty() ? kDefaultSignature : name,
      "; the parameter signature_name chooses one of {", join(names, ", "), "}");
}

// In the order of the signature's; those that are not given stay without value.
StatusOr<std::vector<Tensor>> signature_inputs(const OpenInferenceRequest& request,
                                               const Signature& signature) {
  std::vector<Tensor> inputs(signature.inputs.size());
  for (const OpenInferenceRequest::Input& given : request.inputs) {
    size_t i = 0;
    while (i < inputs.size() && signature.inputs[i].name != given.name) ++i;
    if (i == inputs.size()) {
      std::vector<std::string_view> names;
      for (const TensorSpec& spec : signature.inputs) names.push_back(spec.name);
      return invalid_argument("unexpected input ", given.name, "; signature ", signature.name,
                              " has {", join(names, ", "), "}");
    }
    if (inputs[i].has_value()) return invalid_argument("input ", given.name, " is given twice");
    const DType wanted = signature.inputs[i].dtype;
    if (given.tensor.dtype() != wanted) {
      const std::string_view name = datatype_name(wanted);
      return invalid_argument("input ", given.name, " has datatype ",
                              datatype_name(given.tensor.dtype()), ", expected ",
                              name.empty() ? to_string(wanted) : name);
    }
    inputs[i] = given.tensor;
  }
  return inputs;
}

bool is_available(const VersionStatus& version) {
  return version.state == VersionState::kAvailable;
}

std::string_view repository_state(VersionState state) {
  switch (state) {
    case VersionState::kAvailable:
      return "READY";
    case VersionState::kStart:
    case VersionState::kLoading:
      return "LOADING";
    case VersionState::kUnloading:
      return "UNLOADING";
    default:
      return "UNAVAILABLE";
  }
}

std::string reason_of(const ModelListing& model, const VersionStatus& version) {
  if (!version.status.ok()) return std::string(message_of(version.status));
  return version.state == VersionState::kEnd || model.unloaded ? "unloaded" : "";
}

Status check_model_control(const OpenInference& service) {
  if (service.model_control) return absl::OkStatus();
  return permission_denied(
      "loading and unloading models is not allowed without --enable_model_control");
}

}  // namespace

std::string_view server_version() { return TENON_VERSION; }

StatusOr<ModelSpec> open_inference_spec(std::string_view model, std::string_view version) {
  ModelSpec spec;
  spec.name = model;
  if (version.empty()) return spec;
  int64_t number = 0;
  if (parse_number(version, number)) {
    spec.version = number;
  } else if (version.find_first_not_of("0123456789") == std::string_view::npos) {
    return invalid_argument("version ", version, " of model ", model, " is beyond int64");
  } else {
    spec.label = version;
  }
  return spec;
}

StatusOr<OpenInferenceResult> run_open_inference(const OpenInference& service,
                                                 const ModelSpec& model,
                                                 const OpenInferenceRequest& request,
                                                 const RunLimits& limits) {
  OpenInferenceResult result;
  TENON_ASSIGN_OR_RETURN(result.served, service.models.find(model));
  const ServedVersion& served = *result.served;
  TENON_ASSIGN_OR_RETURN(const Signature* const signature,
                         signature_of(served, request.signature_name));
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> inputs, signature_inputs(request, *signature));
  std::vector<std::string> names;
  for (const OpenInferenceRequest::Output& output : request.outputs) names.push_back(output.name);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs, select_outputs(*signature, names));
  for (const int index : outputs) {
    const TensorSpec& output = signature->outputs[static_cast<size_t>(index)];
    if (!datatype_name(output.dtype).empty()) continue;
    return unimplemented("output ", output.name, " is of type ", output.dtype,
                         ", which the protocol has no datatype for");
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> tensors,
                         run_predict(result.served, PredictionKind::kPredict, *signature,
                                     std::move(inputs), outputs, limits));
  for (size_t i = 0; i < outputs.size(); ++i) {
    result.outputs.push_back(
        {signature->outputs[static_cast<size_t>(outputs[i])].name, std::move(tensors[i])});
  }
  return result;
}

void count_open_inference(const OpenInference& service, const std::string& model,
                          std::string_view api, std::string_view entrypoint, const Status& status,
                          int64_t start) {
  const std::string_view known = service.models.knows(model) ? model : std::string_view();
  if (!status.ok()) {
    return service.requests.count_failure(known, cat(entrypoint, " ", api, " of ", model), status);
  }
  service.requests.count(known, absl::StatusCode::kOk);
  service.requests.observe(known, api, entrypoint, microseconds_since(start));
}

StatusOr<OpenInferenceModel> describe_open_inference(const OpenInference& service,
                                                     const ModelSpec& model) {
  OpenInferenceModel description;
  TENON_ASSIGN_OR_RETURN(description.served, service.models.find(model));
  TENON_ASSIGN_OR_RETURN(description.signature, signature_of(*description.served, ""));
  TENON_ASSIGN_OR_RETURN(const auto versions, service.models.status(model.name, {}));
  for (const VersionStatus& version : versions) {
    if (is_available(version)) description.versions.push_back(version.version);
  }
  return description;
}

bool open_inference_ready(const OpenInference& service) {
  return !service.draining && service.models.ready();
}

StatusOr<bool> open_inference_ready(const OpenInference& service, const ModelSpec& model) {
  const bool found = service.models.find(model).ok();
  if (!found) TENON_RETURN_IF_ERROR(service.models.status(model.name, model.version).status());
  return found && !service.draining;
}

std::vector<RepositoryEntry> repository_index(const OpenInference& service, bool only_ready) {
  std::vector<RepositoryEntry> entries;
  for (const ModelListing& model : service.models.list()) {
    for (const VersionStatus& version : model.versions) {
      if (only_ready && !is_available(version)) continue;
      entries.push_back({model.name, cat(version.version), repository_state(version.state),
                         reason_of(model, version)});
    }
    if (model.versions.empty() && !only_ready) {
      entries.push_back({model.name, "", "UNAVAILABLE", model.warning});
    }
  }
  return entries;
}

Status load_repository_model(const OpenInference& service, const std::string& model,
                             const RunLimits& limits) {
  TENON_RETURN_IF_ERROR(check_model_control(service));
  const Status loaded = service.models.load(model, [&] { return limits.check().ok(); });
  if (!loaded.ok()) TENON_RETURN_IF_ERROR(limits.check());
  return loaded;
}

Status unload_repository_model(const OpenInference& service, const std::string& model) {
  TENON_RETURN_IF_ERROR(check_model_control(service));
  return service.models.unload(model);
}

}  // namespace tenon::serving
