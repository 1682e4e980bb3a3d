#include "tenon/serving/remote/remote_copy.h"

#include <cerrno>
#include <cstdio>

#include "tenon/base/fnv1a.h"

namespace tenon::serving {

RemoteCopy::~RemoteCopy() {
  if (!temporary_.empty()) remove_tree(temporary_).IgnoreError();
}

std::string content_name(std::string_view content) {
  std::string name;
  for (const uint64_t start : {kFnv1aStart, ~kFnv1aStart}) {  // two make 128 bits of it
    char digits[17];
    std::snprintf(digits, sizeof(digits), "%016lx", fnv1a(content, start));
    name += digits;
  }
  return name;
}

StatusOr<std::string> CopyFolders::path_for(const std::string& name) {
  if (!stay()) return temporary_path();
  TENON_RETURN_IF_ERROR(create_directories(cache_folder_));
  return join_path(cache_folder_, name);
}

StatusOr<std::string> CopyFolders::temporary_path() {
  const std::lock_guard lock(mutex_);
  if (!temporary_) {
    TENON_ASSIGN_OR_RETURN(temporary_, TemporaryDirectory::create());
  }
  return join_path(temporary_->path(), cat(++copies_));
}

Status move_into_place(const std::string& partial, const std::string& path) {
  if (::rename(partial.c_str(), path.c_str()) == 0 || path_exists(path)) return absl::OkStatus();
  return errno_status(errno, "renaming", partial);
}

}  // namespace tenon::serving
