#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <condition_variable>
#include <list>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"
#include "tenon/serving/grpc_server.h"
#include "tenon/serving/inference/inference_service.h"
#include "tenon/serving/model_config.h"
#include "tenon/serving/prediction_service.h"
#include "tensorflow_serving/apis/model_service.grpc.pb.h"
#include "tensorflow_serving/apis/prediction_service.grpc.pb.h"
#include "tensorflow_serving/config/ssl_config.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

// Long messages travel in a trailer, which has its limits: cut as TensorFlow Serving cuts them.
grpc::Status grpc_status_of(const Status& status) {
  constexpr size_t kMostBytes = 1024;
  if (status.ok()) return grpc::Status::OK;
  std::string text(message_of(status));
  if (text.size() > kMostBytes) {
    text.resize(kMostBytes);
    text += "...TRUNCATED";
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), text);
}

// Tells runs that their clients have gone, or that the server ends: grpc++ tells whoever asks, and
// a run looks at a flag.
class CancelledCalls {
 public:
  // Without a thread, nobody is told.
  CancelledCalls() {
    StatusOr<std::thread> thread = start_thread([this] { watch(); });
    if (thread.ok()) watcher_ = *std::move(thread);
  }
  ~CancelledCalls() {
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    if (watcher_.joinable()) watcher_.join();
  }

  // A call, as long as this lives.
  class Call {
   public:
    Call(CancelledCalls& calls, const grpc::ServerContext& context)
        : calls_(calls), context_(context) {
      std::lock_guard lock(calls_.mutex_);
      place_ = calls_.running_.insert(calls_.running_.end(), this);
      if (calls_.running_.size() == 1) calls_.changed_.notify_one();
    }
    ~Call() {
      std::lock_guard lock(calls_.mutex_);
      calls_.running_.erase(place_);
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    const std::atomic<bool>* cancelled() const { return &cancelled_; }

   private:
    friend class CancelledCalls;
    CancelledCalls& calls_;
    const grpc::ServerContext& context_;
    std::list<Call*>::iterator place_;
    std::atomic<bool> cancelled_{false};
  };

 private:
  void watch() {
    constexpr std::chrono::milliseconds kPeriod{20};
    std::unique_lock lock(mutex_);
    while (!ended_) {
      changed_.wait(lock, [&] { return ended_ || !running_.empty(); });
      for (Call* call : running_) {
        if (call->context_.IsCancelled()) call->cancelled_ = true;
      }
      changed_.wait_for(lock, kPeriod, [&] { return ended_; });
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Call*> running_;
  bool ended_ = false;
  std::thread watcher_;
};

RunLimits limits_of(const grpc::ServerContext& context, const CancelledCalls::Call& call) {
  RunLimits limits{.cancelled = call.cancelled()};
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return limits;
  limits.deadline = std::chrono::steady_clock::now() +
                    std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                        deadline - std::chrono::system_clock::now());
  return limits;
}

// Threads beside those of predictions: for health checks, status and metadata, and to wait for
// calls.
constexpr int kThreadsForOthers = 8;

class PredictionService final : public tfs::PredictionService::Service {
 public:
  PredictionService(const ServedModels& models, const GrpcOptions& options)
      : models_(models),
        options_{options.tensor_content, options.check_method_name},
        most_(std::max(options.max_threads, 1)),
        requests_(*options.metrics) {}

  grpc::Status Predict(grpc::ServerContext* context, const tfs::PredictRequest* request,
                       tfs::PredictResponse* response) override {
    const int64_t start = steady_microseconds();
    std::shared_ptr<const ServedVersion> served;
    const bool admitted = running_.fetch_add(1) < most_;
    const Status status = !admitted ? resource_exhausted(most_,
                                                         " predictions run already, as many as "
                                                         "--grpc_max_threads allows; try again")
                                    : or_out_of_memory([&] {
                                        const CancelledCalls::Call call(calls_, *context);
                                        return predict(models_, options_, *request, *response,
                                                       served, limits_of(*context, call));
                                      });
    running_.fetch_sub(1);
    if (status.ok()) {
      served->cells.ok.add();
      served->cells.grpc_latency.observe(static_cast<double>(microseconds_since(start)));
    } else {
      const std::string& name = request->model_spec().name();
      requests_.count_failure(models_.knows(name) ? name : "", cat("gRPC Predict of ", name),
                              status);
    }
    return grpc_status_of(status);
  }

  grpc::Status Classify(grpc::ServerContext* context, const tfs::ClassificationRequest* request,
                        tfs::ClassificationResponse* response) override {
    return infer(context, classify, *request, *response);
  }
  grpc::Status Regress(grpc::ServerContext* context, const tfs::RegressionRequest* request,
                       tfs::RegressionResponse* response) override {
    return infer(context, regress, *request, *response);
  }
  grpc::Status MultiInference(grpc::ServerContext* context,
                              const tfs::MultiInferenceRequest* request,
                              tfs::MultiInferenceResponse* response) override {
    return infer(context, multi_inference, *request, *response);
  }

