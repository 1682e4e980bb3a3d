// Files and folders. Every failure is a Status that names the path.
#pragma once

#include "tenon/base/status.h"

namespace tenon {

// Joins with one '/'; an absolute `name` replaces `folder`.
[[nodiscard]] std::string join_path(std::string_view folder, std::string_view name);

bool path_exists(const std::string& path);
bool is_directory(const std::string& path);

// A regular file open for reading at any offset. Thread-safe: reads use pread(2).
class RandomAccessFile {
 public:
  static StatusOr<std::unique_ptr<RandomAccessFile>> open(const std::string& path);
  ~RandomAccessFile();
  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  // Fills `out` wholly from `offset`; OUT_OF_RANGE when the file ends before.
  Status read(uint64_t offset, std::span<char> out) const;

 private:
  RandomAccessFile(int fd, uint64_t size, std::string path);
  int fd_;
  uint64_t size_;
  std::string path_;
};

// The whole file. RESOURCE_EXHAUSTED when it is larger than `limit` bytes.
StatusOr<std::string> read_file(const std::string& path, uint64_t limit = uint64_t{4} << 30);

// A file that appears under its name only when commit() succeeds: written to a temporary name in
// the same folder, synced, then renamed. Destroyed before that, it leaves nothing behind and
// whatever stood under the name stays.
class AtomicFile {
 public:
  static StatusOr<std::unique_ptr<AtomicFile>> create(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status append(std::string_view bytes);
  // Brings what was appended to disk, still under the temporary name. Of several files that belong
  // together all are synced before the first is committed: a full disk then spoils none.
  Status sync();
  Status commit();

 private:
  AtomicFile(int fd, std::string path, std::string temporary);
  int fd_;
  std::string path_;
  std::string temporary_;
  std::string pending_;  // bytes not yet handed to write(2)
};

// `bytes` as the whole content of `path`, by way of AtomicFile.
Status write_file(const std::string& path, std::string_view bytes);

// Creates `path` and its missing parents.
Status create_directories(const std::string& path);

// Names (not paths) in a folder, sorted bytewise, without "." and "..".
StatusOr<std::vector<std::string>> list_directory(const std::string& path);

// Removes a file or a whole tree; a path that does not exist is OK.
Status remove_tree(const std::string& path);

// A new empty folder under TMPDIR (or /tmp), removed with its content on destruction.
class TemporaryDirectory {
 public:
  static StatusOr<TemporaryDirectory> create();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace tenon
