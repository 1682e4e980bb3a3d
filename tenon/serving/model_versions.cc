#include "tenon/serving/model_versions.h"

#include "tenon/base/files.h"
#include "tenon/base/log.h"

namespace tenon::serving {

StatusOr<std::map<int64_t, std::string>> find_versions(const ModelConfig& model) {
  const StatusOr<std::vector<std::string>> children = list_directory(model.base_path);
  if (!children.ok()) {
    return not_found("Could not find base path ", model.base_path, " for servable ", model.name,
                     " with error ", message_of(children.status()));
  }
  std::map<int64_t, std::string> versions;
  for (const std::string& child : *children) {
    int64_t number = 0;
    if (!parse_number(child, number)) continue;
    const auto [place, added] = versions.emplace(number, join_path(model.base_path, child));
    if (!added) {
      log_warning("Duplicate version directories detected. Version ", number,
                  " will be loaded from ", place->second, ", ", join_path(model.base_path, child),
                  " will be ignored.");
    }
  }
  return versions;
}

std::map<int64_t, std::string> wanted_versions(const ModelConfig& model,
                                               const std::map<int64_t, std::string>& found,
                                               std::string& warning) {
  warning.clear();
  std::map<int64_t, std::string> wanted;
  switch (model.policy.kind) {
    case VersionPolicy::Kind::kAll:
      wanted = found;
      break;
    case VersionPolicy::Kind::kLatest:
      for (auto version = found.rbegin();
           version != found.rend() && wanted.size() < model.policy.num_versions; ++version) {
        wanted.insert(*version);
      }
      break;
    case VersionPolicy::Kind::kSpecific:
      for (const int64_t number : model.policy.versions) {
        if (const auto version = found.find(number); version != found.end()) {
          wanted.insert(*version);
        } else {
          warning +=
              cat(warning.empty() ? "" : "; ", "Version ", number, " of servable ", model.name,
                  ", which was requested to be served as a 'specific' version in the "
                  "servable's version policy, was not found in the file system");
        }
      }
      break;
  }
  if (found.empty()) {
    warning =
        cat("No versions of servable ", model.name, " found under base path ", model.base_path,
            ". Did you forget to name your leaf directory as a number (eg. '/1/')?");
  }
  return wanted;
}

}  // namespace tenon::serving
