#include "tenon/image/build/settings.h"

#include <algorithm>

#include "tenon/image/oci/name.h"

namespace tenon::image {
namespace {

constexpr uint64_t kAccountsLimit = 4 << 20;
constexpr std::string_view kOciPrefix = "org.opencontainers.image.";
constexpr std::string_view kTitle = "org.opencontainers.image.title";
constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void merge(const std::map<std::string, std::string>& from, std::map<std::string, std::string>& to) {
  for (const auto& [key, value] : from) to[key] = value;
}

Status check_account(const Tree& files, std::string_view file, std::string_view name,
                     std::string_view user) {
  int64_t number = 0;
  if (parse_number(name, number)) {
    if (number >= 0 && number <= 0xffffffff) return {};
    return failed_precondition("user '", user, "': ", number, " is no id");
  }
  const TreeNode* node = files.find(files.resolve(file));
  if (node != nullptr && node->type == EntryType::kFile) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_text(*node, kAccountsLimit));
    for (std::string_view line : split(text, '\n')) {
      if (line.substr(0, line.find(':')) == name && !name.empty()) return {};
    }
  }
  return failed_precondition("user '", user, "': the image's /", file, " has no '", name, "'");
}

bool is_executable(const Tree& files, std::string_view path) {
  const std::string real = files.resolve(path.substr(1));
  const TreeNode* node = real.empty() ? nullptr : files.find(real);
  if (node != nullptr && node->type == EntryType::kHardLink) node = files.find(node->link);
  return node != nullptr && node->type == EntryType::kFile && (node->mode & 0111) != 0;
}

// Whether a container engine finds `program`: by its path, or in PATH.
bool starts(const ImageConfig& config, const Tree& files, const std::string& program) {
  if (program.starts_with('/')) return is_executable(files, program);
  const std::string folder = config.working_directory.empty() ? "/" : config.working_directory;
  if (program.find('/') != std::string::npos) {
    return is_executable(files, join_path(folder, program));
  }
  const auto variable = config.environment.find("PATH");
  const std::string_view path =
      variable == config.environment.end() ? kDefaultPath : std::string_view(variable->second);
  const auto folders = split(path, ':');
  return std::any_of(folders.begin(), folders.end(), [&](std::string_view place) {
    return place.starts_with('/') && is_executable(files, join_path(place, program));
  });
}

}  // namespace

void apply_settings(const Declaration& declaration, const BuildOptions& options,
                    const ModelFacts& facts, ImageConfig& config) {
  const auto set = [](const auto& from, auto& to) {
    if (!from.empty()) to = from;
  };
  set(declaration.user, config.user);
  set(declaration.working_directory, config.working_directory);
  set(declaration.stop_signal, config.stop_signal);
  set(declaration.entrypoint, config.entrypoint);
  set(declaration.command, config.command);
  set(declaration.ports, config.ports);
  set(declaration.volumes, config.volumes);
  if (declaration.health.has_value()) config.health = declaration.health;
  merge(declaration.environment, config.environment);
  std::erase_if(config.labels,
                [](const auto& label) { return label.first.starts_with(kOciPrefix); });
  config.labels[std::string(kTitle)] = declaration.name;
  merge(declaration.labels, config.labels);
  config.labels["org.opencontainers.image.version"] = declaration.version;
  if (facts.model != nullptr) {
    config.environment["MODEL_NAME"] = facts.model->name;
    config.labels[std::string(kTitle)] = facts.model->name;
    config.labels["dev.tenon.model.name"] = facts.model->name;
    config.labels["dev.tenon.model.version"] = facts.model->newest();
    config.labels["dev.tenon.model.digest"] = facts.digest;
    config.labels["dev.tenon.model.golden"] = facts.replayed ? "replayed" : "not replayed";
  }
  merge(options.environment, config.environment);
  merge(options.labels, config.labels);
}

Status check_config(const ImageConfig& config, const Tree& files) {
  if (!config.user.empty()) {
    const size_t colon = config.user.find(':');
    TENON_RETURN_IF_ERROR(
        check_account(files, "etc/passwd", config.user.substr(0, colon), config.user));
    if (colon != std::string::npos) {
      TENON_RETURN_IF_ERROR(
          check_account(files, "etc/group", config.user.substr(colon + 1), config.user));
    }
  }
  const auto& words = config.entrypoint.empty() ? config.command : config.entrypoint;
  if (!words.empty() && !starts(config, files, words[0])) {
    return failed_precondition("the image would start '", words[0],
                               "', which is no executable file in it");
  }
  if (config.health.has_value() && config.health->test.size() > 1 &&
      config.health->test[0] == "CMD" && !starts(config, files, config.health->test[1])) {
    return failed_precondition("the health check would start '", config.health->test[1],
                               "', which is no executable file in the image");
  }
  return {};
}

Status choose_names(const Declaration& declaration, const BuildOptions& options,
                    const ModelSource* model, BuildResult& result) {
  std::string repository = options.repository;
  if (repository.empty() && model != nullptr) repository = repository_component(model->name);
  if (repository.empty()) repository = declaration.repository;
  if (repository.empty()) repository = "tenon";
  TENON_RETURN_IF_ERROR(check_repository(repository));
  std::vector<std::string> tags;
  for (const std::string& tag : declaration.tags) {
    tags.push_back(expand_tag(tag, declaration.version));
  }
  if (tags.empty()) tags.push_back(declaration.name);
  if (model != nullptr) tags = {model->newest()};
  if (!options.tags.empty()) tags = options.tags;
  for (const std::string& tag : tags) {
    const bool whole = tag.find(':') != std::string::npos;
    const std::string name = whole ? tag : cat(repository, ":", tag);
    TENON_RETURN_IF_ERROR(check_image_name(name));
    const bool moves = name.substr(name.rfind(':') + 1).starts_with("latest");
    const bool kept = !moves && (result.tags.empty() || !options.tags.empty());
    (kept ? result.tags : result.moving_tags).push_back(name);
  }
  if (result.tags.empty()) result.tags.push_back(cat(repository, ":", declaration.name));
  return check_image_name(result.tags[0]);
}

}  // namespace tenon::image
