// Zip archives: .npz files and Keras' .keras files (APPNOTE 6.3: stored and deflated members).
#pragma once

#include <ctime>

#include "tenon/base/files.h"

namespace tenon {

struct ZipEntry {
  std::string name;
  uint64_t size = 0;         // uncompressed
  uint64_t stored_size = 0;  // in the archive
  uint32_t crc = 0;          // CRC-32 of the uncompressed bytes
  uint16_t method = 0;       // 0 stored, 8 deflated
  uint64_t header_offset = 0;
};

// Reads by the central directory (zip64 too). Thread-safe. Encrypted members and other methods are
// UNIMPLEMENTED; an archive that does not fit together is DATA_LOSS.
class ZipReader {
 public:
  static StatusOr<std::unique_ptr<ZipReader>> open(const std::string& path);

  // In the order of the central directory. Names are as stored: not to be used as paths unchecked.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;  // null when there is none

  // The member's bytes, checksum verified. A member of more than 4 GiB that is more than 100 times
  // what it takes in the archive is refused (RESOURCE_EXHAUSTED), as Keras does.
  StatusOr<std::string> read(std::string_view name) const;

 private:
  explicit ZipReader(std::unique_ptr<RandomAccessFile> file) : file_(std::move(file)) {}
  struct Directory {
    uint64_t offset = 0;
    uint64_t size = 0;
    uint64_t count = 0;
  };
  StatusOr<Directory> find_directory() const;
  Status read_zip64_directory(uint64_t end_offset, Directory& directory) const;
  Status read_entries(const Directory& directory);
  StatusOr<uint64_t> data_offset(const ZipEntry& entry) const;
  Status corrupt(std::string_view what) const;

  std::unique_ptr<RandomAccessFile> file_;
  std::vector<ZipEntry> entries_;
};

// Writes an archive that appears under its name when finish() succeeds. Members stand in the order
// in which they are added, all with one time stamp, so that equal content gives equal bytes.
class ZipWriter {
 public:
  // `time` is the stamp of all members, in seconds since 1970 (UTC); 1980-01-01 by default.
  static StatusOr<std::unique_ptr<ZipWriter>> create(const std::string& path, int64_t time = 0);

  // Members of 4 GiB or more are UNIMPLEMENTED.
  Status add(std::string_view name, std::string_view bytes, bool deflated = false);
  Status finish();

 private:
  explicit ZipWriter(std::unique_ptr<AtomicFile> file) : file_(std::move(file)) {}
  std::unique_ptr<AtomicFile> file_;
  uint16_t date_ = 0;
  uint16_t clock_ = 0;
  uint64_t offset_ = 0;
  std::string directory_;
  uint32_t count_ = 0;
};

// CRC-32 (ISO 3309) as zip and gzip use it.
uint32_t crc32(std::string_view bytes);

}  // namespace tenon
