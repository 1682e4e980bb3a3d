// RemoteModels: models in object stores (net/s3.h), whose versions are copied to this machine's
// disk when they are loaded. Thread-safe.
//
// A copy lies in a folder that is named by what the store lists of the version (keys, sizes and
// ETags), so that one that is there already, of an earlier run too, is not fetched again, and one
// that has changed is.
#pragma once

#include <chrono>

#include "tenon/net/s3.h"
#include "tenon/serving/model_config.h"
#include "tenon/serving/remote/remote_copy.h"

namespace tenon::serving {

struct RemoteModelsOptions {
  net::S3Options store;
  // Of the copies, which stay; empty: a temporary one, from which each goes when nobody uses it.
  std::string cache_folder;
  // A store is not asked more often what there is of a model.
  std::chrono::milliseconds ask_interval = std::chrono::seconds(10);
};

class RemoteModels {
 public:
  explicit RemoteModels(RemoteModelsOptions options)
      : options_(std::move(options)), folders_(options_.cache_folder), client_(options_.store) {}

  static bool is_remote(std::string_view path) { return net::is_s3_uri(path); }

  // As serving::find_versions(), of a remote base path: versions by number, each a URI.
  StatusOr<std::map<int64_t, std::string>> find_versions(const ModelConfig& model);

  // The version at `uri`, fetched at need. INVALID_ARGUMENT for keys that are no file names.
  StatusOr<std::shared_ptr<const RemoteCopy>> fetch(const std::string& uri);

  // As folder_fingerprint(), of a version at `uri`; 0 where the store does not say.
  uint64_t fingerprint(const std::string& uri);

 private:
  using Clock = std::chrono::steady_clock;
  struct Found {
    Clock::time_point at;
    StatusOr<std::map<int64_t, std::string>> versions;
  };
  struct Fingerprint {
    Clock::time_point at;
    uint64_t value;
  };
  Status fetch_all(const net::S3Place& place, const net::S3Listing& listing,
                   const std::string& path);

  const RemoteModelsOptions options_;
  CopyFolders folders_;
  net::S3Client client_;
  std::mutex mutex_;                                 // guards what follows
  std::map<std::string, Found> found_;               // by base path
  std::map<std::string, Fingerprint> fingerprints_;  // by URI
};

}  // namespace tenon::serving
