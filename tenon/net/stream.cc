#include "tenon/net/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace tenon::net {

StatusOr<size_t> FileSource::read(std::span<char> out) {
  const size_t count = static_cast<size_t>(std::min<uint64_t>(out.size(), left_));
  if (count == 0) return size_t{0};
  TENON_RETURN_IF_ERROR(file_.read(offset_, out.first(count)));
  offset_ += count;
  left_ -= count;
  return count;
}

StatusOr<size_t> StringSource::read(std::span<char> out) {
  const size_t count = std::min(out.size(), left_.size());
  if (count > 0) std::memcpy(out.data(), left_.data(), count);
  left_.remove_prefix(count);
  return count;
}

StatusOr<std::unique_ptr<SpoolFile>> SpoolFile::create(const std::string& folder) {
  std::string where = folder;
  if (where.empty()) {
    const char* tmpdir = std::getenv("TMPDIR");
    where = tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : "/tmp";
  }
  std::string name = join_path(where, "tenon-spool-XXXXXX");
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return errno_status(errno, "creating a temporary file in", where);
  ::unlink(name.c_str());
  return std::unique_ptr<SpoolFile>(new SpoolFile(fd));
}

SpoolFile::~SpoolFile() { ::close(fd_); }

Status SpoolFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno_status(errno, "writing", "a temporary file");
    size_ += static_cast<uint64_t>(done);
    bytes.remove_prefix(static_cast<size_t>(done));
  }
  return {};
}

Status SpoolFile::read(uint64_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_status(errno, "reading", "a temporary file");
    if (got == 0) return data_loss("a temporary file ends at ", offset, " of ", size_, " bytes");
    out = out.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return {};
}

StatusOr<bool> read_exactly(ByteSource& source, std::span<char> out, std::string_view what) {
  size_t have = 0;
  while (have < out.size()) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(out.subspan(have)));
    if (got == 0) {
      if (have == 0) return false;
      return data_loss(what, " is truncated: ", have, " bytes found where ", out.size(),
                       " were expected");
    }
    have += got;
  }
  return true;
}

StatusOr<std::string> read_all(ByteSource& source, uint64_t limit, std::string_view what) {
  std::string out;
  std::string window(64 << 10, '\0');
  while (true) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) return out;
    if (out.size() + got > limit) {
      return resource_exhausted(what, " is larger than the limit of ", limit, " bytes");
    }
    out.append(window.data(), got);
  }
}

StatusOr<uint64_t> copy_stream(ByteSource& source, ByteSink& sink, uint64_t limit) {
  uint64_t total = 0;
  std::string window(256 << 10, '\0');
  while (true) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) return total;
    total += got;
    if (total > limit) {
      return resource_exhausted("more than the limit of ", limit, " bytes");
    }
    TENON_RETURN_IF_ERROR(sink.write(std::string_view(window.data(), got)));
  }
}

}  // namespace tenon::net
