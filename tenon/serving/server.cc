#include "tenon/serving/server.h"

#include <malloc.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/host_memory.h"
#include "tenon/serving/config_files.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tenon/serving/http/http_server.h"
#include "tenon/serving/model_loading.h"
#include "tenon/serving/model_metrics.h"
#include "tenon/serving/model_versions.h"
#include "tenon/serving/net/bearer_tokens.h"
#include "tenon/serving/net/ssl_config.h"
#include "tenon/serving/rest_api.h"
#include "tenon/serving/server_flags.h"
#include "tenon/serving/stop_signals.h"
#include "tenon/serving/traffic/request_log.h"
#include "tenon/serving/traffic/shadow.h"

namespace tenon::serving {
namespace {

// `path` from the root on; a URI stays as it is.
std::string absolute(const std::string& path) {
  if (path.starts_with('/') || path.find("://") != std::string::npos) return path;
  char* here = ::realpath(".", nullptr);
  std::string made = join_path(here ? here : "/", path);
  std::free(here);
  return made;
}

StatusOr<std::vector<ModelConfig>> models_in_directory(const ServerFlags& flags) {
  const std::string folder = absolute(flags.models_directory);
  auto models = find_models(folder);
  if (!models.ok()) {
    if (flags.file_system_poll_wait_seconds <= 0) return models;
    log_warning(message_of(models.status()), "; models are served once it is there");
    return std::vector<ModelConfig>();
  }
  if (models->empty()) {
    log_warning(folder, " holds no model yet, that is a folder of versions (1, 2, ...)");
  }
  return models;
}

StatusOr<std::vector<ModelConfig>> configs_of(const ServerFlags& flags) {
  if (!flags.models_directory.empty()) return models_in_directory(flags);
  if (!flags.model_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_config_file(flags.model_config_file));
    StatusOr<std::vector<ModelConfig>> configs = parse_model_configs(text, flags.model_config_file);
    if (!absl::IsFailedPrecondition(configs.status())) return configs;
    log_warning(flags.model_config_file, " is empty: no model is served until it names some");
    return std::vector<ModelConfig>();
  }
  ModelConfig config;
  config.name = flags.model_name;
  config.base_path = absolute(flags.model_base_path);
  TENON_RETURN_IF_ERROR(check_base_path(config));
  return std::vector{config};
}

// Who is told of predictions. What goes on in it ends before the models do.
struct Taps {
  std::unique_ptr<RequestLog> log;
  std::unique_ptr<Shadow> shadow;  // null: there is none

