// A content-addressed folder: FOLDER/sha256/ab/abcd... holds bytes whose SHA-256 is the name. It
// keeps every package and wheel, so that a lock can be rebuilt after its archive has moved on.
//
// Thread-safe, and safe between processes: a blob appears whole or not at all.
#pragma once

#include <set>

#include "tenon/image/archive/sha256.h"

namespace tenon::image {

class Store {
 public:
  // Creates nothing: folders appear with what is put into them.
  static StatusOr<Store> open(const std::string& folder);
  // $TENON_IMAGE_STORE, or $XDG_CACHE_HOME/tenon/image, or ~/.cache/tenon/image; empty, which
  // open() refuses, without any of the variables.
  static std::string default_folder();

  const std::string& folder() const { return folder_; }
  std::string path_of(std::string_view sha256) const;
  bool has(std::string_view sha256) const;

  // The path of a blob after checking its digest. NOT_FOUND when it is missing; DATA_LOSS when its
  // bytes have changed.
  StatusOr<std::string> verified_path(std::string_view sha256) const;

  // Makes sure that the blob is there: kept when its digest holds, else downloaded from `url`.
  // DATA_LOSS when what arrives has another size or digest; nothing is kept then.
  Status fetch(const std::string& url, std::string_view sha256, uint64_t size,
               std::string_view what) const;

  // fetch() of what is pinned by its digest alone; returns the size.
  StatusOr<uint64_t> fetch_pinned(const std::string& url, std::string_view sha256,
                                  std::string_view what) const;

  // Adds bytes whose digest is not known before; returns it.
  StatusOr<std::string> add(ByteSource& source) const;

  struct Blob {
    std::string sha256;  // its name
    uint64_t size = 0;
  };
  // Every blob by digest, unchecked.
  StatusOr<std::vector<Blob>> blobs() const;

  struct Pruned {
    uint64_t files = 0, bytes = 0;
  };
  // Removes the blobs that `keep` does not name, and what broken-off downloads have left. What the
  // store's own signed metadata names is kept: without it nothing can be locked or scanned offline.
  StatusOr<Pruned> prune(const std::set<std::string>& keep) const;

  // A named file beside the blobs, for what has no digest yet (InRelease); the name is hashed.
  std::string named_path(std::string_view name) const;

 private:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

// Something to be in the store.
struct StoreItem {
  std::string url, sha256, what;
  uint64_t size = 0;
};

// fetch() of each, four at a time; the first error in the order of `items` is returned. Returns the
// bytes downloaded.
StatusOr<uint64_t> fetch_all(const Store& store, const std::vector<StoreItem>& items);

// Every word of 64 hex digits in `text`: how locks and signed metadata name blobs.
std::set<std::string> digests_in(std::string_view text);

}  // namespace tenon::image
