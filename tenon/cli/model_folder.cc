#include "tenon/cli/model_folder.h"

#include <algorithm>

#include "tenon/base/files.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon::cli {
namespace {

constexpr std::string_view kModelFile = "saved_model.pb";

bool holds_saved_model(const std::string& folder) {
  return path_exists(join_path(folder, kModelFile)) ||
         path_exists(join_path(folder, "saved_model.pbtxt")) || !lite_file(folder).empty();
}

}  // namespace

StatusOr<std::string> model_folder(const std::string& path) {
  if (holds_saved_model(path)) return path;
  if (path == kModelFile) return ".";
  if (path.ends_with(cat("/", kModelFile)) && path_exists(path)) {
    return path.substr(0, path.size() - kModelFile.size() - 1);
  }
  if (path_exists(path) && !is_directory(path)) {
    return invalid_argument("'", path,
                            "' is a file; expected the folder of a SavedModel or a .tflite");
  }
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(path));
  int64_t newest = -1, version = 0;
  for (const std::string& name : names) {
    if (parse_number(name, version) && holds_saved_model(join_path(path, name))) {
      newest = std::max(newest, version);
    }
  }
  if (newest >= 0) return join_path(path, cat(newest));
  return not_found("'", path, "' holds no SavedModel: there is neither saved_model.pb nor a ",
                   "version folder (1, 2, ...) that has one");
}

}  // namespace tenon::cli
