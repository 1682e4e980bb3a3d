#include "tenon/serving/server_flags.h"

#include <variant>

#include "tenon/base/files.h"
#include "tenon/base/nearest.h"

namespace tenon::serving {
namespace {

using Member = std::variant<bool ServerFlags::*, int32_t ServerFlags::*, int64_t ServerFlags::*,
                            float ServerFlags::*, std::string ServerFlags::*>;

struct Flag {
  std::string_view name;
  Member member;
  std::string_view help;
  std::string_view no_effect = {};  // why it is accepted and does nothing; empty: it acts
};

#define TENON_FLAG(name, help) \
  Flag { #name, &ServerFlags::name, help }
#define TENON_ACCEPTED(name, why) \
  Flag { #name, &ServerFlags::name, "accepted", why }
const Flag kFlags[] = {
    TENON_FLAG(port, "port of the gRPC interface; 0: none"),
    TENON_FLAG(grpc_socket_path, "path of a UNIX socket for the gRPC interface"),
    TENON_FLAG(rest_api_port, "port of the REST interface; 0: none"),
    TENON_FLAG(rest_api_num_threads, "threads that answer REST requests; 0: 4 for each CPU"),
    TENON_FLAG(rest_api_timeout_in_ms, "a prediction over REST that takes longer ends; 0: none"),
    TENON_FLAG(rest_api_enable_cors_support, "send CORS headers"),
    TENON_FLAG(enable_batching, "merge requests that come together"),
    TENON_FLAG(allow_version_labels_for_unavailable_models,
               "labels may be given to versions that are not loaded yet"),
    TENON_FLAG(batching_parameters_file, "text BatchingParameters"),
    TENON_FLAG(enable_per_model_batching_parameters,
               "by batching_params.pbtxt in each version's folder"),
    TENON_FLAG(model_config_file, "text ModelServerConfig: several models"),
    TENON_FLAG(model_config_file_poll_wait_seconds, "read that file again so often; 0: once"),
    TENON_FLAG(model_name, "name of the model in model_base_path"),
    TENON_FLAG(model_base_path, "folder that holds the versions of one model"),
    TENON_FLAG(num_load_threads, "threads that load versions; 0: in turn"),
    TENON_ACCEPTED(num_unload_threads, "unloading needs no thread of its own"),
    TENON_FLAG(max_num_load_retries, "tries after the first to load a version"),
    TENON_FLAG(load_retry_interval_micros, "time between two tries"),
    TENON_FLAG(file_system_poll_wait_seconds, "look for versions so often; 0: once, below: never"),
    TENON_ACCEPTED(flush_filesystem_caches, "nothing is cached"),
    TENON_FLAG(tensorflow_session_parallelism,
               "threads that compute, where --threads is not given"),
    TENON_FLAG(tensorflow_intra_op_parallelism,
               "threads that compute, where --threads is not given"),
    TENON_ACCEPTED(tensorflow_inter_op_parallelism, "ops of one run do not wait for each other"),
    TENON_ACCEPTED(tensorflow_session_config_file,
                   "the file is checked, its options are those of a TensorFlow session"),
    TENON_FLAG(use_alts_credentials, "refused: ALTS is Google's own"),
    TENON_FLAG(ssl_config_file, "text SSLConfig for the gRPC interface"),
    TENON_ACCEPTED(platform_config_file, "the file is checked, there is one platform"),
    TENON_ACCEPTED(per_process_gpu_memory_fraction, "models run on the CPU"),
    TENON_FLAG(saved_model_tags, "tags of the graph to load, separated by commas"),
    TENON_FLAG(grpc_channel_arguments, "key=value,key=value for the gRPC server"),
    TENON_FLAG(grpc_max_threads, "gRPC predictions that run at once; 0: 4 for each CPU"),
    TENON_FLAG(enable_model_warmup, "replay assets.extra/tf_serving_warmup_requests on load"),
    TENON_FLAG(num_request_iterations_for_warmup, "times each warm-up record is replayed"),
    TENON_FLAG(version, "print the version and exit"),
    TENON_FLAG(monitoring_config_file, "text MonitoringConfig"),
    TENON_ACCEPTED(remove_unused_fields_from_bundle_metagraph, "what is not used is never kept"),
    TENON_ACCEPTED(prefer_tflite_model, ".tflite files are not read"),
    TENON_ACCEPTED(num_tflite_pools, ".tflite files are not read"),
    TENON_ACCEPTED(num_tflite_interpreters_per_pool, ".tflite files are not read"),
    TENON_FLAG(enable_signature_method_name_check, "refuse signatures of other methods"),
    TENON_ACCEPTED(xla_cpu_compilation_enabled, "every model is planned ahead"),
    TENON_ACCEPTED(xla_gpu_compilation_enabled, "models run on the CPU"),
    TENON_FLAG(enable_profiler, "serve tensorflow.ProfilerService, which TensorBoard asks"),
    TENON_ACCEPTED(thread_pool_factory_config_file,
                   "the file is read, one pool of threads serves all models"),
    TENON_FLAG(mixed_precision, "bfloat16: multiply in bfloat16, add in float32"),
    TENON_ACCEPTED(skip_initialize_tpu, "there is no TPU to initialize"),
    TENON_FLAG(enable_grpc_healthcheck_service, "serve grpc.health.v1.Health"),
    TENON_FLAG(enable_serialization_as_tensor_content, "answer in tensor_content"),
    TENON_FLAG(log_format, "text (to stderr) or json (to stdout)"),
    TENON_FLAG(golden, "off, warn or refuse: what a model that misses its golden records meets"),
    TENON_FLAG(drain_delay_seconds, "after SIGTERM /readyz says no so long before it stops"),
    TENON_FLAG(drain_timeout_seconds, "after SIGTERM what is left after so long is cut off"),
    TENON_FLAG(access_log, "log a line a request"),
    TENON_FLAG(rest_api_gzip_from,
               "answers of so many bytes are compressed for clients that take gzip; 0: none"),
    TENON_FLAG(rest_api_ssl_config_file, "text SSLConfig for the REST interface"),
    TENON_FLAG(auth_token_file, "tokens, one a line, of which all requests but probes need one"),
    TENON_FLAG(request_log_prefix, "log predictions in files whose names begin so"),
    TENON_FLAG(request_log_sampling_rate, "the share of predictions that is logged: 0 to 1"),
    TENON_FLAG(request_log_file_bytes, "a fuller file is followed by the next"),
    TENON_FLAG(request_log_files, "files that are kept of each model"),
    TENON_FLAG(request_log_queue_bytes, "what waits to be written; beyond, it is dropped"),
    TENON_FLAG(s3_endpoint, "https://host:port that s3:// and gs:// are asked at"),
    TENON_FLAG(model_cache_dir, "folder of the copies of models in object stores"),
    TENON_FLAG(shadow_model,
               "MODEL:VERSION,MODEL:LABEL that make each prediction of MODEL again, to compare"),
    TENON_FLAG(enable_model_control, "clients of /v2/repository may load and unload models"),
    TENON_FLAG(enable_model_list, "GET /v1/models lists the models instead of being an error"),
    TENON_FLAG(merge_waiting_requests,
               "run requests together that would wait, where that changes no bit"),
    TENON_FLAG(models_directory, "folder whose children are models, followed while it serves"),
    TENON_FLAG(threads, "threads that compute; 0: all CPUs"),
    TENON_FLAG(memory_limit, "bytes of memory for models and requests; 0: what the machine has"),
    TENON_FLAG(as_tensorflow_model_server,
               "texts and exit codes of tensorflow_model_server, as under that name"),
};
#undef TENON_FLAG
#undef TENON_ACCEPTED

const Flag* find_flag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

template <class T>
bool parse_value(std::string_view text, T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    value = text;
    return true;
  } else if constexpr (std::is_same_v<T, bool>) {
    value = text == "true";
    return value || text == "false";
  } else if constexpr (std::is_same_v<T, float>) {
    double number = 0;
    if (!parse_number(text, number)) return false;
    value = static_cast<float>(number);
    return true;
  } else {
    int64_t number = 0;
    if (!parse_number(text, number) || number != static_cast<T>(number)) return false;
    value = static_cast<T>(number);
    return true;
  }
}

constexpr std::string_view kTypeNames[] = {"bool", "int32", "int64", "float", "string"};

Status set_flag(const Flag& flag, std::string_view text, ServerFlags& flags) {
  const bool ok =
      std::visit([&](auto member) { return parse_value(text, flags.*member); }, flag.member);
  if (ok) return absl::OkStatus();
  return invalid_argument(
      "--", flag.name, "=", text, ": expected ",
      flag.member.index() == 0 ? "true or false" : kTypeNames[flag.member.index()]);
}

}  // namespace

StatusOr<ParsedServerFlags> parse_server_flags(std::span<const std::string> arguments) {
  ParsedServerFlags parsed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    const bool is_flag = name.starts_with("--");
    if (is_flag) {
      name.erase(0, 2);
      std::replace(name.begin(), name.end(), '-', '_');
    }
    const Flag* flag = is_flag ? find_flag(name) : nullptr;
    if (flag == nullptr) {
      parsed.unknown.push_back(argument);
      continue;
    }
    std::string value;
    const bool is_bool = flag->member.index() == 0;
    const bool has_next = i + 1 < arguments.size();
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (is_bool) {
      const bool next_is_value =
          has_next && (arguments[i + 1] == "true" || arguments[i + 1] == "false");
      value = next_is_value ? arguments[++i] : "true";
    } else if (has_next) {
      value = arguments[++i];
    } else {
      return invalid_argument("--", name, " lacks its value; expected --", name, "=VALUE");
    }
    TENON_RETURN_IF_ERROR(set_flag(*flag, value, parsed.flags));
  }
  return parsed;
}

Status check_server_flags(const ServerFlags& flags) {
  if (!flags.batching_parameters_file.empty() && !flags.enable_batching) {
    return invalid_argument(
        "server_options.batching_parameters_file is set without setting "
        "server_options.enable_batching to true.");
  }
  if (flags.use_alts_credentials) {
    return unimplemented(
        "--use_alts_credentials: ALTS works on Google's own machines only; use --ssl_config_file");
  }
  if (flags.max_num_load_retries < 0 || flags.load_retry_interval_micros < 0) {
    return invalid_argument("--max_num_load_retries=", flags.max_num_load_retries,
                            " --load_retry_interval_micros=", flags.load_retry_interval_micros,
                            ": expected none below 0");
  }
  if (flags.drain_delay_seconds < 0 || flags.drain_timeout_seconds < flags.drain_delay_seconds) {
    return invalid_argument("--drain_delay_seconds=", flags.drain_delay_seconds,
                            " --drain_timeout_seconds=", flags.drain_timeout_seconds,
                            ": expected a delay of at least 0, and a timeout that is not less");
  }
  if (!(flags.request_log_sampling_rate >= 0 && flags.request_log_sampling_rate <= 1)) {
    return invalid_argument("--request_log_sampling_rate=", flags.request_log_sampling_rate,
                            ": expected 0 to 1");
  }
  if (flags.request_log_file_bytes < 1 || flags.request_log_files < 1 ||
      flags.request_log_queue_bytes < 1) {
    return invalid_argument("--request_log_file_bytes=", flags.request_log_file_bytes,
                            " --request_log_files=", flags.request_log_files,
                            " --request_log_queue_bytes=", flags.request_log_queue_bytes,
                            ": expected at least 1 of each");
  }
  if (flags.rest_api_gzip_from < 0) {
    return invalid_argument("--rest_api_gzip_from=", flags.rest_api_gzip_from,
                            ": expected at least 0");
  }
  if (flags.memory_limit < 0) {
    return invalid_argument("--memory_limit=", flags.memory_limit, ": expected at least 0");
  }
  if (!flags.mixed_precision.empty() && flags.mixed_precision != "bfloat16") {
    return invalid_argument("--mixed_precision=", flags.mixed_precision, ": expected bfloat16");
  }
  for (const auto& [name, port] :
       {std::pair{"port", flags.port}, std::pair{"rest_api_port", flags.rest_api_port}}) {
    if (port < 0 || port > 65535) {
      return invalid_argument("--", name, "=", port, ": expected 0 to 65535");
    }
  }
  if (flags.tensorflow_session_parallelism > 0 && flags.tensorflow_intra_op_parallelism > 0 &&
      flags.tensorflow_inter_op_parallelism > 0) {
    return invalid_argument(
        "Both server_options.tensorflow_session_parallelism and "
        "(server_options.tensorflow_intra_op_parallelism or "
        "server_options.tensorflow_inter_op_parallelism) cannot be set simultaneously.");
  }
  if (flags.port == 0 && flags.grpc_socket_path.empty() && flags.rest_api_port == 0) {
    return invalid_argument(
        "nothing to listen on: --port, --grpc_socket_path and --rest_api_port are all off");
  }
  const bool named = !flags.model_base_path.empty() || !flags.model_config_file.empty();
  if (!named && flags.models_directory.empty()) {
    return invalid_argument(
        "no model to serve: give --model_base_path (with --model_name), --model_config_file or "
        "--models_directory, or set MODEL_BASE_PATH and MODEL_NAME");
  }
  if (named && !flags.models_directory.empty()) {
    return invalid_argument("--models_directory=", flags.models_directory,
                            ": the models are named by --model_base_path or --model_config_file");
  }
  if (flags.log_format != "text" && flags.log_format != "json") {
    return invalid_argument("--log_format=", flags.log_format, ": expected text or json");
  }
  if (flags.golden != "off" && flags.golden != "warn" && flags.golden != "refuse") {
    return invalid_argument("--golden=", flags.golden, ": expected off, warn or refuse");
  }
  return absl::OkStatus();
}

void apply_environment(ServerFlags& flags, const std::function<const char*(const char*)>& get) {
  if (!flags.model_base_path.empty() || !flags.model_config_file.empty() ||
      !flags.models_directory.empty()) {
    return;
  }
  const char* base = get("MODEL_BASE_PATH");
  const char* name = get("MODEL_NAME");
  if (base == nullptr && name == nullptr) return;
  if (name == nullptr || *name == '\0') name = "model";
  if (base == nullptr || *base == '\0') base = "/models";
  flags.model_base_path = join_path(base, name);
  if (flags.model_name == ServerFlags().model_name) flags.model_name = name;
}

std::vector<std::string_view> server_flag_names() {
  std::vector<std::string_view> names;
  for (const Flag& flag : kFlags) names.push_back(flag.name);
  return names;
}

std::string nearest_server_flag(std::string_view argument) {
  const std::vector<std::string_view> names = server_flag_names();
  argument.remove_prefix(std::min(argument.find_first_not_of('-'), argument.size()));
  const std::string_view found = nearest(argument.substr(0, argument.find('=')), names);
  return found.empty() ? "" : cat("; did you mean --", found, "?");
}

std::vector<std::string> flags_without_effect(const ServerFlags& flags) {
  const ServerFlags defaults;
  std::vector<std::string> sentences;
  for (const Flag& flag : kFlags) {
    if (flag.no_effect.empty()) continue;
    const bool set =
        std::visit([&](auto member) { return flags.*member != defaults.*member; }, flag.member);
    if (set) sentences.push_back(cat("--", flag.name, " has no effect: ", flag.no_effect));
  }
  return sentences;
}

std::string server_usage() {
  std::string out = "Flags:\n";
  const ServerFlags defaults;
  for (const Flag& flag : kFlags) {
    out += cat("  --", flag.name, "=");
    std::visit(
        [&](auto member) {
          using T = std::remove_cvref_t<decltype(defaults.*member)>;
          std::is_same_v<T, std::string> ? out += cat("\"", defaults.*member, "\"")
                                         : out += cat(defaults.*member);
        },
        flag.member);
    out += cat("\t", kTypeNames[flag.member.index()], "\t", flag.help,
               flag.no_effect.empty() ? "" : ": ", flag.no_effect, "\n");
  }
  return out;
}

}  // namespace tenon::serving
