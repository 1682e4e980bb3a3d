#include <zlib.h>

#include "tenon/io/bytes.h"
#include "tenon/io/gzip.h"
#include "tenon/io/zip.h"
#include "tenon/io/zip_format.h"

namespace tenon {
namespace {

constexpr int64_t k1980 = 315532800;
constexpr uint16_t kUtf8Names = 0x800;
constexpr uint16_t kVersion = 20;                  // needed for deflated members
constexpr uint32_t kRegularFile = 0100644u << 16;  // external attributes of Unix

// The part of a header that local and central ones share.
void append_common(std::string& out, uint16_t method, uint16_t clock, uint16_t date, uint32_t crc,
                   uint64_t stored, uint64_t size, size_t name_size) {
  append_le(out, kVersion);
  append_le(out, kUtf8Names);
  append_le(out, method);
  append_le(out, clock);
  append_le(out, date);
  append_le(out, crc);
  append_le(out, static_cast<uint32_t>(stored));
  append_le(out, static_cast<uint32_t>(size));
  append_le(out, static_cast<uint16_t>(name_size));
  append_le(out, uint16_t{0});  // extra field
}

}  // namespace

uint32_t crc32(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

StatusOr<std::unique_ptr<ZipWriter>> ZipWriter::create(const std::string& path, int64_t time) {
  TENON_ASSIGN_OR_RETURN(auto file, AtomicFile::create(path));
  std::unique_ptr<ZipWriter> writer(new ZipWriter(std::move(file)));
  const std::time_t seconds = std::max(time, k1980);
  std::tm parts;
  gmtime_r(&seconds, &parts);
  writer->date_ = static_cast<uint16_t>(((parts.tm_year - 80) << 9) | ((parts.tm_mon + 1) << 5) |
                                        parts.tm_mday);
  writer->clock_ =
      static_cast<uint16_t>((parts.tm_hour << 11) | (parts.tm_min << 5) | (parts.tm_sec / 2));
  return writer;
}

Status ZipWriter::add(std::string_view name, std::string_view bytes, bool deflated) {
  std::string packed;
  if (deflated) packed = deflate(bytes, DeflateFormat::kRaw);
  const std::string_view stored = deflated ? std::string_view(packed) : bytes;
  if (bytes.size() >= UINT32_MAX || stored.size() >= UINT32_MAX || offset_ >= UINT32_MAX ||
      name.size() > UINT16_MAX || count_ == UINT16_MAX) {
    return unimplemented("zip archives of 4 GiB or 65535 members are not written (member '", name,
                         "' of ", bytes.size(), " bytes)");
  }
  const uint16_t method = deflated ? zip_format::kDeflated : zip_format::kStored;
  std::string header;
  append_le(header, zip_format::kLocalHeader);
  std::string common;
  append_common(common, method, clock_, date_, crc32(bytes), stored.size(), bytes.size(),
                name.size());
  header += common;
  header += name;
  append_le(directory_, zip_format::kCentralHeader);
  append_le(directory_, static_cast<uint16_t>(kVersion | (3 << 8)));  // made on Unix
  directory_ += common;
  directory_.append(6, '\0');  // comment, disk, internal attributes
  append_le(directory_, kRegularFile);
  append_le(directory_, static_cast<uint32_t>(offset_));
  directory_ += name;
  ++count_;
  offset_ += header.size() + stored.size();
  TENON_RETURN_IF_ERROR(file_->append(header));
  return file_->append(stored);
}

Status ZipWriter::finish() {
  if (offset_ + directory_.size() >= UINT32_MAX) {
    return unimplemented("zip archives of 4 GiB are not written");
  }
  std::string end;
  append_le(end, zip_format::kEndOfDirectory);
  end.append(4, '\0');  // disk numbers
  append_le(end, static_cast<uint16_t>(count_));
  append_le(end, static_cast<uint16_t>(count_));
  append_le(end, static_cast<uint32_t>(directory_.size()));
  append_le(end, static_cast<uint32_t>(offset_));
  append_le(end, uint16_t{0});  // comment
  TENON_RETURN_IF_ERROR(file_->append(directory_));
  TENON_RETURN_IF_ERROR(file_->append(end));
  return file_->commit();
}

}  // namespace tenon
