#include <algorithm>
#include <cstring>

#include "tenon/image/archive/tar.h"

namespace tenon::image {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kExtensionLimit = 1 << 20;

std::string_view text_field(std::span<const char> block, size_t offset, size_t size) {
  std::string_view field(block.data() + offset, size);
  return field.substr(0, std::min(field.find('\0'), field.size()));
}

// Octal, or GNU's base 256 when the first bit is set; false when it is neither.
bool number_field(std::span<const char> block, size_t offset, size_t size, uint64_t& value) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(block.data()) + offset;
  value = 0;
  if (bytes[0] & 0x80) {
    if (bytes[0] & 0x7f) return false;  // negative, or past 2^88
    for (size_t i = 1; i < size; ++i) {
      if (value >> 56) return false;
      value = value << 8 | bytes[i];
    }
    return true;
  }
  size_t i = 0;
  while (i < size && bytes[i] == ' ') ++i;
  for (; i < size && bytes[i] != '\0' && bytes[i] != ' '; ++i) {
    if (bytes[i] < '0' || bytes[i] > '7' || value >> 60) return false;
    value = value << 3 | static_cast<uint64_t>(bytes[i] - '0');
  }
  return true;
}

bool checksum_holds(std::span<const char> block) {
  uint64_t claimed = 0;
  if (!number_field(block, 148, 8, claimed)) return false;
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum == claimed;
}

bool is_zero(std::span<const char> block) {
  return std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
}

}  // namespace

StatusOr<std::string> normalise_path(std::string_view path) {
  if (path.size() > 4096) return invalid_argument("path of ", path.size(), " bytes, at most 4096");
  if (path.find('\0') != std::string_view::npos) return invalid_argument("path with a NUL byte");
  if (path.starts_with('/')) return invalid_argument("path '", path, "' is absolute");
  std::string out;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return invalid_argument("path '", path, "' has a '..' component");
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

TarReader::TarReader(ByteSource& source, std::string what, TarLimits limits)
    : source_(source), what_(std::move(what)), limits_(limits), scratch_(64 << 10, '\0') {}

Status TarReader::skip(uint64_t bytes) {
  while (bytes > 0) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(bytes, scratch_.size()));
    TENON_ASSIGN_OR_RETURN(const bool found,
                           read_exactly(source_, std::span(scratch_).first(count), what_));
    if (!found) return data_loss(what_, " is truncated inside an entry");
    bytes -= count;
  }
  return {};
}

StatusOr<std::string> TarReader::read_extension(uint64_t size) {
  if (size > kExtensionLimit) {
    return invalid_argument(what_, ": extension header of ", size, " bytes, at most ",
                            kExtensionLimit);
  }
  std::string content(static_cast<size_t>(size), '\0');
  if (size > 0) {
    TENON_ASSIGN_OR_RETURN(const bool found, read_exactly(source_, content, what_));
    if (!found) return data_loss(what_, " is truncated inside an extension header");
  }
  TENON_RETURN_IF_ERROR(skip((kBlock - size % kBlock) % kBlock));
  return content;
}

Status TarReader::apply_pax(std::string_view records, bool global) {
  const auto malformed = [&] { return invalid_argument(what_, ": malformed pax header"); };
  while (!records.empty()) {
    const size_t space = records.find(' ');
    int64_t size = 0;
    if (space == std::string_view::npos || !parse_number(records.substr(0, space), size) ||
        size < static_cast<int64_t>(space) + 3 || size > static_cast<int64_t>(records.size()) ||
        records[static_cast<size_t>(size) - 1] != '\n') {
      return malformed();
    }
    const std::string_view record =
        records.substr(space + 1, static_cast<size_t>(size) - space - 2);
    records.remove_prefix(static_cast<size_t>(size));
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return malformed();
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key.starts_with("GNU.sparse")) {
      return invalid_argument(what_, ": sparse files are not accepted");
    }
    if (global) continue;  // comments and defaults that no package uses
    int64_t number = 0;
    if (key == "path") {
      next_.path = value;
      next_.has_path = true;
    } else if (key == "linkpath") {
      next_.link = value;
      next_.has_link = true;
    } else if (key == "size" || key == "uid" || key == "gid") {
      if (!parse_number(value, number) || number < 0) return malformed();
      (key == "size"  ? next_.size
       : key == "uid" ? next_.uid
                      : next_.gid) = static_cast<uint64_t>(number);
      (key == "size" ? next_.has_size : key == "uid" ? next_.has_uid : next_.has_gid) = true;
    }
  }
  return {};
}

