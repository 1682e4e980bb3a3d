// GrpcServer: TensorFlow Serving's PredictionService and ModelService, and the Open Inference
// Protocol's GRPCInferenceService, over HTTP/2, with server reflection: an event loop whose
// sessions are Http2Sessions.
#pragma once

#include <memory>

#include "tenon/serving/net/bearer_tokens.h"
#include "tenon/serving/served_models.h"

namespace tenon::serving {

struct GrpcOptions {
  int port = 8500;  // on 0.0.0.0; -1: none, 0: the system chooses
  std::string socket_path;
  int max_threads = 16;           // predictions at once
  size_t max_waiting = 1024;      // further ones that wait; beyond, RESOURCE_EXHAUSTED
  std::string channel_arguments;  // "key=value,key=value"; docs/serve.md names those that act
  std::string ssl_config;         // text of tensorflow.serving.SSLConfig; empty: plain text
  const BearerTokens* tokens = nullptr;  // of which calls need one; outlives the server
  bool health_service = false;           // grpc.health.v1.Health
  bool profiler_service = true;          // tensorflow.ProfilerService
  bool tensor_content = false;           // answer in tensor_content rather than *_val
  bool check_method_name = false;
  bool access_log = false;     // a line a call
  bool model_control = false;  // may clients load and unload models?
  MetricRegistry* metrics = &MetricRegistry::global();
};

class GrpcServer {
 public:
  // UNAVAILABLE names an address that cannot be had. `models` outlives the server.
  static StatusOr<std::unique_ptr<GrpcServer>> start(ServedModels& models,
                                                     const GrpcOptions& options);
  ~GrpcServer();  // stop(0)

  int port() const;

  // From now on it says that it is not ready, and goes on answering.
  void set_draining();

  // Takes no new calls; those that run may end within `drain_milliseconds`.
  void stop(int64_t drain_milliseconds);

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serving
