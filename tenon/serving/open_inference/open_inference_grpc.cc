#include "tenon/serving/open_inference/open_inference_grpc.h"

#include "tenon/base/wire.h"
#include "tenon/serving/open_inference/datatype.h"
#include "tenon/serving/open_inference/infer_message.h"

namespace tenon::serving {
namespace {

void append_bool(std::string& out, bool value) { append_varint_field(out, 1, value ? 1 : 0); }

// A message that has two texts, 1 and 2, and a bool, 2, where that is one; others are ignored.
struct TwoTexts {
  std::string first, second;
  bool flag = false;
};
StatusOr<TwoTexts> parse_two_texts(std::string_view message) {
  TwoTexts parsed;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) parsed.first = field.bytes;
    if (field.is_bytes(2)) parsed.second = field.bytes;
    if (field.is_varint(2)) parsed.flag = field.value != 0;
  }
  if (reader.malformed()) return internal("malformed message of GRPCInferenceService");
  return parsed;
}

StatusOr<ModelSpec> parse_spec(std::string_view message) {
  TENON_ASSIGN_OR_RETURN(const TwoTexts name_and_version, parse_two_texts(message));
  return open_inference_spec(name_and_version.first, name_and_version.second);
}

Status server_live(const OpenInference&, std::string_view, const RunLimits&, std::string* out) {
  append_bool(*out, true);
  return absl::OkStatus();
}

Status server_ready(const OpenInference& service, std::string_view, const RunLimits&,
                    std::string* out) {
  append_bool(*out, open_inference_ready(service));
  return absl::OkStatus();
}

Status is_model_ready(const OpenInference& service, std::string_view request, const RunLimits&,
                      std::string* out) {
  TENON_ASSIGN_OR_RETURN(const ModelSpec spec, parse_spec(request));
  TENON_ASSIGN_OR_RETURN(const bool ready, open_inference_ready(service, spec));
  append_bool(*out, ready);
  return absl::OkStatus();
}

Status describe_server(const OpenInference&, std::string_view, const RunLimits&, std::string* out) {
  append_string_field(*out, 1, kServerName);
  append_string_field(*out, 2, server_version());
  for (const std::string_view extension : kExtensions) append_string_field(*out, 3, extension);
  return absl::OkStatus();
}

void append_tensor_specs(std::string& out, uint32_t number, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    const std::string_view datatype = datatype_name(spec.dtype);
    append_message(out, number, [&] {
      append_string_field(out, 1, spec.name);
      append_string_field(out, 2, datatype.empty() ? info(spec.dtype).enum_name : datatype);
      append_message(out, 3, [&] {
        if (!spec.shape.has_rank()) return append_varint(out, static_cast<uint64_t>(-1));
        for (const int64_t dim : spec.shape.dims()) {
          append_varint(out, static_cast<uint64_t>(std::max<int64_t>(dim, -1)));
        }
      });
    });
  }
}

Status describe_model(const OpenInference& service, std::string_view request, const RunLimits&,
                      std::string* out) {
  TENON_ASSIGN_OR_RETURN(const ModelSpec spec, parse_spec(request));
  TENON_ASSIGN_OR_RETURN(const OpenInferenceModel model, describe_open_inference(service, spec));
  append_string_field(*out, 1, model.served->model);
  for (const int64_t version : model.versions) append_string_field(*out, 2, cat(version));
  append_string_field(*out, 3, kPlatform);
  append_tensor_specs(*out, 4, model.signature->inputs);
  append_tensor_specs(*out, 5, model.signature->outputs);
  return absl::OkStatus();
}

Status run_model_infer(const OpenInference& service, std::string_view request,
                       const RunLimits& limits, std::string* out) {
  TENON_ASSIGN_OR_RETURN(const InferMessage message, parse_infer_message(request));
  TENON_ASSIGN_OR_RETURN(const OpenInferenceResult result,
                         run_open_inference(service, message.model, message.request, limits));
  return append_infer_response(message, result, *out);
}

