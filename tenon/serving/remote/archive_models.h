// ArchiveModels: models in archives that a web server gives out: https://host/models.tar.gz.
//
// An archive holds version folders (1, 2, ...), or one SavedModel, whose version is the time at
// which the server says that it was changed last (seconds since 1970; else one more than the
// version before); either may lie in one folder at the top. It is fetched and unpacked on a thread
// of its own, once for each content that the server tells of (ETag, Last-Modified, length).
// "#sha256=<hex>" at the URL's end says what the archive must be. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <thread>

#include "tenon/serving/model_config.h"
#include "tenon/serving/remote/remote_copy.h"

namespace tenon::serving {

// Unpacks an untrusted archive into an empty folder. DATA_LOSS where it has not the SHA-256
// `sha256` (hexadecimal; empty: any), CANCELLED soon after `cancelled` has become true.
using UnpackArchive =
    std::function<Status(const std::string& archive, const std::string& sha256,
                         const std::string& folder, const std::atomic<bool>& cancelled)>;

struct ArchiveModelsOptions {
  UnpackArchive unpack;
  std::string cache_folder;  // as RemoteModelsOptions::cache_folder
  // find_versions() does not wait for a server, so that it is to be called again.
  bool in_background = true;
  // A server is not asked more often whether an archive has changed.
  std::chrono::milliseconds ask_interval = std::chrono::seconds(10);
  // Ends what is under way once it has become true. Never null; outlives the models.
  const std::atomic<bool>* stopping;
};

class ArchiveModels {
 public:
  explicit ArchiveModels(ArchiveModelsOptions options)
      : options_(std::move(options)), folders_(options_.cache_folder) {}
  // Waits for what is being fetched, which options.stopping ends.
  ~ArchiveModels();

  static bool is_archive(std::string_view path);
  // INVALID_ARGUMENT for a malformed URL, FAILED_PRECONDITION for plain HTTP to another machine.
  static Status check_url(const std::string& base_path);

  // As serving::find_versions(), of a base path that is a URL: versions by number, each a folder on
  // this machine. NOT_FOUND with the reason where the server cannot be reached, what it gives out
  // is refused, or the first archive is still being fetched.
  StatusOr<std::map<int64_t, std::string>> find_versions(const ModelConfig& model);

  // What has to live as long as a folder that find_versions() has returned is used; null for other
  // folders.
  std::shared_ptr<const RemoteCopy> copy_of(const std::string& folder);

 private:
  using Clock = std::chrono::steady_clock;
  // What the server says of an archive without giving it.
  struct Told {
    std::string content;  // changes with it; empty: it does not tell
    int64_t version = 1;  // of an archive that is a model
  };
  struct Archive {
    std::thread looking;  // joinable from the first look on
    bool busy = false;    // `looking` is at work: what follows is of the look before
    Clock::time_point asked_at = {};
    Status asked;
    std::optional<std::string> content;  // that was fetched last
    Status fetched;
    std::shared_ptr<const RemoteCopy> copy;  // the last that could be had
  };
  // Where an archive is, and its SHA-256 (empty: it may be any).
  struct Place {
    std::string url;
    std::string sha256;
  };
  static StatusOr<Place> place_of(const std::string& base_path);
  StatusOr<Told> ask(const std::string& url) const;
  void look(const std::string& base_path);
  StatusOr<std::shared_ptr<const RemoteCopy>> fetch(const Place& place, Told told,
                                                    const RemoteCopy* before);
  Status fetch_to(const Place& place, const Told& told, const std::string& partial,
                  const std::string& path);
  StatusOr<std::shared_ptr<const RemoteCopy>> current(const std::string& base_path);

  const ArchiveModelsOptions options_;
  CopyFolders folders_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable looked_;
  std::map<std::string, Archive> archives_;  // by base path
};

}  // namespace tenon::serving