  Status start(const ServerFlags& flags, ServedModelsOptions& options) {
    RequestLogOptions logging;
    logging.prefix = flags.request_log_prefix;
    logging.sampling_rate = flags.request_log_sampling_rate;
    logging.rotation.file_bytes = static_cast<uint64_t>(flags.request_log_file_bytes);
    logging.rotation.files = flags.request_log_files;
    logging.queue_bytes = static_cast<size_t>(flags.request_log_queue_bytes);
    TENON_ASSIGN_OR_RETURN(log, RequestLog::start(logging));
    options.taps.push_back(log.get());
    options.configured = [raw = log.get()](std::span<const ModelConfig> models) {
      raw->configure(models);
    };
    if (flags.shadow_model.empty()) return absl::OkStatus();
    ShadowOptions shadowing;
    TENON_ASSIGN_OR_RETURN(shadowing.shadows, parse_shadows(flags.shadow_model));
    TENON_ASSIGN_OR_RETURN(shadow, Shadow::start(shadowing));
    options.taps.push_back(shadow.get());
    return absl::OkStatus();
  }
};

// As the flag says, 4 a processor where it says nothing; no more than a machine has use for.
int threads_of(int32_t flag, std::string_view name) {
  constexpr int kMost = 4096;
  if (flag <= 0) return 4 * static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  if (flag > kMost) log_warning("--", name, "=", flag, " is taken for ", kMost);
  return std::min(flag, kMost);
}

StatusOr<std::unique_ptr<GrpcServer>> start_grpc(ServedModels& models, const BearerTokens* tokens,
                                                 const ServerFlags& flags) {
  GrpcOptions options;
  options.port = flags.port == 0 ? -1 : flags.port;
  options.socket_path = flags.grpc_socket_path;
  options.max_threads = threads_of(flags.grpc_max_threads, "grpc_max_threads");
  options.channel_arguments = flags.grpc_channel_arguments;
  options.health_service = flags.enable_grpc_healthcheck_service;
  options.profiler_service = flags.enable_profiler;
  options.tensor_content = flags.enable_serialization_as_tensor_content;
  options.check_method_name = flags.enable_signature_method_name_check;
  options.model_control = flags.enable_model_control;
  options.access_log = flags.access_log;
  options.tokens = tokens;
  if (!flags.ssl_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(options.ssl_config, read_config_file(flags.ssl_config_file));
  }
  TENON_ASSIGN_OR_RETURN(auto server, GrpcServer::start(models, options));
  log_info("Running gRPC ModelServer at 0.0.0.0:", flags.port, " ...");
  return server;
}

StatusOr<std::unique_ptr<HttpServer>> start_rest(RestApi& api, const BearerTokens* tokens,
                                                 const ServerFlags& flags) {
  HttpServerOptions options;
  options.port = flags.rest_api_port;
  options.metrics = &MetricRegistry::global();
  options.limits.deflated_from = static_cast<uint64_t>(flags.rest_api_gzip_from);
  options.threads = threads_of(flags.rest_api_num_threads, "rest_api_num_threads");
  if (tokens != nullptr) {
    options.admission = [tokens](const HttpRequest& request) {
      return is_open_to_all(request) || tokens->admit(request.headers.get("authorization"));
    };
  }
  if (!flags.rest_api_ssl_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text,
                           read_config_file(flags.rest_api_ssl_config_file));
    TENON_ASSIGN_OR_RETURN(TlsOptions tls, parse_ssl_config(text));
    tls.protocols = {"h2", "http/1.1"};
    TENON_ASSIGN_OR_RETURN(options.tls, make_tls_context(tls));
  }
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
  options.tokens = !flags.auth_token_file.empty();
  options.timeout_milliseconds = flags.rest_api_timeout_in_ms;
  options.check_method_name = flags.enable_signature_method_name_check;
  options.model_control = flags.enable_model_control;
  options.access_log = flags.access_log;
  options.status_page = !flags.as_tensorflow_model_server;
  options.model_list = flags.enable_model_list;
  if (!flags.monitoring_config_file.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_config_file(flags.monitoring_config_file));
    TENON_ASSIGN_OR_RETURN(options.monitoring,
                           parse_monitoring_config(text, flags.monitoring_config_file));
  }
  return options;
}

// Follows what says which models there are, the configuration file or the folder of models: what is
// wrong with it is logged, once, and changes nothing; what could not be done yet, such as a label
// of a version that still loads, is tried again. Made before the configuration is read first, so
// that no change is missed while the models load.
class ConfigFollower {
 public:
  explicit ConfigFollower(const ServerFlags& flags)
      : file_(flags.model_config_file),
        folder_(flags.models_directory.empty() ? "" : absolute(flags.models_directory)),
        interval_seconds_(!folder_.empty() ? flags.file_system_poll_wait_seconds
                          : !file_.empty() ? flags.model_config_file_poll_wait_seconds
                                           : 0),
        done_(read().value_or("")) {}

  // Between two looks; 0: there is nothing to follow.
  int64_t interval_milliseconds() const { return std::max<int64_t>(interval_seconds_, 0) * 1000; }

  void look(ServedModels& models) {
    const StatusOr<std::string> text = read();
    if (text.ok() && *text == done_) return;
    Status status = text.status();
    if (text.ok()) {
      const bool file = folder_.empty();
      const auto configs = file ? parse_model_configs(*text, file_) : find_models(folder_);
      // A file that was written says what there is to be; a folder says it of what has come or
      // gone.
      status = configs.ok() ? models.configure(*configs, file ? Unloaded::kReturn : Unloaded::kStay)
                            : configs.status();
    }
    if (status.ok()) done_ = *text;
    const std::string error(message_of(status));
    if (!error.empty() && error != said_) log_error("model configuration not reloaded: ", error);
    said_ = error;
  }

