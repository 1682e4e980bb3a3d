#include "tenon/cli/unpack.h"

#include <algorithm>
#include <array>

#include "tenon/image/archive/compression.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/archive/tar.h"
#include "tenon/image/archive/zip.h"

namespace tenon::cli {
namespace {

using image::ByteSource;
using image::EntryType;
using image::FileSource;
using image::TarEntry;
using image::TarReader;
using image::ZipEntry;

constexpr uint64_t kMostEntries = 100'000;

// Writes entries below a folder, within bounds.
class Unpacker {
 public:
  Unpacker(std::string folder, std::string what, uint64_t most_bytes,
           const std::atomic<bool>& cancelled)
      : folder_(std::move(folder)),
        what_(std::move(what)),
        cancelled_(cancelled),
        left_(most_bytes) {}

  // `size` is what the archive says of the file.
  Status add(const std::string& path, bool is_directory, uint64_t size,
             FunctionRef<StatusOr<size_t>(std::span<char>)> read) {
    if (++entries_ > kMostEntries) {
      return out_of_range(what_, " has more than ", kMostEntries, " entries");
    }
    if (size > left_) return too_large();
    if (path.empty()) return absl::OkStatus();
    const std::string target = join_path(folder_, path);
    if (is_directory) return create_directories(target);
    TENON_RETURN_IF_ERROR(create_directories(target.substr(0, target.rfind('/'))));
    if (path_exists(target)) return invalid_argument(what_, " holds '", path, "' twice");
    TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(target));
    for (;;) {
      if (cancelled_) return cancelled("unpacking ", what_);
      TENON_ASSIGN_OR_RETURN(const size_t got, read(window_));
      if (got == 0) break;
      if (got > left_) return too_large();
      left_ -= got;
      TENON_RETURN_IF_ERROR(file->append(std::string_view(window_.data(), got)));
    }
    return file->commit();
  }

 private:
  Status too_large() const { return out_of_range(what_, " unpacks to more than an archive may"); }

  const std::string folder_;
  const std::string what_;
  const std::atomic<bool>& cancelled_;
  uint64_t left_;
  uint64_t entries_ = 0;
  std::array<char, 64 << 10> window_;
};

// What follows the end of a tar is padding, behind which a compressed one has its checksum.
Status read_padding(ByteSource& source, const std::string& what) {
  constexpr size_t kMostPadding = size_t{16} << 20;
  std::array<char, 16 << 10> window;
  for (size_t read = 0; read <= kMostPadding;) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) return absl::OkStatus();
    read += got;
  }
  return out_of_range(what, " goes on for more than ", kMostPadding, " bytes after its end");
}

Status unpack_tar(ByteSource& file, const std::string& what, Unpacker& unpacker) {
  TENON_ASSIGN_OR_RETURN(const auto source, image::open_compressed(file, what));
  TarReader reader(*source, what);
  TarEntry entry;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) return read_padding(*source, what);
    if (entry.type != EntryType::kFile && entry.type != EntryType::kDirectory) {
      return invalid_argument(what, " holds '", entry.path,
                              "', which is neither a file nor a folder");
    }
    TENON_RETURN_IF_ERROR(unpacker.add(entry.path, entry.type == EntryType::kDirectory, entry.size,
                                       [&](std::span<char> out) { return reader.read(out); }));
  }
}

}  // namespace

Status unpack_archive(const std::string& archive, const std::string& sha256,
                      const std::string& folder, const std::atomic<bool>& cancelled) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(archive));
  const std::string what(archive.substr(archive.rfind('/') + 1));
  if (!sha256.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string found, image::sha256_of_file(archive));
    if (found != sha256) return data_loss(what, " has the SHA-256 ", found, "; expected ", sha256);
  }
  const auto unpacker = std::make_unique<Unpacker>(
      folder, what, std::max(uint64_t{1} << 30, file->size() * 100), cancelled);
  std::array<char, 4> first = {};
  FileSource head(*file);
  TENON_ASSIGN_OR_RETURN(const size_t got, head.read(first));
  if (std::string_view(first.data(), got) == "PK\x03\x04") {
    return image::for_each_zip_entry(*file, what, [&](const ZipEntry& entry, ByteSource& content) {
      return unpacker->add(entry.path, entry.directory, entry.size,
                           [&](std::span<char> out) { return content.read(out); });
    });
  }
  FileSource all(*file);
  return unpack_tar(all, what, *unpacker);
}

}  // namespace tenon::cli
