// The Open Inference Protocol (KServe v2) and Triton's extension of it for model repositories,
// whichever way they come in: what its methods say of models and do with them. Thread-safe.
#pragma once

#include <atomic>

#include "tenon/serving/served_models.h"

namespace tenon::serving {

// What the methods work on; all of it outlives the calls.
struct OpenInference {
  ServedModels& models;
  RequestMetrics& requests;
  const std::atomic<bool>& draining;
  bool model_control = false;  // may clients load and unload models?
};

inline constexpr std::string_view kServerName = "tenon";
inline constexpr std::string_view kExtensions[] = {"binary_tensor_data", "model_repository"};
inline constexpr std::string_view kPlatform = "tensorflow_savedmodel";

std::string_view server_version();

// `version`: empty for the one that the server chooses, a number, or a label. INVALID_ARGUMENT for
// a number beyond int64.
StatusOr<ModelSpec> open_inference_spec(std::string_view model, std::string_view version);

struct OpenInferenceRequest {
  struct Input {
    std::string name;
    Tensor tensor;
  };
  struct Output {
    std::string name;
    bool binary = false;
  };
  std::string id;
  std::string signature_name;  // the parameter of that name; empty: the default one
  std::vector<Input> inputs;
  std::vector<Output> outputs;  // empty: all
  bool binary_outputs = false;  // those that are not named
};

struct OpenInferenceResult {
  struct Output {
    std::string_view name;  // of the signature
    Tensor tensor;          // of a dtype that has a datatype
  };
  std::shared_ptr<const ServedVersion> served;
  std::vector<Output> outputs;  // in the order in which they were asked for
};

// Runs the request; a model without a default signature that has but one runs that. NOT_FOUND for a
// model, INVALID_ARGUMENT for a signature, an input or an output that is not there, or an input of
// another datatype; UNIMPLEMENTED for an output that has no datatype.
StatusOr<OpenInferenceResult> run_open_inference(const OpenInference& service,
                                                 const ModelSpec& model,
                                                 const OpenInferenceRequest& request,
                                                 const RunLimits& limits);

// Counts an inference. `api`: "infer" (REST), "ModelInfer" (GRPC); `failed` is logged.
void count_open_inference(const OpenInference& service, const std::string& model,
                          std::string_view api, std::string_view entrypoint, const Status& status,
                          int64_t start);

struct OpenInferenceModel {
  std::shared_ptr<const ServedVersion> served;
  const Signature* signature = nullptr;  // the default one
  std::vector<int64_t> versions;         // that can be asked for, newest first
};
StatusOr<OpenInferenceModel> describe_open_inference(const OpenInference& service,
                                                     const ModelSpec& model);

bool open_inference_ready(const OpenInference& service);
// NOT_FOUND for a model, or a version, that there is not.
StatusOr<bool> open_inference_ready(const OpenInference& service, const ModelSpec& model);

struct RepositoryEntry {
  std::string name;
  std::string version;     // empty where the model has none
  std::string_view state;  // READY, LOADING, UNLOADING, UNAVAILABLE
  std::string reason;
};
std::vector<RepositoryEntry> repository_index(const OpenInference& service, bool only_ready);

// PERMISSION_DENIED where clients may not; else as ServedModels does. Loading ends with `limits`,
// and goes on all the same.
Status load_repository_model(const OpenInference& service, const std::string& model,
                             const RunLimits& limits);
Status unload_repository_model(const OpenInference& service, const std::string& model);

}  // namespace tenon::serving
