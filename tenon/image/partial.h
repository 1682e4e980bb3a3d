// Folders that are not finished: gone when their owner goes, and when a signal ends the process.
//
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "tenon/base/status.h"

namespace tenon::image {

class PartialFolder {
 public:
  // A new folder beside `beside`, so that it can be renamed there; missing parents are made.
  static StatusOr<std::unique_ptr<PartialFolder>> create(const std::string& beside);
  // One in TMPDIR, or /tmp.
  static StatusOr<std::unique_ptr<PartialFolder>> create_temporary();
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::string& path() const { return path_; }
  // Finished: it is called `path` from now on and belongs to the caller.
  Status rename_to(const std::string& path);

 private:
  explicit PartialFolder(std::string path);
  std::string path_;
};

// While it lives, SIGINT, SIGTERM and SIGHUP remove every PartialFolder of the process, then end it
// as they would have. Signals that are ignored stay so; SIGXFSZ is, so that the limit of a file's
// size is an error like a full disk. To be made before other threads are, which
// inherit its mask; one at a time.
class RemovePartialOnSignal {
 public:
  RemovePartialOnSignal();
  ~RemovePartialOnSignal();
  RemovePartialOnSignal(const RemovePartialOnSignal&) = delete;
  RemovePartialOnSignal& operator=(const RemovePartialOnSignal&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tenon::image
