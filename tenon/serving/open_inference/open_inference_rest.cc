#include "tenon/serving/open_inference/open_inference_rest.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/open_inference/datatype.h"
#include "tenon/serving/open_inference/infer_json.h"
#include "tenon/serving/rest_route.h"

namespace tenon::serving {
namespace {

constexpr std::string_view kJsonBytesHeader = "inference-header-content-length";

// One request and what answers it.
struct Exchange {
  const OpenInference& service;
  const HttpRequest& http;
  const RunLimits& limits;
  ModelSpec model;
};

StatusOr<HttpResponse> json_response(JsonWriter writer, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(writer).take();
  return response;
}

StatusOr<HttpResponse> flags_response(
    std::initializer_list<std::pair<std::string_view, bool>> flags) {
  JsonWriter writer;
  writer.start_object();
  for (const auto& [name, value] : flags) {
    writer.key(name);
    writer.number(value);
  }
  writer.end_object();
  return json_response(std::move(writer), flags.begin()->second ? 200 : 503);
}

StatusOr<HttpResponse> live(const Exchange&) { return flags_response({{"live", true}}); }

// The specification prints "live" for this answer too; servers say "ready".
StatusOr<HttpResponse> ready(const Exchange& exchange) {
  const bool is_ready = open_inference_ready(exchange.service);
  return flags_response({{"ready", is_ready}, {"live", is_ready}});
}

StatusOr<HttpResponse> server_metadata(const Exchange&) {
  JsonWriter writer;
  writer.start_object();
  writer.key("name");
  writer.string(kServerName);
  writer.key("version");
  writer.string(server_version());
  writer.key("extensions");
  writer.start_array();
  for (const std::string_view extension : kExtensions) writer.string(extension);
  writer.end_array();
  writer.end_object();
  return json_response(std::move(writer));
}

StatusOr<HttpResponse> models(const Exchange& exchange) {
  JsonWriter writer;
  writer.start_object();
  writer.key("models");
  writer.start_array();
  for (const ModelListing& model : exchange.service.models.list()) writer.string(model.name);
  writer.end_array();
  writer.end_object();
  return json_response(std::move(writer));
}

StatusOr<HttpResponse> model_ready(const Exchange& exchange) {
  TENON_ASSIGN_OR_RETURN(const bool is_ready,
                         open_inference_ready(exchange.service, exchange.model));
  JsonWriter writer;
  writer.start_object();
  writer.key("name");
  writer.string(exchange.model.name);
  writer.key("ready");
  writer.number(is_ready);
  writer.end_object();
  return json_response(std::move(writer), is_ready ? 200 : 503);
}

void write_tensor_specs(JsonWriter& writer, std::string_view key,
                        const std::vector<TensorSpec>& specs) {
  writer.key(key);
  writer.start_array();
  for (const TensorSpec& spec : specs) {
    writer.start_object();
    writer.key("name");
    writer.string(spec.name);
    writer.key("datatype");
    const std::string_view datatype = datatype_name(spec.dtype);
    writer.string(datatype.empty() ? info(spec.dtype).enum_name : datatype);
    writer.key("shape");
    writer.set_single_line(true);
    writer.start_array();
    if (spec.shape.has_rank()) {
      for (const int64_t dim : spec.shape.dims()) writer.number(std::max<int64_t>(dim, -1));
    } else {
      writer.number(-1);
    }
    writer.end_array();
    writer.set_single_line(false);
    writer.end_object();
  }
  writer.end_array();
}

StatusOr<HttpResponse> model_metadata(const Exchange& exchange) {
  TENON_ASSIGN_OR_RETURN(const OpenInferenceModel model,
                         describe_open_inference(exchange.service, exchange.model));
  JsonWriter writer;
  writer.start_object();
  writer.key("name");
  writer.string(model.served->model);
  writer.key("versions");
  writer.start_array();
  for (const int64_t version : model.versions) writer.string(cat(version));
  writer.end_array();
  writer.key("platform");
  writer.string(kPlatform);
  write_tensor_specs(writer, "inputs", model.signature->inputs);
  write_tensor_specs(writer, "outputs", model.signature->outputs);
  writer.end_object();
  return json_response(std::move(writer));
}

StatusOr<OpenInferenceRequest> infer_request(const Exchange& exchange) {
  const std::string_view header = exchange.http.headers.get(kJsonBytesHeader);
  if (header.empty()) return parse_infer_request(exchange.http.body, {});
  int64_t json_bytes = 0;
  if (!parse_number(header, json_bytes) || json_bytes < 0) {
    return invalid_argument("Inference-Header-Content-Length: ", header,
                            " is not a number of bytes");
  }
  if (json_bytes > 0) {
    return parse_infer_request(exchange.http.body, static_cast<size_t>(json_bytes));
  }
  TENON_ASSIGN_OR_RETURN(const OpenInferenceModel model,
                         describe_open_inference(exchange.service, exchange.model));
  return raw_infer_request(*model.signature, exchange.http.body);
}

StatusOr<HttpResponse> run_infer(const Exchange& exchange) {
  TENON_ASSIGN_OR_RETURN(const OpenInferenceRequest request, infer_request(exchange));
  TENON_ASSIGN_OR_RETURN(
      const OpenInferenceResult result,
      run_open_inference(exchange.service, exchange.model, request, exchange.limits));
  TENON_ASSIGN_OR_RETURN(InferResponse answer, write_infer_response(request, result));
  HttpResponse response;
  response.body = std::move(answer.body);
  if (answer.json_bytes) {
    response.content_type = "application/octet-stream";
    response.headers.emplace_back("Inference-Header-Content-Length", cat(*answer.json_bytes));
  }
  return response;
}

StatusOr<HttpResponse> infer(const Exchange& exchange) {
  const int64_t start = steady_microseconds();
  StatusOr<HttpResponse> response = or_out_of_memory([&] { return run_infer(exchange); });
  count_open_inference(exchange.service, exchange.model.name, "infer", "REST", response.status(),
                       start);
  return response;
}

StatusOr<HttpResponse> index(const Exchange& exchange) {
  bool only_ready = false;
  if (!exchange.http.body.empty()) {
    TENON_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(exchange.http.body));
    const JsonNode& root = document.root();
    const JsonNode* const given = root.is_object() ? root.find("ready") : nullptr;
    only_ready = given != nullptr && given->kind == JsonKind::kTrue;
  }
  JsonWriter writer;
  writer.start_array();
  for (const RepositoryEntry& entry : repository_index(exchange.service, only_ready)) {
    writer.start_object();
    writer.key("name");
    writer.string(entry.name);
    if (!entry.version.empty()) {
      writer.key("version");
      writer.string(entry.version);
    }
    writer.key("state");
    writer.string(entry.state);
    writer.key("reason");
    writer.string(entry.reason);
    writer.end_object();
  }
  writer.end_array();
  return json_response(std::move(writer));
}

StatusOr<HttpResponse> empty_object() {
  HttpResponse response;
  response.body = "{}";
  return response;
}

StatusOr<HttpResponse> load(const Exchange& exchange) {
  TENON_RETURN_IF_ERROR(
      load_repository_model(exchange.service, exchange.model.name, exchange.limits));
  return empty_object();
}

StatusOr<HttpResponse> unload(const Exchange& exchange) {
  TENON_RETURN_IF_ERROR(unload_repository_model(exchange.service, exchange.model.name));
  return empty_object();
}

struct Route {
  std::string_view pattern;  // "*" stands for the name of a model, "+" for its version
  std::string_view method;
  StatusOr<HttpResponse> (*answer)(const Exchange& exchange);
};
constexpr Route kRoutes[] = {
    {"v2", "GET", server_metadata},
    {"v2/", "GET", server_metadata},
    {"v2/health/live", "GET", live},
    {"v2/health/ready", "GET", ready},
    {"v2/models", "GET", models},
    {"v2/models/*", "GET", model_metadata},
    {"v2/models/*/ready", "GET", model_ready},
    {"v2/models/*/infer", "POST", infer},
    {"v2/models/*/versions/+", "GET", model_metadata},
    {"v2/models/*/versions/+/ready", "GET", model_ready},
    {"v2/models/*/versions/+/infer", "POST", infer},
    {"v2/repository/index", "POST", index},
    {"v2/repository/models/*/load", "POST", load},
    {"v2/repository/models/*/unload", "POST", unload},
};

// Takes what stands before the next slash, and the slash; `rest` has no value after the last piece.
std::string_view take_piece(std::optional<std::string_view>& rest) {
  const size_t slash = rest->find('/');
  const std::string_view piece = rest->substr(0, slash);
  if (slash == std::string_view::npos) {
    rest.reset();
  } else {
    rest->remove_prefix(slash + 1);
  }
  return piece;
}

bool matches(std::string_view pattern, std::string_view path, std::string& model,
             std::string& version) {
  std::optional<std::string_view> wanted = pattern, given = path;
  while (wanted && given) {
    const std::string_view name = take_piece(wanted), piece = take_piece(given);
    const bool any = name == "*" || name == "+";
    if (any ? piece.empty() : name != piece) return false;
    if (name == "*") model = percent_decoded(piece);
    if (name == "+") version = percent_decoded(piece);
  }
  return !wanted && !given;
}

HttpResponse open_inference_error(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = write_json_error(message);
  return response;
}

}  // namespace

bool is_open_inference_path(std::string_view path) {
  return path == "/v2" || path.starts_with("/v2/");
}

HttpResponse answer_open_inference(const OpenInference& service, const HttpRequest& request,
                                   const RunLimits& limits) {
  const std::string_view path = request.target.substr(0, request.target.find_first_of("?#"));
  const std::string_view method = request.method == "HEAD" ? "GET" : request.method;
  std::string_view allowed;
  for (const Route& route : kRoutes) {
    std::string model, version;
    if (!matches(route.pattern, path.substr(1), model, version)) continue;
    allowed = route.method;
    if (allowed != method) continue;
    const StatusOr<ModelSpec> spec = open_inference_spec(model, version);
    StatusOr<HttpResponse> response = spec.ok() ? or_out_of_memory([&] {
      return route.answer({service, request, limits, *spec});
    })
                                                : StatusOr<HttpResponse>(spec.status());
    if (response.ok()) return *std::move(response);
    return open_inference_error(http_status_of(response.status().code()),
                                message_of(response.status()));
  }
  if (allowed.empty()) return open_inference_error(404, cat("there is nothing at ", path));
  return open_inference_error(405, cat(path, " is asked by ", allowed, ", not ", request.method));
}

}  // namespace tenon::serving
