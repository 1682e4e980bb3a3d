#include "tenon/serving/server.h"

#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/base/thread_pool.h"
#include "tenon/serving/grpc_server.h"
#include "tenon/serving/http/http_server.h"
#include "tenon/serving/rest_api.h"
#include "tenon/serving/saved_model_servable.h"
#include "tenon/serving/server_flags.h"
#include "tenon/serving/warmup.h"

namespace tenon::serving {
namespace {

constexpr int64_t kDrainMilliseconds = 30'000;
constexpr uint64_t kMostConfigBytes = 64 << 20;

// SIGTERM and SIGINT, taken by asking rather than by a handler. Made before any other thread, so
// that they all leave the signals alone.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~StopSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  // Has one come within `milliseconds`?
  bool wait(int64_t milliseconds) const {
    const timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    return sigtimedwait(&set_, nullptr, &timeout) > 0;
  }

 private:
  sigset_t set_;
  sigset_t before_;
};

StatusOr<std::string> read_config(const std::string& path) {
  return read_file(path, kMostConfigBytes);
}

StatusOr<std::vector<ModelConfig>> configs_of(const ServerFlags& flags) {
  if (!flags.model_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_config(flags.model_config_file));
    return parse_model_configs(text, flags.model_config_file);
  }
  ModelConfig config;
  config.name = flags.model_name;
  config.base_path = flags.model_base_path;
  const bool is_uri = config.base_path.find("://") != std::string::npos;
  if (!is_uri && !config.base_path.starts_with('/')) {
    char* here = ::realpath(".", nullptr);
    config.base_path = join_path(here ? here : "/", config.base_path);
    std::free(here);
  }
  return std::vector{config};
}

ServedModelsOptions model_options_of(const ServerFlags& flags) {
  SavedModelOptions saved_model;
  saved_model.tags.clear();
  for (const std::string_view tag : split(flags.saved_model_tags, ',')) {
    if (!tag.empty()) saved_model.tags.emplace_back(tag);
  }
  saved_model.golden = flags.golden == "off"      ? GoldenMode::kOff
                       : flags.golden == "refuse" ? GoldenMode::kRefuse
                                                  : GoldenMode::kWarn;
  WarmupOptions warmup;
  warmup.iterations = flags.num_request_iterations_for_warmup;
  ServedModelsOptions options;
  options.load = [saved_model, warmup, enabled = flags.enable_model_warmup](
                     const std::string&, int64_t,
                     const std::string& path) -> StatusOr<std::shared_ptr<const Servable>> {
    TENON_ASSIGN_OR_RETURN(auto servable, load_saved_model(path, saved_model));
    if (enabled) TENON_RETURN_IF_ERROR(replay_warmup(*servable, path, warmup));
    return servable;
  };
  options.load_threads = std::max(flags.num_load_threads, 1);
  options.max_load_retries = flags.max_num_load_retries;
  options.load_retry_interval = std::chrono::microseconds(flags.load_retry_interval_micros);
  options.poll = flags.file_system_poll_wait_seconds > 0;
  options.poll_interval = std::chrono::seconds(std::max(flags.file_system_poll_wait_seconds, 1));
  options.allow_labels_for_unavailable = flags.allow_version_labels_for_unavailable_models;
  return options;
}

int default_threads() {
  return 4 * static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
}

StatusOr<std::unique_ptr<GrpcServer>> start_grpc(ServedModels& models, const ServerFlags& flags) {
  GrpcOptions options;
  options.port = flags.port == 0 ? -1 : flags.port;
  options.socket_path = flags.grpc_socket_path;
  options.max_threads = flags.grpc_max_threads > 0 ? flags.grpc_max_threads : default_threads();
  options.channel_arguments = flags.grpc_channel_arguments;
  options.health_service = flags.enable_grpc_healthcheck_service;
  options.tensor_content = flags.enable_serialization_as_tensor_content;
  options.check_method_name = flags.enable_signature_method_name_check;
  if (!flags.ssl_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(options.ssl_config, read_config(flags.ssl_config_file));
  }
  TENON_ASSIGN_OR_RETURN(auto server, GrpcServer::start(models, options));
  log_info("Running gRPC ModelServer at 0.0.0.0:", flags.port, " ...");
  return server;
}

StatusOr<std::unique_ptr<HttpServer>> start_rest(RestApi& api, const ServerFlags& flags) {
  HttpServerOptions options;
  options.port = flags.rest_api_port;
  options.threads = flags.rest_api_num_threads > 0 ? flags.rest_api_num_threads : default_threads();
  TENON_ASSIGN_OR_RETURN(auto server,
                         HttpServer::start(options, [&api](const HttpRequest& request) {
                           return api.answer(request);
                         }));
  log_info("Exporting HTTP/REST API at:localhost:", flags.rest_api_port, " ...");
  return server;
}

