// What to serve: the models of a ModelServerConfig, checked by TensorFlow Serving's rules.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace google::protobuf {
class Message;
}
namespace tensorflow::serving {
class ModelServerConfig;
}

namespace tenon::serving {

struct VersionPolicy {
  enum class Kind { kLatest, kAll, kSpecific };
  Kind kind = Kind::kLatest;
  uint32_t num_versions = 1;      // kLatest
  std::vector<int64_t> versions;  // kSpecific

  friend bool operator==(const VersionPolicy&, const VersionPolicy&) = default;
};

// Which of a model's predictions are logged, and where to.
struct LoggingConfig {
  std::string filename_prefix;
  double sampling_rate = 0;  // 0 to 1
};

struct ModelConfig {
  std::string name;
  std::string base_path;  // absolute; its children named by a number are the versions
  VersionPolicy policy;
  std::map<std::string, int64_t> labels;
  std::optional<LoggingConfig> logging = {};  // null: as flags say
};

// Protobuf's text format. INVALID_ARGUMENT tells line and column of what is wrong; `where` names
// the text.
Status parse_text_message(const std::string& text, std::string_view where,
                          google::protobuf::Message& message);

// An absolute path, or file:// and one, which is taken off; s3:// and gs://. INVALID_ARGUMENT for a
// relative one, UNIMPLEMENTED for other schemes.
Status check_base_path(ModelConfig& model);

// From the message that HandleReloadConfigRequest brings. INVALID_ARGUMENT for a model listed
// twice, a base path as above, a missing or unknown platform, or a configuration of another kind;
// FAILED_PRECONDITION for one that says nothing, as an empty file does.
StatusOr<std::vector<ModelConfig>> model_configs_of(
    const tensorflow::serving::ModelServerConfig& config);

// From the text format of that message.
StatusOr<std::vector<ModelConfig>> parse_model_configs(const std::string& text,
                                                       std::string_view where);

struct MonitoringConfig {
  bool enable = false;
  std::string path = "/monitoring/prometheus/metrics";
};

// From the text format of tensorflow.serving.MonitoringConfig.
StatusOr<MonitoringConfig> parse_monitoring_config(const std::string& text, std::string_view where);

}  // namespace tenon::serving
