#include "tenon/serving/grpc/grpc_server.h"

#include <unistd.h>

#include "tenon/serving/grpc/health.h"
#include "tenon/serving/grpc/http2_session.h"
#include "tenon/serving/grpc/prediction_service.h"
#include "tenon/serving/grpc/profiler_service.h"
#include "tenon/serving/grpc/reflection.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/net/event_loop.h"
#include "tenon/serving/net/ssl_config.h"
#include "tenon/serving/open_inference/open_inference_grpc.h"

namespace tenon::serving {
namespace {

// What may run at a time: predictions as many as are allowed, a few changes of the configuration (a
// later one supersedes one that waits for models), and what takes no time.
enum GateIndex : int { kNone = ServerRequest::kNoGate, kPredictions = 0, kAdministration = 1 };

InferenceService inference(const PredictionService& service) {
  return {service.models, service.requests, service.options.check_method_name};
}

struct UnaryMethod {
  std::string_view path;
  GateIndex gate;
  Status (*call)(const PredictionService& service, std::string_view request,
                 const RunLimits& limits, std::string* response);
};

constexpr UnaryMethod kUnaryMethods[] = {
    {"/tensorflow.serving.PredictionService/Predict", kPredictions, predict},
    {"/tensorflow.serving.PredictionService/Classify", kPredictions,
     [](const PredictionService& service, std::string_view request, const RunLimits& limits,
        std::string* response) { return classify(inference(service), request, limits, response); }},
    {"/tensorflow.serving.PredictionService/Regress", kPredictions,
     [](const PredictionService& service, std::string_view request, const RunLimits& limits,
        std::string* response) { return regress(inference(service), request, limits, response); }},
    {"/tensorflow.serving.PredictionService/MultiInference", kPredictions,
     [](const PredictionService& service, std::string_view request, const RunLimits& limits,
        std::string* response) {
       return multi_inference(inference(service), request, limits, response);
     }},
    {"/tensorflow.serving.PredictionService/GetModelMetadata", kNone, get_model_metadata},
    {"/tensorflow.serving.ModelService/GetModelStatus", kNone, get_model_status},
    {"/tensorflow.serving.ModelService/HandleReloadConfigRequest", kAdministration, reload_config},
};

GateIndex gate_of(OpenInferenceMethod::Kind kind) {
  switch (kind) {
    case OpenInferenceMethod::Kind::kInference:
      return kPredictions;
    case OpenInferenceMethod::Kind::kControl:
      return kAdministration;
    default:
      return kNone;
  }
}

// gRPC's names of channel arguments that act here.
struct ChannelArgument {
  std::string_view name;
  int64_t GrpcLimits::*value;
};
constexpr ChannelArgument kChannelArguments[] = {
    {"grpc.max_receive_message_length", &GrpcLimits::max_message_bytes},
    {"grpc.max_metadata_size", &GrpcLimits::max_metadata_bytes},
    {"grpc.max_concurrent_streams", &GrpcLimits::max_streams},
    {"grpc.max_connection_idle_ms", &GrpcLimits::max_idle_ms},
};
constexpr std::string_view kCompressionArgument = "grpc.default_compression_algorithm";

// "key=value,key=value"; those that do not act here, and values that mean nothing, are left out.
GrpcLimits limits_of(const std::string& channel_arguments) {
  GrpcLimits limits;
  for (const std::string_view piece : split(channel_arguments, ',')) {
    const size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = piece.substr(0, equals);
    int64_t value = 0;
    if (!parse_number(piece.substr(equals + 1), value)) continue;
    if (name == kCompressionArgument && value >= 0 && value <= 2) {
      limits.compression = static_cast<GrpcEncoding>(value);
    }
    for (const ChannelArgument& argument : kChannelArguments) {
      // -1 means: no limit.
      if (name == argument.name && value != 0 && value <= INT32_MAX) {
        limits.*argument.value = value < 0 ? INT32_MAX : value;
      }
    }
  }
  return limits;
}

}  // namespace

struct GrpcServer::Impl {
  Impl(ServedModels& models, const GrpcOptions& grpc_options)
      : options(grpc_options),
        requests(*options.metrics),
        service{models,
                requests,
                *options.metrics,
                {options.tensor_content, options.check_method_name}},
        open_inference{models, requests, draining, options.model_control} {}

  void add_methods();
  void add_open_inference();
  StatusOr<std::vector<Endpoint>> listen();