StatusOr<bool> TarReader::read_header(std::span<char> block) {
  TENON_ASSIGN_OR_RETURN(const bool found, read_exactly(source_, block, what_));
  if (!found || is_zero(block)) return false;
  if (!checksum_holds(block)) {
    return data_loss(what_, ": wrong checksum in the tar header of entry ", count_ + 1);
  }
  return true;
}

StatusOr<bool> TarReader::next(TarEntry& entry) {
  TENON_RETURN_IF_ERROR(skip(left_ + padding_));
  left_ = padding_ = 0;
  next_ = {};
  char block[kBlock];
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool found, read_header(block));
    if (!found) return false;
    if (++count_ > limits_.entries) {
      return resource_exhausted(what_, ": more than ", limits_.entries, " entries");
    }
    uint64_t size = 0;
    if (!number_field(block, 124, 12, size)) {
      return data_loss(what_, ": malformed size in the tar header of entry ", count_);
    }
    const char type = block[156];
    if (type == 'x' || type == 'g') {
      TENON_ASSIGN_OR_RETURN(const std::string records, read_extension(size));
      TENON_RETURN_IF_ERROR(apply_pax(records, type == 'g'));
    } else if (type == 'L' || type == 'K') {
      TENON_ASSIGN_OR_RETURN(std::string name, read_extension(size));
      name.resize(std::strlen(name.c_str()));
      (type == 'L' ? next_.path : next_.link) = std::move(name);
      (type == 'L' ? next_.has_path : next_.has_link) = true;
    } else {
      TENON_RETURN_IF_ERROR(fill(block, entry));
      return true;
    }
  }
}

Status TarReader::fill(std::span<const char> block, TarEntry& entry) {
  entry = {};
  std::string name(text_field(block, 0, 100));
  const bool ustar = std::string_view(block.data() + 257, 5) == "ustar";
  if (ustar && block[257 + 5] == '\0') {
    const std::string_view prefix = text_field(block, 345, 155);
    if (!prefix.empty()) name = cat(prefix, "/", name);
  }
  if (next_.has_path) name = next_.path;
  StatusOr<std::string> path = normalise_path(name);
  if (!path.ok()) return with_context(path.status(), what_);
  entry.path = *std::move(path);
  entry.link = next_.has_link ? next_.link : std::string(text_field(block, 157, 100));

  uint64_t mode = 0, mtime = 0, size = 0;
  if (!number_field(block, 100, 8, mode) || !number_field(block, 108, 8, entry.uid) ||
      !number_field(block, 116, 8, entry.gid) || !number_field(block, 124, 12, size) ||
      !number_field(block, 136, 12, mtime)) {
    return data_loss(what_, ": malformed number in the tar header of '", entry.path, "'");
  }
  entry.mode = static_cast<uint32_t>(mode) & 07777;
  entry.mtime = static_cast<int64_t>(mtime & 0x7fffffffffffffff);
  if (next_.has_size) size = next_.size;
  if (next_.has_uid) entry.uid = next_.uid;
  if (next_.has_gid) entry.gid = next_.gid;

  const char type = block[156];
  if (type == '\0' || type == '0' || type == '7') {
    entry.type = EntryType::kFile;
    if (name.ends_with('/') && type == '\0') entry.type = EntryType::kDirectory;
  } else if (type == 'S' || type == 'M') {
    return invalid_argument(what_, ": '", entry.path,
                            "' is a sparse or multi-volume file, which is not accepted");
  } else if (type >= '1' && type <= '6') {
    entry.type = static_cast<EntryType>(type);
  } else {
    return invalid_argument(what_, ": '", entry.path, "' has the unknown entry type '", type, "'");
  }
  if (entry.type == EntryType::kHardLink) {
    StatusOr<std::string> target = normalise_path(entry.link);
    if (!target.ok()) return with_context(target.status(), cat(what_, ": hard link ", entry.path));
    entry.link = *std::move(target);
  }
  if (entry.type != EntryType::kFile) size = 0;
  total_ += std::min(size, limits_.total_bytes + 1);
  if (size > limits_.file_bytes || total_ > limits_.total_bytes) {
    return resource_exhausted(what_, ": '", entry.path, "' claims ", size,
                              " bytes, past the limit of ", limits_.file_bytes, " a file and ",
                              limits_.total_bytes, " an archive");
  }
  entry.size = left_ = size;
  padding_ = (kBlock - size % kBlock) % kBlock;
  return {};
}

StatusOr<size_t> TarReader::read(std::span<char> out) {
  const size_t count = static_cast<size_t>(std::min<uint64_t>(out.size(), left_));
  if (count == 0) return size_t{0};
  TENON_ASSIGN_OR_RETURN(const size_t got, source_.read(out.first(count)));
  if (got == 0) return data_loss(what_, " is truncated inside an entry");
  left_ -= got;
  return got;
}

}  // namespace tenon::image
