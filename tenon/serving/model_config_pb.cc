#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <set>

#include "tenon/net/s3.h"
#include "tenon/serving/model_config.h"
#include "tenon/serving/remote/archive_models.h"
#include "tensorflow_serving/config/model_server_config.pb.h"
#include "tensorflow_serving/config/monitoring_config.pb.h"

// Old configuration files still set the deprecated field model_type.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text_.empty()) text_ = cat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

StatusOr<std::string> platform_of(const tfs::ModelConfig& config) {
  constexpr std::string_view kTensorFlow = "tensorflow";
  std::string platform = config.model_platform();
  if (config.model_type() != tfs::MODEL_TYPE_UNSPECIFIED) {
    if (!platform.empty()) {
      return invalid_argument(
          "Illegal setting both ModelServerConfig::model_type (deprecated) and "
          "ModelServerConfig::model_platform.");
    }
    if (config.model_type() == tfs::TENSORFLOW) platform = kTensorFlow;
  }
  if (platform.empty()) {
    return invalid_argument(
        "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
        "ModelServerConfig::model_platform, model name is ",
        config.name());
  }
  if (platform != kTensorFlow) {
    return invalid_argument("Model ", config.name(), " requests unsupported platform ", platform);
  }
  return platform;
}

// The one kind of collector is the file; TensorFlow Serving has none but what is built into it.
StatusOr<LoggingConfig> logging_config_of(std::string_view model,
                                          const tfs::LoggingConfig& config) {
  const tfs::LogCollectorConfig& collector = config.log_collector_config();
  if (!collector.type().empty() && collector.type() != "file") {
    return not_found("Cannot find LogCollector::Factory for type: ", collector.type(),
                     ", model name is ", model, "; expected file");
  }
  LoggingConfig logging;
  logging.filename_prefix = collector.filename_prefix();
  logging.sampling_rate = config.sampling_config().sampling_rate();
  if (logging.filename_prefix.empty()) {
    return invalid_argument("logging_config of model ", model, " has no filename_prefix");
  }
  if (!(logging.sampling_rate >= 0 && logging.sampling_rate <= 1)) {
    return invalid_argument("logging_config of model ", model, " has the sampling_rate ",
                            logging.sampling_rate, "; expected 0 to 1");
  }
  return logging;
}

StatusOr<ModelConfig> model_config_of(const tfs::ModelConfig& config) {
  ModelConfig model;
  model.name = config.name();
  model.base_path = config.base_path();
  TENON_RETURN_IF_ERROR(platform_of(config).status());
  TENON_RETURN_IF_ERROR(check_base_path(model));
  if (config.has_logging_config()) {
    TENON_ASSIGN_OR_RETURN(model.logging, logging_config_of(model.name, config.logging_config()));
  }
  const auto& policy = config.model_version_policy();
  if (policy.has_all()) {
    model.policy.kind = VersionPolicy::Kind::kAll;
  } else if (policy.has_specific()) {
    model.policy.kind = VersionPolicy::Kind::kSpecific;
    model.policy.versions.assign(policy.specific().versions().begin(),
                                 policy.specific().versions().end());
  } else if (policy.latest().num_versions() > 0) {
    model.policy.num_versions = policy.latest().num_versions();
  }
  model.labels.insert(config.version_labels().begin(), config.version_labels().end());
  return model;
}

}  // namespace

Status parse_text_message(const std::string& text, std::string_view where,
                          google::protobuf::Message& message) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(100);
  if (parser.ParseFromString(text, &message)) return absl::OkStatus();
  return invalid_argument("Error parsing text-format ", message.GetDescriptor()->full_name(), ": ",
                          error.text(), " in ", where);
}

Status check_base_path(ModelConfig& model) {
  constexpr std::string_view kFile = "file://";
  if (model.base_path.starts_with(kFile)) model.base_path.erase(0, kFile.size());
  if (model.base_path.starts_with('/')) return absl::OkStatus();
  if (net::is_s3_uri(model.base_path)) {
    return with_context(net::parse_s3_uri(model.base_path).status(), cat("model ", model.name));
  }
  if (ArchiveModels::is_archive(model.base_path)) {
    return with_context(ArchiveModels::check_url(model.base_path), cat("model ", model.name));
  }
  const size_t scheme = model.base_path.find("://");
  if (scheme != std::string::npos) {
    return unimplemented("File system scheme '", model.base_path.substr(0, scheme),
                         "' not implemented (file: '", model.base_path, "'), model name is ",
                         model.name);
  }
  return invalid_argument("Expected model ", model.name,
                          " to have an absolute path or URI; got base_path()=", model.base_path);
}

StatusOr<std::vector<ModelConfig>> model_configs_of(const tfs::ModelServerConfig& config) {
  if (config.config_case() == tfs::ModelServerConfig::CONFIG_NOT_SET) {
    return failed_precondition(
        "Cannot transition to requested config. It is only legal to transition from one "
        "ModelConfigList to another.");
  }
  if (config.has_custom_model_config()) {
    return invalid_argument(
        "ServerModelConfig type not supported. Only ModelConfigList is currently supported");
  }
  std::set<std::string> names;
  std::vector<ModelConfig> models;
  for (const tfs::ModelConfig& model : config.model_config_list().config()) {
    if (!names.insert(model.name()).second) {
      return invalid_argument("Illegal to list model ", model.name(),
                              " multiple times in config list");
    }
  }
  for (const tfs::ModelConfig& model : config.model_config_list().config()) {
    TENON_ASSIGN_OR_RETURN(ModelConfig checked, model_config_of(model));
    models.push_back(std::move(checked));
  }
  return models;
}

StatusOr<std::vector<ModelConfig>> parse_model_configs(const std::string& text,
                                                       std::string_view where) {
  tfs::ModelServerConfig config;
  TENON_RETURN_IF_ERROR(parse_text_message(text, where, config));
  return model_configs_of(config);
}

StatusOr<MonitoringConfig> parse_monitoring_config(const std::string& text,
                                                   std::string_view where) {
  tfs::MonitoringConfig config;
  TENON_RETURN_IF_ERROR(parse_text_message(text, where, config));
  MonitoringConfig monitoring;
  monitoring.enable = config.prometheus_config().enable();
  if (!config.prometheus_config().path().empty()) {
    monitoring.path = config.prometheus_config().path();
  }
  return monitoring;
}

}  // namespace tenon::serving
