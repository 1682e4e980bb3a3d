#include "tenon/image/store.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tenon/image/net.h"

namespace tenon::image {
namespace {

constexpr uint64_t kLargestBlob = uint64_t{16} << 30;

// Downloads at most `limit` bytes to the blob's place; nothing is kept when the digest differs.
StatusOr<uint64_t> download_blob(const Store& store, const std::string& url,
                                 std::string_view sha256, uint64_t limit, std::string_view what) {
  const std::string path = store.path_of(sha256);
  TENON_RETURN_IF_ERROR(create_directories(path.substr(0, path.rfind('/'))));
  TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(path));
  AtomicFileSink sink(*file);
  HashingSink hashing(sink);
  TENON_RETURN_IF_ERROR(with_context(download(url, hashing, limit), what));
  const std::string found = hashing.hex();
  if (found != sha256) {
    return data_loss(what, ": ", url, " gave ", hashing.size(), " bytes with sha256 ", found,
                     ", expected ", sha256);
  }
  TENON_RETURN_IF_ERROR(file->commit());
  return hashing.size();
}

}  // namespace

StatusOr<Store> Store::open(const std::string& folder) {
  if (folder.empty()) {
    return failed_precondition("no place for the store: pass --store, or set TENON_IMAGE_STORE");
  }
  // Absolute, so that blobs have file: URLs.
  std::error_code error;
  const auto absolute = std::filesystem::absolute(folder, error);
  return Store(error ? folder : absolute.lexically_normal().string());
}

std::string Store::default_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string own = variable("TENON_IMAGE_STORE"); !own.empty()) return own;
  // Relative ones are ignored: XDG Base Directory Specification.
  if (const std::string cache = variable("XDG_CACHE_HOME"); cache.starts_with('/')) {
    return join_path(cache, "tenon/image");
  }
  const std::string home = variable("HOME");
  return home.starts_with('/') ? join_path(home, ".cache/tenon/image") : std::string();
}

std::string Store::path_of(std::string_view sha256) const {
  return cat(folder_, "/sha256/", sha256.substr(0, 2), "/", sha256);
}

std::string Store::named_path(std::string_view name) const {
  return cat(folder_, "/named/", sha256_hex(name));
}

bool Store::has(std::string_view sha256) const { return path_exists(path_of(sha256)); }

StatusOr<std::string> Store::verified_path(std::string_view sha256) const {
  const std::string path = path_of(sha256);
  if (!path_exists(path)) return not_found("the store ", folder_, " does not hold ", sha256);
  TENON_ASSIGN_OR_RETURN(const std::string found, sha256_of_file(path));
  if (found != sha256) {
    return data_loss(path, " has changed on disk: its digest is ", found);
  }
  return path;
}

Status Store::fetch(const std::string& url, std::string_view sha256, uint64_t size,
                    std::string_view what) const {
  if (verified_path(sha256).ok()) return {};
  TENON_ASSIGN_OR_RETURN(const uint64_t found, download_blob(*this, url, sha256, size, what));
  if (found == size) return {};
  TENON_RETURN_IF_ERROR(remove_tree(path_of(sha256)));
  return data_loss(what, ": ", url, " has ", found, " bytes, expected ", size);
}

StatusOr<uint64_t> Store::fetch_pinned(const std::string& url, std::string_view sha256,
                                       std::string_view what) const {
  if (const auto path = verified_path(sha256); path.ok()) {
    TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(*path));
    return file->size();
  }
  return download_blob(*this, url, sha256, kLargestBlob, what);
}

StatusOr<std::string> Store::add(ByteSource& source) const {
  TENON_RETURN_IF_ERROR(create_directories(folder_));
  TENON_ASSIGN_OR_RETURN(auto spool, SpoolFile::create(folder_));
  HashingSink hashing(*spool);
  TENON_RETURN_IF_ERROR(copy_stream(source, hashing).status());
  const std::string sha256 = hashing.hex();
  if (verified_path(sha256).ok()) return sha256;
  const std::string path = path_of(sha256);
  TENON_RETURN_IF_ERROR(create_directories(path.substr(0, path.rfind('/'))));
  TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(path));
  std::string window(256 << 10, '\0');
  for (uint64_t at = 0; at < spool->size();) {
    const auto part =
        std::span(window).first(std::min<uint64_t>(window.size(), spool->size() - at));
    TENON_RETURN_IF_ERROR(spool->read(at, part));
    TENON_RETURN_IF_ERROR(file->append(std::string_view(part.data(), part.size())));
    at += part.size();
  }
  TENON_RETURN_IF_ERROR(file->commit());
  return sha256;
}

StatusOr<uint64_t> fetch_all(const Store& store, const std::vector<StoreItem>& items) {
  std::vector<Status> results(items.size());
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> downloaded{0};
  const auto work = [&] {
    for (size_t i = next++; i < items.size(); i = next++) {
      const StoreItem& item = items[i];
      const bool had = store.has(item.sha256);
      results[i] = store.fetch(item.url, item.sha256, item.size, item.what);
      if (!had && results[i].ok()) downloaded += item.size;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min<size_t>(4, items.size()); ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : results) TENON_RETURN_IF_ERROR(status);
  return downloaded.load();
}

}  // namespace tenon::image
