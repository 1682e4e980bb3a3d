#include "tenon/image/oci/model.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"

namespace tenon::image {
namespace {

using OciJson = nlohmann::ordered_json;
using StringMap = std::map<std::string, std::string>;

constexpr size_t kMostDescriptors = 10'000;

std::string dump(const OciJson& json) {
  return json.dump(-1, ' ', false, OciJson::error_handler_t::replace);
}

OciJson json_of(const Descriptor& descriptor) {
  OciJson json;
  json["mediaType"] = descriptor.media_type;
  json["digest"] = descriptor.digest;
  json["size"] = descriptor.size;
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  if (descriptor.platform.has_value()) {
    OciJson& platform = json["platform"];
    platform["architecture"] = descriptor.platform->architecture;
    platform["os"] = descriptor.platform->os;
    if (!descriptor.platform->variant.empty()) platform["variant"] = descriptor.platform->variant;
  }
  if (!descriptor.artifact_type.empty()) json["artifactType"] = descriptor.artifact_type;
  return json;
}

OciJson json_of(const std::vector<Descriptor>& descriptors) {
  OciJson json = OciJson::array();
  for (const Descriptor& descriptor : descriptors) json.push_back(json_of(descriptor));
  return json;
}

// An object of empty objects, OCI's form of a set.
OciJson set_of(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  OciJson json = OciJson::object();
  for (const std::string& name : names) json[name] = OciJson::object();
  return json;
}

// Lenient access to documents of others.
class OciFields {
 public:
  explicit OciFields(std::string_view what) : what_(what) {}

  static std::string text(const OciJson& object, const char* key) {
    const auto found = object.is_object() ? object.find(key) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  }
  static StringMap map(const OciJson& object, const char* key) {
    StringMap out;
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end() || !found->is_object()) return out;
    for (const auto& [name, value] : found->items()) {
      if (value.is_string()) out[name] = value.get<std::string>();
    }
    return out;
  }
  static std::vector<std::string> texts(const OciJson& object, const char* key) {
    std::vector<std::string> out;
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end()) return out;
    if (found->is_object()) {
      for (const auto& [name, value] : found->items()) out.push_back(name);
    }
    if (!found->is_array()) return out;
    for (const OciJson& item : *found) {
      if (item.is_string()) out.push_back(item.get<std::string>());
    }
    return out;
  }

  Descriptor descriptor(const OciJson& json, std::string_view where) {
    Descriptor out;
    out.media_type = text(json, "mediaType");
    out.digest = text(json, "digest");
    out.artifact_type = text(json, "artifactType");
    out.annotations = map(json, "annotations");
    const auto size = json.is_object() ? json.find("size") : json.end();
    if (!hex_of_digest(out.digest).ok() || size == json.end() || !size->is_number_unsigned()) {
      fail(where, "a descriptor with a sha256 digest and a size");
      return out;
    }
    out.size = size->get<uint64_t>();
    const auto platform = json.find("platform");
    if (platform != json.end() && platform->is_object()) {
      out.platform = Platform{text(*platform, "os"), text(*platform, "architecture"),
                              text(*platform, "variant")};
    }
    return out;
  }
  std::vector<Descriptor> descriptors(const OciJson& object, const char* key) {
    std::vector<Descriptor> out;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array() || found->size() > kMostDescriptors) {
      fail(key, "a list");
      return out;
    }
    for (const OciJson& item : *found) out.push_back(descriptor(item, key));
    return out;
  }
  void fail(std::string_view key, std::string_view expected) {
    if (status_.ok()) status_ = invalid_argument(what_, ": '", key, "' is not ", expected);
  }
  const Status& status() const { return status_; }

 private:
  std::string what_;
  Status status_;
};

StatusOr<OciJson> parse_object(std::string_view text, std::string_view what) {
  OciJson json = OciJson::parse(text, nullptr, false);
  if (!json.is_object()) return invalid_argument(what, " is not a JSON object");
  return json;
}

}  // namespace

std::string write_manifest(const Manifest& manifest) {
  OciJson json;
  json["schemaVersion"] = 2;
  json["mediaType"] = kManifestType;
  if (!manifest.artifact_type.empty()) json["artifactType"] = manifest.artifact_type;
  json["config"] = json_of(manifest.config);
  json["layers"] = json_of(manifest.layers);
  if (manifest.subject.has_value()) json["subject"] = json_of(*manifest.subject);
  if (!manifest.annotations.empty()) json["annotations"] = manifest.annotations;
  return dump(json);
}

std::string write_index(const Index& index) {
  OciJson json;
  json["schemaVersion"] = 2;
  json["mediaType"] = kIndexType;
  json["manifests"] = json_of(index.manifests);
  if (!index.annotations.empty()) json["annotations"] = index.annotations;
  return dump(json);
}

