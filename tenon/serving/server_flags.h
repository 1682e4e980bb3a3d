// The flags of `tenon serve`: tensorflow_model_server's, under its names, defaults and syntax
// (tensorflow_serving/model_servers/main.cc), and a few of our own.
//
// --name=value; a bool also --name alone. Beyond TensorFlow Serving: --name value, and '-' for '_'
// in names.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

struct ServerFlags {
  int32_t port = 8500;  // 0: no gRPC
  std::string grpc_socket_path;
  int32_t rest_api_port = 0;         // 0: no REST
  int32_t rest_api_num_threads = 0;  // 0: 4 for each CPU
  int32_t rest_api_timeout_in_ms = 30000;
  bool rest_api_enable_cors_support = false;
  bool enable_batching = false;
  bool allow_version_labels_for_unavailable_models = false;
  std::string batching_parameters_file;
  bool enable_per_model_batching_parameters = false;
  std::string model_config_file;
  int32_t model_config_file_poll_wait_seconds = 0;
  std::string model_name = "default";
  std::string model_base_path;
  int32_t num_load_threads = 0;
  int32_t num_unload_threads = 0;
  int32_t max_num_load_retries = 5;
  int64_t load_retry_interval_micros = 60'000'000;
  int32_t file_system_poll_wait_seconds = 1;  // 0: once; below: never
  bool flush_filesystem_caches = true;
  int64_t tensorflow_session_parallelism = 0;
  int64_t tensorflow_intra_op_parallelism = 0;
  int64_t tensorflow_inter_op_parallelism = 0;
  std::string tensorflow_session_config_file;
  bool use_alts_credentials = false;
  std::string ssl_config_file;
  std::string platform_config_file;
  float per_process_gpu_memory_fraction = 0;
  std::string saved_model_tags = "serve";
  std::string grpc_channel_arguments;
  int32_t grpc_max_threads = 0;  // 0: 4 for each CPU
  bool enable_model_warmup = true;
  int32_t num_request_iterations_for_warmup = 0;
  bool version = false;
  std::string monitoring_config_file;
  bool remove_unused_fields_from_bundle_metagraph = true;
  bool prefer_tflite_model = false;
  int32_t num_tflite_pools = 0;
  int32_t num_tflite_interpreters_per_pool = 1;
  bool enable_signature_method_name_check = false;
  bool xla_cpu_compilation_enabled = false;
  bool xla_gpu_compilation_enabled = false;
  bool enable_profiler = true;
  std::string thread_pool_factory_config_file;
  std::string mixed_precision;
  bool skip_initialize_tpu = false;
  bool enable_grpc_healthcheck_service = false;
  bool enable_serialization_as_tensor_content = false;

  // Tenon's own.
  std::string log_format = "text";  // or json, to stdout
  std::string golden = "warn";      // off, warn, refuse: what a model that misses its goldens meets
  int32_t drain_delay_seconds = 0;  // from SIGTERM, while /readyz says no, until it stops
  int32_t drain_timeout_seconds = 30;  // from SIGTERM until what is left is cut off
  bool access_log = false;
  int64_t rest_api_gzip_from = 0;        // bytes of an answer that is compressed; 0: none is
  std::string rest_api_ssl_config_file;  // text SSLConfig for REST; empty: plain text
  std::string auth_token_file;           // tokens of which every request needs one; empty: none is
  std::string request_log_prefix;        // of files of predictions; empty: none are
  float request_log_sampling_rate = 1;
  int64_t request_log_file_bytes = 64 << 20;
  int32_t request_log_files = 10;  // of each model
  int64_t request_log_queue_bytes = 64 << 20;
  std::string s3_endpoint;                  // of s3:// and gs:// paths; empty: the services' own
  std::string model_cache_dir;              // of copies from object stores; empty: a temporary one
  std::string shadow_model;                 // "MODEL:VERSION,MODEL:LABEL"
  bool enable_model_control = false;        // clients of /v2/repository may load and unload models
  bool enable_model_list = false;           // GET /v1/models lists them
  bool merge_waiting_requests = true;       // where rows are independent, without enable_batching
  std::string models_directory;             // whose children are models; empty: none is
  int32_t threads = 0;                      // that compute; 0: all CPUs
  int64_t memory_limit = 0;                 // bytes; 0: as much as the machine has
  bool as_tensorflow_model_server = false;  // its texts and exit codes where start fails
};

struct ParsedServerFlags {
  ServerFlags flags;
  std::vector<std::string> unknown;  // arguments that are no flag; TensorFlow Serving goes on
};

// INVALID_ARGUMENT for a value that its flag cannot take.
StatusOr<ParsedServerFlags> parse_server_flags(std::span<const std::string> arguments);

// What the flags contradict each other in, or lack.
Status check_server_flags(const ServerFlags& flags);

// One sentence for each flag that is set to something else than its default and does nothing here.
std::vector<std::string> flags_without_effect(const ServerFlags& flags);

// Names of all flags, in the order in which the usage lists them.
std::vector<std::string_view> server_flag_names();

// MODEL_NAME and MODEL_BASE_PATH (the image's variables) stand in where no flag says what to serve.
// `get` is getenv.
void apply_environment(ServerFlags& flags, const std::function<const char*(const char*)>& get);

// "; did you mean --port?" for an argument that is no flag, where one is near; else "".
std::string nearest_server_flag(std::string_view argument);

// One line a flag: name, default, type, what it does.
std::string server_usage();

}  // namespace tenon::serving
