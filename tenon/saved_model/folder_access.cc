#include "tenon/saved_model/folder_access.h"

#include <filesystem>

namespace tenon {
namespace fs = std::filesystem;
namespace {

// Without symbolic links and "..", as far as the path exists.
std::string canonical(std::string_view path) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(fs::path(path), error);
  return error ? std::string(path) : resolved.string();
}

bool is_inside(const std::string& path, const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    if (path == folder || path.starts_with(folder + "/")) return true;
  }
  return false;
}

}  // namespace

FolderAccess::FolderAccess(std::vector<std::string> readable, std::vector<std::string> writable,
                           bool everything)
    : readable_(std::move(readable)), writable_(std::move(writable)), everything_(everything) {
  for (std::string& folder : readable_) folder = canonical(folder);
  for (std::string& folder : writable_) folder = canonical(folder);
}

StatusOr<std::string> FolderAccess::readable(std::string_view path) const {
  const std::string real = canonical(path);
  if (everything_ || is_inside(real, readable_) || is_inside(real, writable_)) return real;
  return permission_denied("the graph reads '", path,
                           "', which is outside the model's folder; --allow_file_ops allows it");
}

StatusOr<std::string> FolderAccess::writable(std::string_view path) const {
  const std::string real = canonical(path);
  if (everything_ || is_inside(real, writable_)) return real;
  return permission_denied("the graph writes '", path,
                           "', which is outside --outdir; --allow_file_ops allows it");
}

}  // namespace tenon