StatusOr<RestOptions> rest_options_of(const ServerFlags& flags) {
  RestOptions options;
  options.cors = flags.rest_api_enable_cors_support;
  options.timeout_milliseconds = flags.rest_api_timeout_in_ms;
  options.check_method_name = flags.enable_signature_method_name_check;
  if (!flags.monitoring_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_config(flags.monitoring_config_file));
    TENON_ASSIGN_OR_RETURN(options.monitoring,
                           parse_monitoring_config(text, flags.monitoring_config_file));
  }
  return options;
}

// Reads the configuration file again; what is wrong with it is logged and changes nothing.
void reload_config_file(ServedModels& models, const std::string& path, std::string& last) {
  const StatusOr<std::string> text = read_config(path);
  if (text.ok() && *text == last) return;
  Status status = text.status();
  if (text.ok()) {
    last = *text;
    const auto configs = parse_model_configs(*text, path);
    status = configs.ok() ? models.reload(*configs) : configs.status();
  }
  if (!status.ok()) log_error("model configuration not reloaded: ", message_of(status));
}

void wait_for_stop(const StopSignals& signals, ServedModels& models, const ServerFlags& flags) {
  const int64_t interval = flags.model_config_file_poll_wait_seconds * int64_t{1000};
  const bool poll = interval > 0 && !flags.model_config_file.empty();
  constexpr int64_t kHour = 3'600'000;
  std::string last = poll ? read_config(flags.model_config_file).value_or("") : "";
  while (!signals.wait(poll ? interval : kHour)) {
    if (poll) reload_config_file(models, flags.model_config_file, last);
  }
}

// Serves until told to stop; an error is why it could not start.
Status run(const ServerFlags& flags) {
  const StopSignals signals;
  TENON_ASSIGN_OR_RETURN(const std::vector<ModelConfig> configs, configs_of(flags));
  TENON_ASSIGN_OR_RETURN(const RestOptions rest_options, rest_options_of(flags));
  bool stopped = false;
  StatusOr<std::unique_ptr<ServedModels>> started =
      ServedModels::start(model_options_of(flags), configs, [&] {
        stopped = stopped || signals.wait(0);
        return !stopped;
      });
  if (stopped) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(started.status());
  ServedModels& models = **started;
  RestApi api(models, rest_options);
  std::unique_ptr<HttpServer> rest;
  std::unique_ptr<GrpcServer> grpc;
  if (flags.rest_api_port != 0 && flags.rest_api_port == flags.port) {
    log_error("--rest_api_port cannot be same as --port. REST server is not started.");
  } else if (flags.rest_api_port != 0) {
    TENON_ASSIGN_OR_RETURN(rest, start_rest(api, flags));
  }
  if (flags.port != 0 || !flags.grpc_socket_path.empty()) {
    TENON_ASSIGN_OR_RETURN(grpc, start_grpc(models, flags));
  }
  wait_for_stop(signals, models, flags);
  log_info("Stopping: requests that have begun are answered first");
  api.set_draining();
  std::atomic<bool> drained{false};
  const auto stop_grpc = [&] {
    if (grpc) grpc->stop(kDrainMilliseconds);
  };
  const auto stop_both = [&] {
    StatusOr<std::thread> beside = start_thread(stop_grpc);
    if (!beside.ok()) stop_grpc();
    if (rest) rest->stop(kDrainMilliseconds);
    if (beside.ok()) beside->join();
    drained = true;
  };
  StatusOr<std::thread> drain = start_thread(stop_both);
  if (!drain.ok()) stop_both();
  while (!drained) {
    if (signals.wait(20)) std::_Exit(1);  // a second signal: no more waiting
  }
  if (drain.ok()) drain->join();
  return absl::OkStatus();
}

}  // namespace

int serve(std::span<const std::string> arguments) {
  StatusOr<ParsedServerFlags> parsed = parse_server_flags(arguments);
  Status status = parsed.status();
  if (status.ok()) {
    for (const std::string& argument : parsed->unknown) {
      std::fprintf(stderr, "unknown argument: %s%s\n", argument.c_str(),
                   nearest_server_flag(argument).c_str());
    }
    if (parsed->flags.version) {
      std::fputs("TensorFlow ModelServer: " TENON_VERSION
                 "-tenon\nTensorFlow Library: tenon " TENON_VERSION "\n",
                 stdout);
      return 0;
    }
    apply_environment(parsed->flags, [](const char* name) { return std::getenv(name); });
    status = check_server_flags(parsed->flags);
  }
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s: %s; `tenon serve --help` lists the flags\n",
                 std::string(code_name(status.code())).c_str(),
                 std::string(message_of(status)).c_str());
    return 2;
  }
  const ServerFlags& flags = parsed->flags;
  if (flags.log_format == "json") set_log_format(LogFormat::kJson);
  ThreadPool::configure(flags.threads > 0
                            ? flags.threads
                            : static_cast<int>(std::max(flags.tensorflow_session_parallelism,
                                                        flags.tensorflow_intra_op_parallelism)));
  status = run(flags);
  if (status.ok()) return 0;
  std::string line = cat("error: ", code_name(status.code()), ": ", message_of(status));
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fprintf(stderr, "%s\n", line.c_str());
  return 1;
}

}  // namespace tenon::serving
