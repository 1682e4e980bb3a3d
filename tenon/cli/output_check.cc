#include "tenon/cli/output_check.h"

#include <sys/statvfs.h>

#include <filesystem>

#include "tenon/base/files.h"

namespace tenon::cli {
namespace {

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// `folder` is there: does it take a file, and has its disk room for so many bytes?
Status check_folder(const std::string& folder, uint64_t bytes) {
  // A file that is never committed leaves nothing behind.
  TENON_RETURN_IF_ERROR(AtomicFile::create(join_path(folder, ".tenon_probe")).status());
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return absl::OkStatus();
  const uint64_t left = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (left >= bytes) return absl::OkStatus();
  return resource_exhausted("the disk of '", folder, "' has ", left, " bytes left, ", bytes,
                            " are needed");
}

}  // namespace

Status check_output_file(std::string_view flag, const std::string& path, uint64_t bytes) {
  const auto check = [&]() -> Status {
    if (is_directory(path)) return invalid_argument("'", path, "' is a folder, expected a file");
    const std::string folder = parent_of(path);
    if (!path_exists(folder)) {
      return not_found("the folder '", folder, "' is not there; make it first");
    }
    if (!is_directory(folder)) return invalid_argument("'", folder, "' is no folder");
    return check_folder(folder, bytes);
  };
  return with_context(check(), cat("--", flag));
}

Status check_output_folder(std::string_view flag, const std::string& path, uint64_t bytes) {
  const auto check = [&]() -> Status {
    std::string folder = path;
    while (!path_exists(folder)) folder = parent_of(folder);
    if (!is_directory(folder)) return invalid_argument("'", folder, "' is no folder");
    return check_folder(folder, bytes);
  };
  return with_context(check(), cat("--", flag));
}

}  // namespace tenon::cli
