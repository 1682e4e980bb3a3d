// What a store holds, and what of it nobody needs.
#include <sys/stat.h>

#include <cerrno>
#include <ctime>

#include "tenon/base/files.h"
#include "tenon/base/function_ref.h"
#include "tenon/image/store.h"

namespace tenon::image {
namespace {

constexpr uint64_t kMetadataFileLimit = 64 << 20;
constexpr int64_t kDownloadSeconds = 24 * 3600;  // no download takes longer

struct FileFacts {
  uint64_t size = 0;
  int64_t mtime = 0;
};

StatusOr<FileFacts> facts_of(const std::string& path) {
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) return errno_status(errno, "reading", path);
  return FileFacts{static_cast<uint64_t>(info.st_size), static_cast<int64_t>(info.st_mtime)};
}

// Calls visit(folder, name) for every file two levels below FOLDER/sha256.
Status for_each_blob_file(const std::string& store,
                          FunctionRef<Status(const std::string&, const std::string&)> visit) {
  const std::string top = join_path(store, "sha256");
  if (!is_directory(top)) return {};
  TENON_ASSIGN_OR_RETURN(const auto groups, list_directory(top));
  for (const std::string& group : groups) {
    const std::string folder = join_path(top, group);
    if (!is_directory(folder)) continue;
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
    for (const std::string& name : names) TENON_RETURN_IF_ERROR(visit(folder, name));
  }
  return {};
}

}  // namespace

std::set<std::string> digests_in(std::string_view text) {
  constexpr size_t kHexDigits = 64;
  std::set<std::string> digests;
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_hex(text[end])) ++end;
    if (end - at == kHexDigits) digests.emplace(text.substr(at, kHexDigits));
    at = end + 1;
  }
  return digests;
}

StatusOr<std::vector<Store::Blob>> Store::blobs() const {
  std::vector<Blob> blobs;
  TENON_RETURN_IF_ERROR(for_each_blob_file(
      folder_, [&](const std::string& folder, const std::string& name) -> Status {
        if (!is_sha256_hex(name)) return {};
        TENON_ASSIGN_OR_RETURN(const FileFacts facts, facts_of(join_path(folder, name)));
        blobs.push_back({name, facts.size});
        return {};
      }));
  return blobs;
}

StatusOr<Store::Pruned> Store::prune(const std::set<std::string>& keep) const {
  std::set<std::string> named;
  const std::string metadata = join_path(folder_, "named");
  std::vector<std::string> files;
  if (is_directory(metadata)) {
    TENON_ASSIGN_OR_RETURN(files, list_directory(metadata));
  }
  for (const std::string& name : files) {
    TENON_ASSIGN_OR_RETURN(const std::string text,
                           read_file(join_path(metadata, name), kMetadataFileLimit));
    named.merge(digests_in(text));
  }
  Pruned pruned;
  const int64_t now = static_cast<int64_t>(std::time(nullptr));
  TENON_RETURN_IF_ERROR(for_each_blob_file(
      folder_, [&](const std::string& folder, const std::string& name) -> Status {
        const std::string path = join_path(folder, name);
        TENON_ASSIGN_OR_RETURN(const FileFacts facts, facts_of(path));
        const bool leftover = !is_sha256_hex(name);
        // Another process may be downloading.
        if (leftover && now - facts.mtime < kDownloadSeconds) return {};
        if (!leftover && (keep.contains(name) || named.contains(name))) return {};
        TENON_RETURN_IF_ERROR(remove_tree(path));
        ++pruned.files;
        pruned.bytes += facts.size;
        return {};
      }));
  return pruned;
}

}  // namespace tenon::image
