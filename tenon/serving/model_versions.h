// Which versions of a model are there, and which of them are wanted.
#pragma once

#include <map>

#include "tenon/serving/model_config.h"

namespace tenon::serving {

// The children of `base_path` whose names are numbers, by number ("00000123" is 123); of two names
// for one number the first in bytewise order counts, and a warning names both. NOT_FOUND when the
// folder is not there.
StatusOr<std::map<int64_t, std::string>> find_versions(const ModelConfig& model);

// The models in a folder of models: its children that hold a version, each under its own name;
// those whose names begin with a dot are left out. NOT_FOUND when the folder is not there.
StatusOr<std::vector<ModelConfig>> find_models(const std::string& folder);

// As find_versions(), of the names in a folder that is elsewhere.
std::map<int64_t, std::string> versions_among(const std::string& base_path,
                                              const std::vector<std::string>& children);

// Those of `found` that the model's policy wants. `warning` tells of specific versions that are not
// there, or that there is no version at all; empty when all is well.
std::map<int64_t, std::string> wanted_versions(const ModelConfig& model,
                                               const std::map<int64_t, std::string>& found,
                                               std::string& warning);

// What a folder holds, as a number: names, sizes and times of the files in it and below. Two of one
// folder differ when it has changed between them. Looks at 10,000 entries at most.
uint64_t folder_fingerprint(const std::string& path);

// Of the files in a folder and below it; looks at 10,000 entries at most.
uint64_t folder_bytes(const std::string& path);

}  // namespace tenon::serving
