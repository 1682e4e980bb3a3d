#include "tenon/image/archive/zip.h"

#include <zlib.h>

#include <algorithm>

#include "tenon/image/archive/tar.h"

namespace tenon::image {
namespace {

constexpr uint64_t kMostBytes = uint64_t{4} << 30;
constexpr size_t kMostEntries = 65'535;

uint64_t le(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// Raw deflate or stored bytes, with the size and CRC that the directory claims.
class MemberSource final : public ByteSource {
 public:
  MemberSource(FileSource packed, bool deflated, uint64_t size, uint32_t crc, std::string what)
      : packed_(std::move(packed)),
        deflated_(deflated),
        left_(size),
        expected_crc_(crc),
        what_(std::move(what)),
        window_(64 << 10, '\0') {
    ready_ = inflateInit2(&stream_, -15) == Z_OK;
  }
  ~MemberSource() override {
    if (ready_) inflateEnd(&stream_);
  }
  StatusOr<size_t> read(std::span<char> out) override {
    if (!ready_) return resource_exhausted("no memory for an inflate decoder");
    out = out.first(static_cast<size_t>(std::min<uint64_t>(out.size(), left_)));
    size_t got = 0;
    if (!out.empty()) {
      TENON_ASSIGN_OR_RETURN(got, deflated_ ? inflate_some(out) : packed_.read(out));
      if (got == 0) return data_loss(what_, " is truncated");
    }
    crc_ = static_cast<uint32_t>(crc32_z(crc_, reinterpret_cast<const Bytef*>(out.data()), got));
    left_ -= got;
    if (left_ == 0 && crc_ != expected_crc_) return data_loss(what_, " has a wrong CRC");
    return got;
  }

 private:
  StatusOr<size_t> inflate_some(std::span<char> out) {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out == out.size()) {
      if (stream_.avail_in == 0) {
        TENON_ASSIGN_OR_RETURN(const size_t got, packed_.read(window_));
        if (got == 0) return data_loss(what_, " is truncated");
        stream_.next_in = reinterpret_cast<Bytef*>(window_.data());
        stream_.avail_in = static_cast<uInt>(got);
      }
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) break;
      if (result != Z_OK) return data_loss(what_, " is damaged");
    }
    return out.size() - stream_.avail_out;
  }

  FileSource packed_;
  bool deflated_;
  uint64_t left_;
  uint32_t expected_crc_, crc_ = 0;
  std::string what_;
  std::string window_;
  z_stream stream_{};
  bool ready_;
};

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

StatusOr<Directory> find_directory(const RandomAccessFile& file, std::string_view what) {
  const uint64_t tail_size = std::min<uint64_t>(file.size(), 22 + 65535);
  std::string tail(static_cast<size_t>(tail_size), '\0');
  TENON_RETURN_IF_ERROR(file.read(file.size() - tail_size, tail));
  const size_t at = tail.rfind("PK\5\6");
  if (at == std::string::npos || tail.size() - at < 22) {
    return data_loss(what, " is not a zip archive, or is truncated");
  }
  Directory directory{le(tail, at + 16, 4), le(tail, at + 12, 4), le(tail, at + 10, 2)};
  if (directory.offset > file.size() || directory.size > file.size() - directory.offset ||
      directory.entries > kMostEntries) {
    return data_loss(what, ": the zip directory lies outside the file");
  }
  return directory;
}

}  // namespace

Status for_each_zip_entry(const RandomAccessFile& file, std::string_view what,
                          FunctionRef<Status(const ZipEntry&, ByteSource&)> visit) {
  TENON_ASSIGN_OR_RETURN(const Directory directory, find_directory(file, what));
  std::string table(static_cast<size_t>(directory.size), '\0');
  TENON_RETURN_IF_ERROR(file.read(directory.offset, table));
  uint64_t total = 0;
  size_t at = 0;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const std::string_view record = std::string_view(table).substr(std::min(at, table.size()));
    if (record.size() < 46 || !record.starts_with("PK\1\2")) {
      return data_loss(what, ": damaged zip directory");
    }
    const uint64_t flags = le(record, 8, 2), method = le(record, 10, 2);
    const uint64_t packed_size = le(record, 20, 4), size = le(record, 24, 4);
    const size_t name_size = le(record, 28, 2);
    const size_t record_size = 46 + name_size + le(record, 30, 2) + le(record, 32, 2);
    const uint64_t unix_mode = le(record, 38, 4) >> 16, offset = le(record, 42, 4);
    if (record_size > record.size()) return data_loss(what, ": damaged zip directory");
    const std::string_view name = record.substr(46, name_size);
    at += record_size;
    total += size;
    if (flags & 1) return unimplemented(what, ": '", name, "' is encrypted");
    if (method != 0 && method != 8) {
      return unimplemented(what, ": '", name, "' uses compression method ", method);
    }
    if ((unix_mode & 0170000) == 0120000) {
      return invalid_argument(what, ": '", name, "' is a symbolic link");
    }
    if (total > kMostBytes) return resource_exhausted(what, " unpacks to more than 4 GB");
    ZipEntry entry;
    auto path = normalise_path(name);
    if (!path.ok()) return with_context(path.status(), what);
    entry.path = *std::move(path);
    entry.directory = name.ends_with('/');
    entry.mode = unix_mode & 0111 ? 0755 : 0644;
    entry.size = size;
    char local[30];
    if (offset > file.size() || !file.read(offset, local).ok() ||
        std::string_view(local, 4) != "PK\3\4") {
      return data_loss(what, ": '", name, "' lies outside the file");
    }
    const uint64_t begin = offset + 30 + le({local, 30}, 26, 2) + le({local, 30}, 28, 2);
    if (begin > file.size() || packed_size > file.size() - begin) {
      return data_loss(what, ": '", name, "' is truncated");
    }
    MemberSource source(FileSource(file, begin, packed_size), method == 8, size,
                        static_cast<uint32_t>(le(record, 16, 4)), cat(what, " ", name));
    TENON_RETURN_IF_ERROR(visit(entry, source));
  }
  return {};
}

}  // namespace tenon::image
