#include <algorithm>

#include "tenon/base/log.h"
#include "tenon/image/archive/tar.h"

namespace tenon::image {
namespace {

constexpr size_t kTarBlock = 512;
constexpr uint64_t kLargestSize = (uint64_t{1} << 33) - 1;  // 11 octal digits
constexpr uint64_t kLargestId = (uint64_t{1} << 21) - 1;    // 7 octal digits

void put(std::string& block, size_t offset, std::string_view text) {
  text.copy(block.data() + offset, text.size());
}

void put_octal(std::string& block, size_t offset, size_t size, uint64_t value) {
  for (size_t i = size - 1; i-- > 0;) {
    block[offset + i] = static_cast<char>('0' + (value & 7));
    value >>= 3;
  }
}

// "LENGTH key=value\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (cat(length).size() + rest != length) length = cat(length).size() + rest;
  return cat(length, " ", key, "=", value, "\n");
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0; });
}

std::string header(char type, std::string_view name, std::string_view prefix, std::string_view link,
                   const TarEntry& entry, uint64_t size) {
  std::string block(kTarBlock, '\0');
  put(block, 0, name);
  put_octal(block, 100, 8, entry.mode & 07777);
  put_octal(block, 108, 8, std::min(entry.uid, kLargestId));
  put_octal(block, 116, 8, std::min(entry.gid, kLargestId));
  put_octal(block, 124, 12, std::min(size, kLargestSize));
  put_octal(block, 136, 12, static_cast<uint64_t>(std::max<int64_t>(0, entry.mtime)));
  put(block, 148, "        ");
  block[156] = type;
  put(block, 157, link);
  put(block, 257, std::string_view("ustar\00000", 8));
  put(block, 345, prefix);
  uint64_t sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block, 148, 7, sum);
  block[154] = '\0';
  block[155] = ' ';
  return block;
}

// Splits a long path into ustar's prefix (155) and name (100); false when no '/' allows it.
bool split_path(std::string_view path, std::string_view& prefix, std::string_view& name) {
  prefix = {};
  name = path;
  if (path.size() <= 100) return true;
  for (size_t slash = path.find('/'); slash != std::string_view::npos && slash <= 155;
       slash = path.find('/', slash + 1)) {
    if (path.size() - slash - 1 > 100) continue;
    prefix = path.substr(0, slash);
    name = path.substr(slash + 1);
    return !name.empty();
  }
  return false;
}

}  // namespace

Status TarWriter::pad() {
  TENON_CHECK(left_ == 0);
  const std::string zeros(padding_, '\0');
  padding_ = 0;
  return sink_.write(zeros);
}

Status TarWriter::add(const TarEntry& entry) {
  TENON_RETURN_IF_ERROR(pad());
  std::string path = entry.path;
  if (entry.type == EntryType::kDirectory) path += '/';
  const uint64_t size = entry.type == EntryType::kFile ? entry.size : 0;

  std::string records;
  std::string_view prefix, name;
  if (!split_path(path, prefix, name) || !is_ascii(path)) {
    records += pax_record("path", path);
    prefix = {};
    name = std::string_view(path).substr(0, 100);
  }
  if (entry.link.size() > 100 || !is_ascii(entry.link)) {
    records += pax_record("linkpath", entry.link);
  }
  if (size > kLargestSize) records += pax_record("size", cat(size));
  if (entry.uid > kLargestId) records += pax_record("uid", cat(entry.uid));
  if (entry.gid > kLargestId) records += pax_record("gid", cat(entry.gid));
  if (!records.empty()) {
    TarEntry plain;
    plain.mode = 0644;
    plain.mtime = entry.mtime;
    TENON_RETURN_IF_ERROR(
        sink_.write(header('x', "PaxHeaders/entry", {}, {}, plain, records.size())));
    records.resize((records.size() + kTarBlock - 1) / kTarBlock * kTarBlock, '\0');
    TENON_RETURN_IF_ERROR(sink_.write(records));
  }
  left_ = size;
  padding_ = (kTarBlock - size % kTarBlock) % kTarBlock;
  return sink_.write(header(static_cast<char>(entry.type), name, prefix,
                            std::string_view(entry.link).substr(0, 100), entry, size));
}

Status TarWriter::content(std::string_view bytes) {
  if (bytes.size() > left_) {
    return internal("a tar entry has more content than its header says");
  }
  left_ -= bytes.size();
  return sink_.write(bytes);
}

Status TarWriter::finish() {
  if (left_ != 0) return internal("a tar entry has ", left_, " bytes less than its header says");
  TENON_RETURN_IF_ERROR(pad());
  return sink_.write(std::string(2 * kTarBlock, '\0'));
}

}  // namespace tenon::image
