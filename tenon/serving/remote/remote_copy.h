// Copies on this machine's disk of models that lie elsewhere.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "tenon/base/files.h"

namespace tenon::serving {

// A version, or several, on this machine for as long as this lives.
class RemoteCopy {
 public:
  // `temporary` goes with it; empty: nothing does.
  RemoteCopy(std::string path, std::string temporary)
      : path_(std::move(path)), temporary_(std::move(temporary)) {}
  ~RemoteCopy();
  RemoteCopy(const RemoteCopy&) = delete;
  RemoteCopy& operator=(const RemoteCopy&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  const std::string temporary_;
};

// 32 hexadecimal digits that stand for `content`: what a store says of what it has.
std::string content_name(std::string_view content);

// The folders that copies lie in. Thread-safe.
class CopyFolders {
 public:
  // `cache_folder`: of copies that stay; empty: a temporary one.
  explicit CopyFolders(std::string cache_folder) : cache_folder_(std::move(cache_folder)) {}

  bool stay() const { return !cache_folder_.empty(); }
  // A path for the copy of that name: the same each time where copies stay, else a new one each
  // time, for one may still be going while the next is made. Its parents are there.
  StatusOr<std::string> path_for(const std::string& name);
  // A new path in the temporary folder, whether copies stay or not.
  StatusOr<std::string> temporary_path();

 private:
  const std::string cache_folder_;
  std::mutex mutex_;  // guards what follows
  std::optional<TemporaryDirectory> temporary_;
  int64_t copies_ = 0;  // in it so far
};

// Moves the finished folder `partial` to `path`; somebody else's there is as good.
Status move_into_place(const std::string& partial, const std::string& path);

}  // namespace tenon::serving
