#include "tenon/serving/model_versions.h"

#include <sys/stat.h>

#include "tenon/base/files.h"
#include "tenon/base/fnv1a.h"
#include "tenon/base/function_ref.h"
#include "tenon/base/log.h"

namespace tenon::serving {
namespace {

// Calls `visit` with the folder and what is below it.
void for_each_entry(const std::string& path,
                    FunctionRef<void(const std::string&, const struct stat&)> visit) {
  constexpr size_t kMostEntries = 10'000;
  std::vector<std::string> paths = {path};
  for (size_t i = 0; i < paths.size() && i < kMostEntries; ++i) {
    const std::string entry = paths[i];
    struct stat info = {};
    if (::stat(entry.c_str(), &info) != 0) continue;
    visit(entry, info);
    if (!S_ISDIR(info.st_mode)) continue;
    for (const std::string& child : list_directory(entry).value_or(std::vector<std::string>())) {
      if (paths.size() < kMostEntries) paths.push_back(join_path(entry, child));
    }
  }
}

}  // namespace

StatusOr<std::map<int64_t, std::string>> find_versions(const ModelConfig& model) {
  const StatusOr<std::vector<std::string>> children = list_directory(model.base_path);
  if (!children.ok()) {
    return not_found("Could not find base path ", model.base_path, " for servable ", model.name,
                     " with error ", message_of(children.status()));
  }
  return versions_among(model.base_path, *children);
}

StatusOr<std::vector<ModelConfig>> find_models(const std::string& folder) {
  const StatusOr<std::vector<std::string>> children = list_directory(folder);
  if (!children.ok()) {
    return not_found("Could not find models directory ", folder, ": ",
                     message_of(children.status()));
  }
  std::vector<ModelConfig> models;
  for (const std::string& child : *children) {
    ModelConfig model;
    model.name = child;
    model.base_path = join_path(folder, child);
    const auto versions = list_directory(model.base_path);  // a file has none
    const bool any = versions.ok() && !child.starts_with('.') &&
                     std::any_of(versions->begin(), versions->end(), [](const std::string& name) {
                       int64_t number = 0;
                       return parse_number(name, number);
                     });
    if (any) models.push_back(std::move(model));
  }
  return models;
}

std::map<int64_t, std::string> versions_among(const std::string& base_path,
                                              const std::vector<std::string>& children) {
  std::map<int64_t, std::string> versions;
  for (const std::string& child : children) {
    int64_t number = 0;
    if (!parse_number(child, number)) continue;
    const auto [place, added] = versions.emplace(number, join_path(base_path, child));
    if (!added) {
      log_warning("Duplicate version directories detected. Version ", number,
                  " will be loaded from ", place->second, ", ", join_path(base_path, child),
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

uint64_t folder_fingerprint(const std::string& path) {
  uint64_t hash = kFnv1aStart;
  for_each_entry(path, [&](const std::string& entry, const struct stat& info) {
    hash = fnv1a(
        cat(entry, " ", info.st_size, " ", info.st_mtim.tv_sec, " ", info.st_mtim.tv_nsec, " "),
        hash);
  });
  return hash;
}

uint64_t folder_bytes(const std::string& path) {
  uint64_t bytes = 0;
  for_each_entry(path, [&](const std::string&, const struct stat& info) {
    if (S_ISREG(info.st_mode)) bytes += static_cast<uint64_t>(info.st_size);
  });
  return bytes;
}

}  // namespace tenon::serving