Status model_infer(const OpenInference& service, std::string_view request, const RunLimits& limits,
                   std::string* out) {
  const int64_t start = steady_microseconds();
  const Status status = run_model_infer(service, request, limits, out);
  count_open_inference(service, infer_model_name(request), "ModelInfer", "GRPC", status, start);
  return status;
}

// One message of a stream: an error stands in its answer, and the stream goes on, unless it ends.
Status model_stream_infer(const OpenInference& service, std::string_view request,
                          const RunLimits& limits, std::string* out) {
  std::string response;
  const Status status = model_infer(service, request, limits, &response);
  TENON_RETURN_IF_ERROR(limits.check());
  if (status.ok()) {
    append_bytes_field(*out, 2, response);
    return status;
  }
  append_string_field(*out, 1, message_of(status));
  // Whose error it is.
  append_message(*out, 2, [&] { append_string_field(*out, 3, infer_request_id(request)); });
  return absl::OkStatus();
}

Status index_repository(const OpenInference& service, std::string_view request, const RunLimits&,
                        std::string* out) {
  TENON_ASSIGN_OR_RETURN(const TwoTexts asked, parse_two_texts(request));
  for (const RepositoryEntry& entry : repository_index(service, asked.flag)) {
    append_message(*out, 1, [&] {
      append_string_field(*out, 1, entry.name);
      append_string_field(*out, 2, entry.version);
      append_string_field(*out, 3, entry.state);
      append_string_field(*out, 4, entry.reason);
    });
  }
  return absl::OkStatus();
}

// Triton puts the model behind the name of a repository; KServe's own message holds nothing but the
// model, and its response says which and that it is done.
StatusOr<std::string> repository_model(std::string_view request) {
  TENON_ASSIGN_OR_RETURN(TwoTexts names, parse_two_texts(request));
  return std::move(names.second.empty() ? names.first : names.second);
}

void append_done(std::string& out, std::string_view model) {
  append_string_field(out, 1, model);
  append_varint_field(out, 2, 1);
}

Status load_model(const OpenInference& service, std::string_view request, const RunLimits& limits,
                  std::string* out) {
  TENON_ASSIGN_OR_RETURN(const std::string model, repository_model(request));
  TENON_RETURN_IF_ERROR(load_repository_model(service, model, limits));
  append_done(*out, model);
  return absl::OkStatus();
}

Status unload_model(const OpenInference& service, std::string_view request, const RunLimits&,
                    std::string* out) {
  TENON_ASSIGN_OR_RETURN(const std::string model, repository_model(request));
  TENON_RETURN_IF_ERROR(unload_repository_model(service, model));
  append_done(*out, model);
  return absl::OkStatus();
}

using Kind = OpenInferenceMethod::Kind;
constexpr OpenInferenceMethod kMethods[] = {
    {"/inference.GRPCInferenceService/ServerLive", Kind::kProbe, server_live},
    {"/inference.GRPCInferenceService/ServerReady", Kind::kProbe, server_ready},
    {"/inference.GRPCInferenceService/ModelReady", Kind::kQuestion, is_model_ready},
    {"/inference.GRPCInferenceService/ServerMetadata", Kind::kQuestion, describe_server},
    {"/inference.GRPCInferenceService/ModelMetadata", Kind::kQuestion, describe_model},
    {"/inference.GRPCInferenceService/ModelInfer", Kind::kInference, model_infer},
    {"/inference.GRPCInferenceService/ModelStreamInfer", Kind::kInference, model_stream_infer,
     true},
    {"/inference.GRPCInferenceService/RepositoryIndex", Kind::kQuestion, index_repository},
    {"/inference.GRPCInferenceService/RepositoryModelLoad", Kind::kControl, load_model},
    {"/inference.GRPCInferenceService/RepositoryModelUnload", Kind::kControl, unload_model},
};

}  // namespace

std::span<const OpenInferenceMethod> open_inference_methods() { return kMethods; }

void count_infer_refusal(const OpenInference& service, std::string_view request,
                         const Status& why) {
  count_open_inference(service, infer_model_name(request), "ModelInfer", "GRPC", why, 0);
}

}  // namespace tenon::serving
