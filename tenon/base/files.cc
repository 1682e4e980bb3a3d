#include "tenon/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "tenon/base/log.h"

namespace tenon {
namespace fs = std::filesystem;

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty() || name.starts_with('/')) return std::string(name);
  return cat(folder, folder.ends_with('/') ? "" : "/", name);
}

bool path_exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

RandomAccessFile::RandomAccessFile(int fd, uint64_t size, std::string path)
    : fd_(fd), size_(size), path_(std::move(path)) {}

RandomAccessFile::~RandomAccessFile() { ::close(fd_); }

StatusOr<std::unique_ptr<RandomAccessFile>> RandomAccessFile::open(const std::string& path) {
  // A pipe that nobody writes to is refused like what else is no file, not waited for.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno_status(errno, "opening", path);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return invalid_argument("'", path, "' is not a regular file");
  }
  return std::unique_ptr<RandomAccessFile>(
      new RandomAccessFile(fd, static_cast<uint64_t>(info.st_size), path));
}

Status RandomAccessFile::read(uint64_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(errno, "reading", path_);
    if (got == 0) {
      return out_of_range("'", path_, "' ends at byte ", size_, ", ", out.size(),
                          " more bytes were expected at offset ", offset);
    }
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

StatusOr<std::string> read_file(const std::string& path, uint64_t limit) {
  TENON_ASSIGN_OR_RETURN(auto file, RandomAccessFile::open(path));
  if (file->size() > limit) {
    return resource_exhausted("'", path, "' has ", file->size(), " bytes, at most ", limit,
                              " are read");
  }
  std::string bytes(file->size(), '\0');
  TENON_RETURN_IF_ERROR(file->read(0, bytes));
  return bytes;
}

AtomicFile::AtomicFile(int fd, std::string path, std::string temporary)
    : fd_(fd), path_(std::move(path)), temporary_(std::move(temporary)) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::create(const std::string& path) {
  std::string temporary = path + ".tmpXXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return errno_status(errno, "creating", path);
  // mkostemp makes 0600 files; give what open(2) with 0666 would have given.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(fd, 0666 & ~mask);
  return std::unique_ptr<AtomicFile>(new AtomicFile(fd, path, std::move(temporary)));
}

namespace {
Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_status(errno, "writing", path);
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}
}  // namespace

Status AtomicFile::append(std::string_view bytes) {
  constexpr size_t kBuffered = 1 << 16;
  if (pending_.size() + bytes.size() < kBuffered) {
    pending_ += bytes;
    return absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(write_all(fd_, pending_, path_));
  pending_.clear();
  return write_all(fd_, bytes, path_);
}

Status AtomicFile::sync() {
  TENON_RETURN_IF_ERROR(write_all(fd_, pending_, path_));
  pending_.clear();
  if (::fsync(fd_) != 0) return errno_status(errno, "syncing", path_);
  return absl::OkStatus();
}

Status AtomicFile::commit() {
  TENON_RETURN_IF_ERROR(sync());
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return errno_status(errno, "renaming to", path_);
  }
  if (::close(std::exchange(fd_, -1)) != 0) return errno_status(errno, "closing", path_);
  return absl::OkStatus();
}

Status write_file(const std::string& path, std::string_view bytes) {
  TENON_ASSIGN_OR_RETURN(auto file, AtomicFile::create(path));
  TENON_RETURN_IF_ERROR(file->append(bytes));
  return file->commit();
}

Status create_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return errno_status(error.value(), "creating folder", path);
  return absl::OkStatus();
}

StatusOr<std::vector<std::string>> list_directory(const std::string& path) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(path, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    names.push_back(entries->path().filename().string());
  }
  if (error) return errno_status(error.value(), "listing folder", path);
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return errno_status(error.value(), "removing", path);
  return absl::OkStatus();
}

StatusOr<TemporaryDirectory> TemporaryDirectory::create() {
  const char* base = std::getenv("TMPDIR");
  std::string path = join_path(base && *base ? base : "/tmp", "tenon-XXXXXX");
  if (!::mkdtemp(path.data())) return errno_status(errno, "creating folder", path);
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  if (Status status = remove_tree(path_); !status.ok()) log_warning(message_of(status));
}

}  // namespace tenon
