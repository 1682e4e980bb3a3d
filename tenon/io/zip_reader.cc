#include "tenon/io/bytes.h"
#include "tenon/io/gzip.h"
#include "tenon/io/zip.h"
#include "tenon/io/zip_format.h"

namespace tenon {
namespace {

constexpr uint64_t kBombSize = uint64_t{4} << 30;
constexpr uint64_t kBombRatio = 100;

// Replaces the 32-bit fields that are all ones by those of the zip64 extra field, in its order.
bool apply_zip64(std::string_view extra, ZipEntry& entry) {
  ByteReader reader(extra);
  while (reader.remaining() >= 4) {
    const auto id = reader.read<uint16_t>();
    ByteReader field(reader.read_bytes(reader.read<uint16_t>()));
    if (id != zip_format::kZip64Extra) continue;
    for (uint64_t* value : {&entry.size, &entry.stored_size, &entry.header_offset}) {
      if (*value == UINT32_MAX) *value = field.read<uint64_t>();
    }
    return field.ok();
  }
  return entry.size != UINT32_MAX && entry.stored_size != UINT32_MAX &&
         entry.header_offset != UINT32_MAX;
}

}  // namespace

Status ZipReader::corrupt(std::string_view what) const {
  return data_loss("'", file_->path(), "' is not an intact zip archive: ", what);
}

StatusOr<std::unique_ptr<ZipReader>> ZipReader::open(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(auto file, RandomAccessFile::open(path));
  std::unique_ptr<ZipReader> reader(new ZipReader(std::move(file)));
  TENON_ASSIGN_OR_RETURN(const Directory directory, reader->find_directory());
  TENON_RETURN_IF_ERROR(reader->read_entries(directory));
  return reader;
}

StatusOr<ZipReader::Directory> ZipReader::find_directory() const {
  const uint64_t size = file_->size();
  if (size < zip_format::kEndSize) return corrupt("it is too short");
  const uint64_t tail_size = std::min<uint64_t>(size, zip_format::kEndSize + UINT16_MAX);
  std::string tail(tail_size, '\0');
  TENON_RETURN_IF_ERROR(file_->read(size - tail_size, tail));
  for (uint64_t at = tail_size - zip_format::kEndSize + 1; at-- > 0;) {
    ByteReader end(tail, at);
    if (end.read<uint32_t>() != zip_format::kEndOfDirectory) continue;
    end.skip(6);  // disk numbers, entries on this disk
    Directory directory;
    directory.count = end.read<uint16_t>();
    directory.size = end.read<uint32_t>();
    directory.offset = end.read<uint32_t>();
    if (end.read<uint16_t>() != tail_size - at - zip_format::kEndSize)
      continue;  // the comment's length
    const uint64_t end_offset = size - tail_size + at;
    TENON_RETURN_IF_ERROR(read_zip64_directory(end_offset, directory));
    if (directory.offset > end_offset || directory.size > end_offset - directory.offset ||
        directory.count > directory.size / zip_format::kCentralHeaderSize) {
      return corrupt("its directory lies outside of it");
    }
    return directory;
  }
  return corrupt("it has no directory");
}

Status ZipReader::read_zip64_directory(uint64_t end_offset, Directory& directory) const {
  if (end_offset < zip_format::kZip64LocatorSize) return absl::OkStatus();
  std::string bytes(zip_format::kZip64LocatorSize, '\0');
  TENON_RETURN_IF_ERROR(file_->read(end_offset - zip_format::kZip64LocatorSize, bytes));
  ByteReader locator(bytes);
  if (locator.read<uint32_t>() != zip_format::kZip64Locator) return absl::OkStatus();
  locator.skip(4);
  const auto offset = locator.read<uint64_t>();
  std::string record(zip_format::kZip64EndSize, '\0');
  if (offset > end_offset || end_offset - offset < zip_format::kZip64EndSize) {
    return corrupt("its zip64 directory lies outside of it");
  }
  TENON_RETURN_IF_ERROR(file_->read(offset, record));
  ByteReader end(record);
  if (end.read<uint32_t>() != zip_format::kZip64End)
    return corrupt("its zip64 directory is broken");
  end.skip(28);  // sizes, versions, disk numbers, entries on this disk
  directory.count = end.read<uint64_t>();
  directory.size = end.read<uint64_t>();
  directory.offset = end.read<uint64_t>();
  return absl::OkStatus();
}

Status ZipReader::read_entries(const Directory& directory) {
  std::string bytes(directory.size, '\0');
  TENON_RETURN_IF_ERROR(file_->read(directory.offset, bytes));
  ByteReader reader(bytes);
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (reader.read<uint32_t>() != zip_format::kCentralHeader)
      return corrupt("its directory is broken");
    reader.skip(4);  // versions
    const auto flags = reader.read<uint16_t>();
    ZipEntry entry;
    entry.method = reader.read<uint16_t>();
    reader.skip(4);  // time and date
    entry.crc = reader.read<uint32_t>();
    entry.stored_size = reader.read<uint32_t>();
    entry.size = reader.read<uint32_t>();
    const auto name_size = reader.read<uint16_t>();
    const auto extra_size = reader.read<uint16_t>();
    const auto comment_size = reader.read<uint16_t>();
    reader.skip(8);  // disk, attributes
    entry.header_offset = reader.read<uint32_t>();
    entry.name = reader.read_bytes(name_size);
    const bool intact = apply_zip64(reader.read_bytes(extra_size), entry);
    reader.skip(comment_size);
    if (!reader.ok() || !intact) return corrupt("its directory is cut off");
    if (flags & zip_format::kEncrypted) {
      return unimplemented("'", file_->path(), "': member '", entry.name, "' is encrypted");
    }
    entries_.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

const ZipEntry* ZipReader::find(std::string_view name) const {
  for (const ZipEntry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

// The local header's name and extra field may have lengths of their own; its sizes may be left to a
// data descriptor. The directory's values are the ones that count.
StatusOr<uint64_t> ZipReader::data_offset(const ZipEntry& entry) const {
  const uint64_t size = file_->size();
  if (entry.header_offset > size || size - entry.header_offset < zip_format::kLocalHeaderSize) {
    return corrupt(cat("member '", entry.name, "' lies outside of it"));
  }
  std::string bytes(zip_format::kLocalHeaderSize, '\0');
  TENON_RETURN_IF_ERROR(file_->read(entry.header_offset, bytes));
  ByteReader header(bytes);
  if (header.read<uint32_t>() != zip_format::kLocalHeader) {
    return corrupt(cat("member '", entry.name, "' has no header"));
  }
  header.skip(22);
  const uint64_t name_size = header.read<uint16_t>();
  const uint64_t extra_size = header.read<uint16_t>();
  const uint64_t offset =
      entry.header_offset + zip_format::kLocalHeaderSize + name_size + extra_size;
  if (offset > size || entry.stored_size > size - offset) {
    return corrupt(cat("member '", entry.name, "' is cut off"));
  }
  return offset;
}

StatusOr<std::string> ZipReader::read(std::string_view name) const {
  const ZipEntry* entry = find(name);
  if (!entry) return not_found("'", file_->path(), "' has no member '", name, "'");
  if (entry->size > kBombSize && entry->size / kBombRatio > entry->stored_size) {
    return resource_exhausted("'", file_->path(), "': member '", name, "' of ", entry->stored_size,
                              " bytes would grow to ", entry->size);
  }
  TENON_ASSIGN_OR_RETURN(const uint64_t offset, data_offset(*entry));
  std::string bytes(entry->stored_size, '\0');
  TENON_RETURN_IF_ERROR(file_->read(offset, bytes));
  if (entry->method == zip_format::kDeflated) {
    const std::string where = cat(file_->path(), ":", name);
    StatusOr<std::string> inflated = inflate(bytes, DeflateFormat::kRaw, entry->size, where);
    if (absl::IsResourceExhausted(inflated.status())) {
      return corrupt(cat("member '", name, "' is longer than its directory says"));
    }
    TENON_ASSIGN_OR_RETURN(bytes, std::move(inflated));
  } else if (entry->method != zip_format::kStored) {
    return unimplemented("'", file_->path(), "': member '", name, "' has compression method ",
                         entry->method, ", only stored and deflated are read");
  }
  if (bytes.size() != entry->size || crc32(bytes) != entry->crc) {
    return corrupt(cat("member '", name, "' does not match its checksum"));
  }
  return bytes;
}

}  // namespace tenon