  const GrpcOptions options;
  RequestMetrics requests;
  const PredictionService service;
  std::atomic<bool> draining{false};
  std::atomic<bool> stopped{false};
  const OpenInference open_inference;
  Http2Services services;
  int port = -1;
  std::unique_ptr<EventLoop> loop;  // the last: its sessions look at what stands above
};

void GrpcServer::Impl::add_methods() {
  services.limits = limits_of(options.channel_arguments);
  services.limits.access_log = options.access_log;
  services.tokens = options.tokens;
  for (const UnaryMethod& row : kUnaryMethods) {
    GrpcMethod method;
    method.path = row.path;
    method.gate = row.gate;
    method.call = [this, call = row.call](std::string_view request, const RunLimits& limits,
                                          std::string* response) {
      return call(service, request, limits, response);
    };
    if (row.gate == kPredictions) {
      method.refused = [this](std::string_view request, const Status& why) {
        count_refusal(service, request, why);
      };
    }
    services.methods.add(std::move(method));
  }
  add_open_inference();
  std::vector<std::string> names = {
      "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
      "inference.GRPCInferenceService", "tensorflow.serving.ModelService",
      "tensorflow.serving.PredictionService"};
  if (options.health_service) {
    names.insert(names.begin(), "grpc.health.v1.Health");
    add_health_service({"ModelService", "PredictionService"}, draining, services.methods);
  }
  if (options.profiler_service) {
    names.push_back("tensorflow.ProfilerService");
    add_profiler_service(kAdministration, draining, services.methods);
  }
  add_reflection_service(std::move(names), services.methods);
}

void GrpcServer::Impl::add_open_inference() {
  for (const OpenInferenceMethod& row : open_inference_methods()) {
    GrpcMethod method;
    method.path = row.path;
    method.gate = gate_of(row.kind);
    method.each_message = row.each_message;
    method.open = row.kind == OpenInferenceMethod::Kind::kProbe;
    method.call = [this, call = row.call](std::string_view request, const RunLimits& limits,
                                          std::string* response) {
      return call(open_inference, request, limits, response);
    };
    if (row.kind == OpenInferenceMethod::Kind::kInference) {
      method.refused = [this](std::string_view request, const Status& why) {
        count_infer_refusal(open_inference, request, why);
      };
    }
    services.methods.add(std::move(method));
  }
}

StatusOr<std::vector<Endpoint>> GrpcServer::Impl::listen() {
  std::vector<Endpoint> endpoints;
  const SessionFactory session = [this] { return Http2Session::create(services); };
  if (options.port >= 0) {
    Endpoint& endpoint = endpoints.emplace_back();
    if (!options.ssl_config.empty()) {
      TENON_ASSIGN_OR_RETURN(TlsOptions tls, parse_ssl_config(options.ssl_config));
      tls.protocols = {"h2"};
      TENON_ASSIGN_OR_RETURN(endpoint.tls, make_tls_context(tls));
    }
    TENON_ASSIGN_OR_RETURN(endpoint.socket, listen_on_port(options.port));
    endpoint.session = session;
    port = bound_port(endpoint.socket.get());
  }
  if (!options.socket_path.empty()) {
    Endpoint& endpoint = endpoints.emplace_back();
    TENON_ASSIGN_OR_RETURN(endpoint.socket, listen_on_path(options.socket_path));
    endpoint.session = session;
  }
  return endpoints;
}

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { stop(0); }

int GrpcServer::port() const { return impl_->port; }

void GrpcServer::set_draining() { impl_->draining = true; }

void GrpcServer::stop(int64_t drain_milliseconds) {
  impl_->draining = true;
  if (impl_->stopped.exchange(true)) return;
  impl_->loop->stop(drain_milliseconds);
  if (!impl_->options.socket_path.empty()) ::unlink(impl_->options.socket_path.c_str());
}

StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::start(ServedModels& models,
                                                        const GrpcOptions& options) {
  auto impl = std::make_unique<Impl>(models, options);
  impl->add_methods();
  TENON_ASSIGN_OR_RETURN(std::vector<Endpoint> endpoints, impl->listen());
  EventLoopOptions loop;
  loop.gates = {
      {.most_running = std::max(options.max_threads, 1), .most_waiting = options.max_waiting},
      {.most_running = 4}};
  loop.spare_workers = 2;
  loop.metrics = options.metrics;
  loop.entrypoint = "GRPC";
  loop.overload = cat(std::max(options.max_threads, 1),
                      " predictions run already, as many as --grpc_max_threads allows, and ",
                      options.max_waiting, " wait; try again");
  TENON_ASSIGN_OR_RETURN(impl->loop, EventLoop::start(loop, std::move(endpoints)));
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

}  // namespace tenon::serving
