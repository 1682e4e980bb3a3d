#include "tenon/base/files.h"
#include "tenon/serving/config_files.h"
#include "tenon/serving/model_config.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow_serving/config/monitoring_config.pb.h"
#include "tensorflow_serving/config/platform_config.pb.h"
#include "tensorflow_serving/config/ssl_config.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

constexpr uint64_t kMostConfigBytes = 64 << 20;

// Reads the file that `flag` names into `message`; OK where it names none.
Status read_message(std::string_view flag, const std::string& path,
                    google::protobuf::Message& message) {
  if (path.empty()) return absl::OkStatus();
  const StatusOr<std::string> text = read_config_file(path);
  if (!text.ok()) return with_context(text.status(), cat("--", flag));
  return with_context(parse_text_message(*text, path, message), cat("--", flag));
}

Status check_ssl(const tfs::SSLConfig& ssl) {
  for (const auto& [field, text] :
       {std::pair<std::string_view, const std::string&>{"server_key", ssl.server_key()},
        {"server_cert", ssl.server_cert()}}) {
    if (text.find("-----BEGIN") == std::string::npos) {
      return invalid_argument(field, " holds no PEM text; expected -----BEGIN ...");
    }
  }
  if (ssl.client_verify() && ssl.custom_ca().empty()) {
    return invalid_argument("client_verify is set without custom_ca to verify clients by");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> read_config_file(const std::string& path) {
  return read_file(path, kMostConfigBytes);
}

StatusOr<BatchingParameters> batching_parameters_of(const ServerFlags& flags) {
  const std::string& path = flags.batching_parameters_file;
  if (path.empty()) return default_batching_parameters();
  constexpr std::string_view kFlag = "--batching_parameters_file";
  const StatusOr<std::string> text = read_config_file(path);
  if (!text.ok()) return with_context(text.status(), kFlag);
  StatusOr<BatchingParameters> parsed = parse_batching_parameters(*text, path);
  if (!parsed.ok()) return with_context(parsed.status(), kFlag);
  return parsed;
}

Status check_config_files(const ServerFlags& flags) {
  tfs::SSLConfig ssl, rest_ssl;
  tfs::MonitoringConfig monitoring;
  tfs::PlatformConfigMap platforms;
  tensorflow::ConfigProto session;
  const struct {
    std::string_view flag;
    const std::string& path;
    google::protobuf::Message& message;
  } files[] = {
      {"ssl_config_file", flags.ssl_config_file, ssl},
      {"rest_api_ssl_config_file", flags.rest_api_ssl_config_file, rest_ssl},
      {"monitoring_config_file", flags.monitoring_config_file, monitoring},
      {"platform_config_file", flags.platform_config_file, platforms},
      {"tensorflow_session_config_file", flags.tensorflow_session_config_file, session},
  };
  for (const auto& file : files) {
    TENON_RETURN_IF_ERROR(read_message(file.flag, file.path, file.message));
  }
  TENON_RETURN_IF_ERROR(batching_parameters_of(flags).status());
  if (!flags.ssl_config_file.empty()) {
    TENON_RETURN_IF_ERROR(with_context(check_ssl(ssl), flags.ssl_config_file));
  }
  if (!flags.rest_api_ssl_config_file.empty()) {
    TENON_RETURN_IF_ERROR(with_context(check_ssl(rest_ssl), flags.rest_api_ssl_config_file));
  }
  if (!flags.thread_pool_factory_config_file.empty()) {
    TENON_RETURN_IF_ERROR(
        with_context(read_config_file(flags.thread_pool_factory_config_file).status(),
                     "--thread_pool_factory_config_file"));
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