  grpc::Status GetModelMetadata(grpc::ServerContext*, const tfs::GetModelMetadataRequest* request,
                                tfs::GetModelMetadataResponse* response) override {
    return grpc_status_of(get_model_metadata(models_, *request, *response));
  }

 private:
  // By the bytes of the messages, which is how the methods take them.
  template <class Method, class Request, class Response>
  grpc::Status infer(grpc::ServerContext* context, Method method, const Request& request,
                     Response& response) {
    const CancelledCalls::Call call(calls_, *context);
    std::string bytes;
    Status status = method({models_, requests_, options_.check_method_name},
                           request.SerializeAsString(), limits_of(*context, call), &bytes);
    if (status.ok() && !response.ParseFromString(bytes)) status = internal("no response");
    return grpc_status_of(status);
  }

  const ServedModels& models_;
  const PredictOptions options_;
  const int most_;
  std::atomic<int> running_{0};
  CancelledCalls calls_;
  RequestMetrics requests_;
};

class ModelService final : public tfs::ModelService::Service {
 public:
  ModelService(ServedModels& models, MetricRegistry& metrics)
      : models_(models), metrics_(metrics) {}

  grpc::Status GetModelStatus(grpc::ServerContext*, const tfs::GetModelStatusRequest* request,
                              tfs::GetModelStatusResponse* response) override {
    return grpc_status_of(get_model_status(models_, *request, *response));
  }

  grpc::Status HandleReloadConfigRequest(grpc::ServerContext*,
                                         const tfs::ReloadConfigRequest* request,
                                         tfs::ReloadConfigResponse* response) override {
    return grpc_status_of(reload_config(models_, metrics_, *request, *response));
  }

 private:
  ServedModels& models_;
  MetricRegistry& metrics_;
};

StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials_of(const std::string& ssl_config) {
  if (ssl_config.empty()) return grpc::InsecureServerCredentials();
  tfs::SSLConfig config;
  TENON_RETURN_IF_ERROR(parse_text_message(ssl_config, "the SSL configuration", config));
  grpc::SslServerCredentialsOptions options(
      config.client_verify() ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_root_certs = config.custom_ca();
  options.pem_key_cert_pairs.push_back({config.server_key(), config.server_cert()});
  return grpc::SslServerCredentials(options);
}

// "key=value,key=value"; a value that is an integer is passed as one.
void add_channel_arguments(const std::string& text, grpc::ServerBuilder& builder) {
  for (const std::string_view piece : split(text, ',')) {
    const size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string key(piece.substr(0, equals));
    const std::string value(piece.substr(equals + 1));
    int64_t number = 0;
    if (parse_number(value, number) && number == static_cast<int>(number)) {
      builder.AddChannelArgument(key, static_cast<int>(number));
    } else {
      builder.AddChannelArgument(key, value);
    }
  }
}

}  // namespace

struct GrpcServer::Impl {
  Impl(ServedModels& models, const GrpcOptions& options)
      : prediction(models, options), model(models, *options.metrics) {}
  PredictionService prediction;
  ModelService model;
  std::unique_ptr<grpc::Server> server;
  int port = -1;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

GrpcServer::~GrpcServer() { stop(0); }

int GrpcServer::port() const { return impl_->port; }

void GrpcServer::stop(int64_t drain_milliseconds) {
  if (!impl_->server) return;
  impl_->server->Shutdown(std::chrono::system_clock::now() +
                          std::chrono::milliseconds(drain_milliseconds));
  impl_->server->Wait();
  impl_->server.reset();
}

StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::start(ServedModels& models,
                                                        const GrpcOptions& options) {
  TENON_ASSIGN_OR_RETURN(const auto credentials, credentials_of(options.ssl_config));
  grpc::EnableDefaultHealthCheckService(options.health_service);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto impl = std::make_unique<Impl>(models, options);
  grpc::ServerBuilder builder;
  const std::string address = cat("0.0.0.0:", options.port);
  if (options.port >= 0) builder.AddListeningPort(address, credentials, &impl->port);
  if (!options.socket_path.empty()) {
    builder.AddListeningPort(cat("unix:", options.socket_path), grpc::InsecureServerCredentials());
  }
  builder.RegisterService(&impl->prediction);
  builder.RegisterService(&impl->model);
  builder.SetMaxReceiveMessageSize(std::numeric_limits<int32_t>::max());
  builder.SetMaxSendMessageSize(std::numeric_limits<int32_t>::max());
  // Else a second server on the port would start, and get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  add_channel_arguments(options.channel_arguments, builder);
  grpc::ResourceQuota quota("tenon");
  quota.SetMaxThreads(std::max(options.max_threads, 1) + kThreadsForOthers);
  builder.SetResourceQuota(quota);
  impl->server = builder.BuildAndStart();
  if (!impl->server) {
    return unavailable("cannot listen for gRPC on ",
                       options.port >= 0 ? address : options.socket_path);
  }
  if (auto* health = impl->server->GetHealthCheckService()) {
    health->SetServingStatus("ModelService", true);
    health->SetServingStatus("PredictionService", true);
  }
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

}  // namespace tenon::serving