std::string write_config(const ImageConfig& config) {
  OciJson json;
  json["created"] = config.created;
  json["architecture"] = config.platform.architecture;
  if (!config.platform.variant.empty()) json["variant"] = config.platform.variant;
  json["os"] = config.platform.os;
  OciJson& run = json["config"] = OciJson::object();
  if (!config.user.empty()) run["User"] = config.user;
  if (!config.ports.empty()) run["ExposedPorts"] = set_of(config.ports);
  OciJson environment = OciJson::array();
  for (const auto& [name, value] : config.environment) environment.push_back(cat(name, "=", value));
  if (!environment.empty()) run["Env"] = std::move(environment);
  if (!config.entrypoint.empty()) run["Entrypoint"] = config.entrypoint;
  if (!config.command.empty()) run["Cmd"] = config.command;
  if (config.health.has_value()) {
    constexpr int64_t kSecond = 1'000'000'000;  // Docker counts in nanoseconds
    run["Healthcheck"] = {{"Test", config.health->test},
                          {"Interval", config.health->interval_s * kSecond},
                          {"Timeout", config.health->timeout_s * kSecond},
                          {"StartPeriod", config.health->start_period_s * kSecond},
                          {"Retries", config.health->retries}};
  }
  if (!config.volumes.empty()) run["Volumes"] = set_of(config.volumes);
  if (!config.working_directory.empty()) run["WorkingDir"] = config.working_directory;
  if (!config.labels.empty()) run["Labels"] = config.labels;
  if (!config.stop_signal.empty()) run["StopSignal"] = config.stop_signal;
  json["rootfs"] = {{"type", "layers"}, {"diff_ids", config.diff_ids}};
  OciJson& history = json["history"] = OciJson::array();
  for (const HistoryEntry& entry : config.history) {
    history.push_back({{"created", config.created},
                       {"created_by", entry.created_by},
                       {"comment", entry.comment}});
  }
  return dump(json);
}

bool is_index_type(std::string_view media_type) {
  return media_type == kIndexType ||
         media_type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool is_manifest_type(std::string_view media_type) {
  return media_type == kManifestType ||
         media_type == "application/vnd.docker.distribution.manifest.v2+json";
}

StatusOr<Manifest> parse_manifest(std::string_view text, std::string_view what) {
  TENON_ASSIGN_OR_RETURN(const OciJson json, parse_object(text, what));
  OciFields fields(what);
  Manifest manifest;
  manifest.artifact_type = OciFields::text(json, "artifactType");
  const auto config = json.find("config");
  if (config == json.end()) {
    fields.fail("config", "a descriptor");
  } else {
    manifest.config = fields.descriptor(*config, "config");
  }
  manifest.layers = fields.descriptors(json, "layers");
  if (const auto subject = json.find("subject"); subject != json.end()) {
    manifest.subject = fields.descriptor(*subject, "subject");
  }
  manifest.annotations = OciFields::map(json, "annotations");
  TENON_RETURN_IF_ERROR(fields.status());
  return manifest;
}

StatusOr<Index> parse_index(std::string_view text, std::string_view what) {
  TENON_ASSIGN_OR_RETURN(const OciJson json, parse_object(text, what));
  OciFields fields(what);
  Index index;
  index.manifests = fields.descriptors(json, "manifests");
  index.annotations = OciFields::map(json, "annotations");
  TENON_RETURN_IF_ERROR(fields.status());
  return index;
}

StatusOr<ImageConfig> parse_config(std::string_view text, std::string_view what) {
  TENON_ASSIGN_OR_RETURN(const OciJson json, parse_object(text, what));
  ImageConfig config;
  config.created = OciFields::text(json, "created");
  config.platform = {OciFields::text(json, "os"), OciFields::text(json, "architecture"),
                     OciFields::text(json, "variant")};
  if (const auto run = json.find("config"); run != json.end() && run->is_object()) {
    config.user = OciFields::text(*run, "User");
    config.working_directory = OciFields::text(*run, "WorkingDir");
    config.stop_signal = OciFields::text(*run, "StopSignal");
    config.entrypoint = OciFields::texts(*run, "Entrypoint");
    config.command = OciFields::texts(*run, "Cmd");
    config.ports = OciFields::texts(*run, "ExposedPorts");
    config.volumes = OciFields::texts(*run, "Volumes");
    config.labels = OciFields::map(*run, "Labels");
    for (const std::string& entry : OciFields::texts(*run, "Env")) {
      const size_t equals = entry.find('=');
      if (equals == std::string::npos) continue;
      config.environment[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }
  if (const auto rootfs = json.find("rootfs"); rootfs != json.end()) {
    config.diff_ids = OciFields::texts(*rootfs, "diff_ids");
  }
  if (const auto history = json.find("history"); history != json.end() && history->is_array()) {
    for (const OciJson& entry : *history) {
      config.history.push_back(
          {OciFields::text(entry, "created_by"), OciFields::text(entry, "comment")});
    }
  }
  return config;
}

std::string rfc3339(int64_t seconds) {
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, size);
}

}  // namespace tenon::image