 private:
  // The file, or the names of the models in the folder.
  StatusOr<std::string> read() const {
    if (folder_.empty()) return read_config_file(file_);
    TENON_ASSIGN_OR_RETURN(const std::vector<ModelConfig> models, find_models(folder_));
    std::string names;
    for (const ModelConfig& model : models) names += cat(model.name, "/");
    return names;
  }

  const std::string file_;
  const std::string folder_;  // empty: the file says it
  const int64_t interval_seconds_;
  std::string done_;  // what is in force
  std::string said_;  // the last error
};

void wait_for_stop(StopSignals& signals, ServedModels& models, ConfigFollower& follower,
                   BearerTokens* tokens, MemoryKeeper* memory) {
  constexpr int64_t kUpkeep = 100, kSecond = 1000, kHour = 3600 * kSecond;
  const int64_t poll = follower.interval_milliseconds();
  const int64_t interval = poll > 0 ? poll : kHour;
  const int64_t nap = memory != nullptr ? kUpkeep : tokens != nullptr ? kSecond : kHour;
  int64_t next_look = steady_milliseconds() + interval, next_follow = 0;
  while (!signals.wait(std::min(interval, nap))) {
    if (memory != nullptr) memory->upkeep();
    if (tokens != nullptr && steady_milliseconds() >= next_follow) {
      tokens->follow();
      next_follow = steady_milliseconds() + kSecond;
    }
    if (poll <= 0 || steady_milliseconds() < next_look) continue;
    follower.look(models);
    next_look = steady_milliseconds() + interval;
  }
}

// A connection takes a descriptor: as many as the system allows, not as many as it gives at first.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Both at the same time; a second signal does not wait for them.
void stop_servers(StopSignals& signals, HttpServer* rest, GrpcServer* grpc, int64_t milliseconds) {
  std::atomic<bool> drained{false};
  const auto stop_grpc = [&] {
    if (grpc != nullptr) grpc->stop(milliseconds);
  };
  const auto stop_both = [&] {
    StatusOr<std::thread> beside = start_thread(stop_grpc);
    if (!beside.ok()) stop_grpc();
    if (rest != nullptr) rest->stop(milliseconds);
    if (beside.ok()) beside->join();
    drained = true;
  };
  StatusOr<std::thread> drain = start_thread(stop_both);
  if (!drain.ok()) stop_both();
  while (!drained) {
    if (signals.wait(20)) std::_Exit(1);
  }
  if (drain.ok()) drain->join();
}

// Serves until told to stop; an error is why it could not start.
Status run(const ServerFlags& flags, const UnpackArchive& unpack) {
  TENON_ASSIGN_OR_RETURN(const std::unique_ptr<StopSignals> taken, StopSignals::take());
  StopSignals& signals = *taken;
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is an error of writing
  std::signal(SIGPIPE, SIG_IGN);  // an object store that hangs up as well
  raise_descriptor_limit();
  declare_metrics(MetricRegistry::global());
  TENON_RETURN_IF_ERROR(check_config_files(flags));
  ConfigFollower follower(flags);
  TENON_ASSIGN_OR_RETURN(const std::vector<ModelConfig> configs, configs_of(flags));
  TENON_ASSIGN_OR_RETURN(const RestOptions rest_options, rest_options_of(flags));
  std::unique_ptr<BearerTokens> tokens;
  if (!flags.auth_token_file.empty()) {
    auto read = BearerTokens::read(flags.auth_token_file);
    if (!read.ok()) return with_context(read.status(), "--auth_token_file");
    tokens = *std::move(read);
  }
  std::shared_ptr<MemoryKeeper> memory;
  if (flags.memory_limit > 0) {
    const auto limit = static_cast<size_t>(flags.memory_limit);
    set_host_memory_limit(limit);
    // What is counted goes back to the system when it is freed, not to glibc's heaps.
    ::mallopt(M_MMAP_THRESHOLD, static_cast<int>(kCountedHostMemory));
    memory = std::make_shared<MemoryKeeper>(MemoryOptions{.limit = limit});
  }
  TENON_ASSIGN_OR_RETURN(ServedModelsOptions options,
                         model_options_of(flags, memory, unpack, signals.asked()));
  Taps taps;
  TENON_RETURN_IF_ERROR(taps.start(flags, options));
  StatusOr<std::unique_ptr<ServedModels>> started =
      ServedModels::start(std::move(options), configs, [&] { return !signals.asked(); });
  if (signals.asked()) return absl::OkStatus();
  TENON_RETURN_IF_ERROR(started.status());
  ServedModels& models = **started;
  if (taps.shadow) taps.shadow->attach(models);
  if (memory) memory->set_unload_version([&models] { return models.unload_spare(); });
  RestApi api(models, rest_options);
  std::unique_ptr<HttpServer> rest;
  std::unique_ptr<GrpcServer> grpc;
  if (flags.port != 0 || !flags.grpc_socket_path.empty()) {
    TENON_ASSIGN_OR_RETURN(grpc, start_grpc(models, tokens.get(), flags));
  }
  if (flags.rest_api_port != 0 && flags.rest_api_port == flags.port) {
    log_error("--rest_api_port cannot be same as --port. REST server is not started.");
  } else if (flags.rest_api_port != 0) {
    TENON_ASSIGN_OR_RETURN(rest, start_rest(api, tokens.get(), flags));
  }
  wait_for_stop(signals, models, follower, tokens.get(), memory.get());
  if (memory) memory->set_unload_version({});
  api.set_draining();
  if (grpc) grpc->set_draining();
  models.end_waiting();
  if (flags.drain_delay_seconds > 0) {
    log_info("Stopping in ", flags.drain_delay_seconds, " s: until then only /readyz says no");
    if (signals.wait(flags.drain_delay_seconds * int64_t{1000})) std::_Exit(1);
  }
  log_info("Stopping: requests that have begun are answered first");
  stop_servers(signals, rest.get(), grpc.get(),
               (flags.drain_timeout_seconds - flags.drain_delay_seconds) * int64_t{1000});
  if (taps.shadow) taps.shadow->detach();
  return absl::OkStatus();
}

