#include "tenon/serving/inference/inference_service.h"

#include <set>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/wire.h"
#include "tenon/serving/inference/inference_messages.h"

namespace tenon::serving {
namespace {

Status answer_one(const InferenceService& service, InferenceMethod method,
                  const InferenceRequest& request, const RunLimits& limits, std::string& response) {
  if (!request.has_spec) return invalid_argument("Missing ModelSpec");
  TENON_ASSIGN_OR_RETURN(const auto served, service.models.find(request.spec.model));
  TENON_ASSIGN_OR_RETURN(const InferenceResult result,
                         infer(served, request.spec.signature_name, method,
                               service.check_method_name, request.examples, limits));
  append_result(response, 1, result);
  append_model_spec(response, 2, *served, request.spec.signature_name);
  return absl::OkStatus();
}

Status serve_one(const InferenceService& service, InferenceMethod method, std::string_view bytes,
                 const RunLimits& limits, std::string* response) {
  const int64_t start = steady_microseconds();
  std::string asked;
  std::string name;  // as it is counted: empty for one that no model has
  const Status status = or_out_of_memory([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const InferenceRequest request, parse_inference_request(bytes));
    asked = request.spec.model.name;
    if (service.models.knows(asked)) name = asked;
    return answer_one(service, method, request, limits, *response);
  });
  if (!status.ok()) {
    service.requests.count_failure(name, cat("gRPC ", api_name_of(method), " of ", asked), status);
    return status;
  }
  service.requests.count(name, absl::StatusCode::kOk);
  service.requests.observe(name, api_name_of(method), "GRPC", microseconds_since(start));
  return status;
}

// One task of a MultiInferenceRequest, once it has been found to be possible.
struct PreparedTask {
  const Signature* signature;
  InferenceMethod method;
  std::vector<int> outputs;
};

StatusOr<PreparedTask> prepare_task(const InferenceTask& task, const Servable& servable,
                                    bool check_method_name) {
  const std::string_view name = task.spec.signature_name;
  const Signature* signature = find_signature(servable, name);
  if (signature == nullptr) {
    return invalid_argument("Requested signature not found in model graph: ",
                            name.empty() ? kDefaultSignature : name);
  }
  for (const InferenceMethod method : {InferenceMethod::kClassify, InferenceMethod::kRegress}) {
    if (task.method_name != method_name_of(method)) continue;
    TENON_ASSIGN_OR_RETURN(std::vector<int> outputs,
                           inference_outputs(*signature, method, check_method_name));
    return PreparedTask{signature, method, std::move(outputs)};
  }
  return unimplemented("Unsupported signature method_name: ", task.method_name);
}

StatusOr<std::vector<PreparedTask>> prepare_tasks(const MultiInferenceRequest& request,
                                                  const Servable& servable,
                                                  bool check_method_name) {
  std::vector<PreparedTask> prepared;
  std::set<std::string_view> names;
  for (const InferenceTask& task : request.tasks) {
    if (task.spec.model.name.empty()) {
      return invalid_argument("Found ModelSpec with an empty model name.");
    }
    if (task.spec.model.name != request.tasks[0].spec.model.name) {
      return invalid_argument(
          "All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    }
    const std::string_view name =
        task.spec.signature_name.empty() ? kDefaultSignature : task.spec.signature_name;
    if (!names.insert(name).second) {
      return invalid_argument("Duplicate evaluation of signature: ", name);
    }
    TENON_ASSIGN_OR_RETURN(PreparedTask one, prepare_task(task, servable, check_method_name));
    prepared.push_back(std::move(one));
  }
  return prepared;
}

// The results of all tasks, in their order.
StatusOr<std::vector<InferenceResult>> run_tasks(const PredictionTarget& target,
                                                 std::span<const PreparedTask> tasks,
                                                 const StatusOr<Tensor>& examples,
                                                 const RunLimits& limits) {
  TENON_RETURN_IF_ERROR(examples.status());
  std::vector<Servable::Part> parts;
  for (const PreparedTask& task : tasks) {
    TENON_RETURN_IF_ERROR(check_example_input(*task.signature));
    parts.push_back({task.signature, task.outputs});
  }
  const int64_t start = steady_microseconds();
  const auto together = target.servable.run_together(parts, *examples, limits);
  if (!together.ok()) {
    for (const PreparedTask& task : tasks) note_failure(target, *task.signature, together.status());
    return together.status();
  }
  const std::vector<std::vector<Tensor>>& tensors = *together;
  const int64_t took = microseconds_since(start);
  std::vector<InferenceResult> results;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const PreparedTask& task = tasks[i];
    note_prediction(target, kind_of(task.method), *task.signature, std::span(&*examples, 1),
                    task.outputs, tensors[i], took);
    TENON_ASSIGN_OR_RETURN(
        InferenceResult result,
        inference_result(*task.signature, task.method, task.outputs, tensors[i], examples->dim(0)));
    results.push_back(std::move(result));
  }
  return results;
}

Status answer_all(const InferenceService& service, const MultiInferenceRequest& request,
                  const RunLimits& limits, std::string& response) {
  const ModelSpec first = request.tasks.empty() ? ModelSpec() : request.tasks[0].spec.model;
  TENON_ASSIGN_OR_RETURN(const auto served, service.models.find(first));
  TENON_ASSIGN_OR_RETURN(const std::vector<PreparedTask> tasks,
                         prepare_tasks(request, *served->servable, service.check_method_name));
  TENON_ASSIGN_OR_RETURN(const std::vector<InferenceResult> results,
                         run_tasks(served, tasks, request.examples, limits));
  served->cells.count_examples(request.examples->dim(0));
  for (size_t i = 0; i < tasks.size(); ++i) {
    append_message(response, 1, [&] {
      append_model_spec(response, 1, *served, tasks[i].signature->name);
      append_result(response, tasks[i].method == InferenceMethod::kClassify ? 2 : 3, results[i]);
    });
  }
  return absl::OkStatus();
}

}  // namespace

Status classify(const InferenceService& service, std::string_view request, const RunLimits& limits,
                std::string* response) {
  return serve_one(service, InferenceMethod::kClassify, request, limits, response);
}

Status regress(const InferenceService& service, std::string_view request, const RunLimits& limits,
               std::string* response) {
  return serve_one(service, InferenceMethod::kRegress, request, limits, response);
}

Status multi_inference(const InferenceService& service, std::string_view request,
                       const RunLimits& limits, std::string* response) {
  return or_out_of_memory([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(const MultiInferenceRequest parsed,
                           parse_multi_inference_request(request));
    return answer_all(service, parsed, limits, *response);
  });
}

Status replay_inference(const Servable& servable, InferenceCall call, std::string_view request) {
  if (call == InferenceCall::kMultiInference) {
    TENON_ASSIGN_OR_RETURN(const auto parsed, parse_multi_inference_request(request));
    TENON_ASSIGN_OR_RETURN(const auto tasks, prepare_tasks(parsed, servable, false));
    return run_tasks(servable, tasks, parsed.examples, {}).status();
  }
  TENON_ASSIGN_OR_RETURN(const auto parsed, parse_inference_request(request));
  const InferenceMethod method =
      call == InferenceCall::kClassify ? InferenceMethod::kClassify : InferenceMethod::kRegress;
  return infer(servable, parsed.spec.signature_name, method, false, parsed.examples, {}).status();
}

}  // namespace tenon::serving
