// tar: a strict reader for untrusted archives (ustar, GNU long names, pax) and a writer whose bytes
// depend on the entries alone.
#pragma once

#include "tenon/image/net.h"

namespace tenon::image {

enum class EntryType : char {
  kFile = '0',
  kHardLink = '1',
  kSymlink = '2',
  kCharacterDevice = '3',
  kBlockDevice = '4',
  kDirectory = '5',
  kFifo = '6',
};

struct TarEntry {
  std::string path;  // relative, without "./", "." or a trailing '/'; the root is ""
  EntryType type = EntryType::kFile;
  uint32_t mode = 0;  // permission bits, with setuid, setgid and sticky
  uint64_t uid = 0;
  uint64_t gid = 0;
  int64_t mtime = 0;  // seconds since 1970
  uint64_t size = 0;  // of a regular file's content, otherwise 0
  std::string link;   // target of a symbolic link as written; of a hard link as a path like `path`
};

// Bounds on what one archive may claim.
struct TarLimits {
  uint64_t file_bytes = uint64_t{16} << 30;
  uint64_t total_bytes = uint64_t{64} << 30;
  uint64_t entries = 2'000'000;
};

// `path` of an archive as TarEntry::path holds it; INVALID_ARGUMENT when it is absolute, has a ".."
// component, a NUL, or more than 4096 bytes.
StatusOr<std::string> normalise_path(std::string_view path);

// Reads entries in order. Sparse files, multi-volume archives and paths that leave the archive's
// root are refused; so is a size past the limits. Devices and fifos are returned: callers decide.
class TarReader {
 public:
  // `source` (uncompressed) must outlive it; `what` names it in errors.
  TarReader(ByteSource& source, std::string what, TarLimits limits = {});

  // Moves to the next entry, past unread content of the current one; false at the end.
  StatusOr<bool> next(TarEntry& entry);

  // Content of the current entry: up to out.size() bytes, 0 at its end.
  StatusOr<size_t> read(std::span<char> out);

 private:
  Status skip(uint64_t bytes);
  StatusOr<std::string> read_extension(uint64_t size);
  Status apply_pax(std::string_view records, bool global);
  StatusOr<bool> read_header(std::span<char> block);
  Status fill(std::span<const char> block, TarEntry& entry);

  ByteSource& source_;
  std::string what_;
  TarLimits limits_;
  uint64_t left_ = 0;     // content of the current entry not yet read
  uint64_t padding_ = 0;  // after it
  uint64_t total_ = 0;
  uint64_t count_ = 0;
  std::string scratch_;
  struct Overrides {
    std::string path, link;
    bool has_path = false, has_link = false, has_size = false, has_uid = false, has_gid = false;
    uint64_t size = 0, uid = 0, gid = 0;
  } next_;  // from extension headers, for the next entry
};

// Writes ustar headers, with a pax header where a field does not fit. Paths come in the order
// given.
class TarWriter {
 public:
  explicit TarWriter(ByteSink& sink) : sink_(sink) {}
  // A header; `entry.size` bytes of content() must follow for a file.
  Status add(const TarEntry& entry);
  Status content(std::string_view bytes);
  // Pads the last entry and ends the archive.
  Status finish();

 private:
  Status pad();
  ByteSink& sink_;
  uint64_t left_ = 0;
  uint64_t padding_ = 0;
};

}  // namespace tenon::image