// How an error ends the program: tensorflow_model_server has texts and a code of its own.
int fail(const ServerFlags& flags, const Status& status, bool wrong_usage) {
  std::string text(message_of(status));
  std::replace(text.begin(), text.end(), '\n', ' ');
  const std::string line = cat(code_name(status.code()), ": ", text);
  if (flags.log_format == "json") {
    log_error(line);
  } else if (flags.as_tensorflow_model_server) {
    std::fprintf(stderr, "Failed to start server. Error: %s\n", line.c_str());
  } else {
    std::fprintf(stderr, "error: %s%s\n", line.c_str(),
                 wrong_usage ? "; `tenon serve --help` lists the flags" : "");
  }
  if (flags.as_tensorflow_model_server) return 255;
  return wrong_usage ? 2 : 1;
}

}  // namespace

int serve(std::span<const std::string> arguments, const UnpackArchive& unpack) {
  StatusOr<ParsedServerFlags> parsed = parse_server_flags(arguments);
  if (!parsed.ok()) {
    ServerFlags flags;
    flags.as_tensorflow_model_server = std::find(arguments.begin(), arguments.end(),
                                                 "--as_tensorflow_model_server") != arguments.end();
    return fail(flags, parsed.status(), true);
  }
  ServerFlags& flags = parsed->flags;
  if (flags.log_format == "json") set_log_format(LogFormat::kJson);
  for (const std::string& argument : parsed->unknown) {
    const std::string line = cat("unknown argument: ", argument, nearest_server_flag(argument));
    if (flags.log_format == "json") {
      log_warning(line);
    } else {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }
  if (flags.version) {
    std::fputs("TensorFlow ModelServer: " TENON_VERSION
               "-tenon\nTensorFlow Library: tenon " TENON_VERSION "\n",
               stdout);
    return 0;
  }
  apply_environment(flags, [](const char* name) { return std::getenv(name); });
  Status status = check_server_flags(flags);
  if (!status.ok()) return fail(flags, status, true);
  for (const std::string& line : flags_without_effect(flags)) log_warning(line);
  ThreadPool::configure(flags.threads > 0
                            ? flags.threads
                            : static_cast<int>(std::max(flags.tensorflow_session_parallelism,
                                                        flags.tensorflow_intra_op_parallelism)));
  status = run(flags, unpack);
  return status.ok() ? 0 : fail(flags, status, false);
}

}  // namespace tenon::serving
