#include "tenon/image/build/elf.h"

#include <algorithm>
#include <cstring>

#include "tenon/base/strings.h"

namespace tenon::image {
namespace {

constexpr uint64_t kLargestTable = 16 << 20;
enum : uint64_t {
  kSegmentLoad = 1,
  kSegmentDynamic = 2,
  kSegmentInterpreter = 3,
  kTagNeeded = 1,
  kTagStrings = 5,
  kTagStringsSize = 10,
  kTagSoname = 14,
  kTagRpath = 15,
  kTagRunpath = 29,
};

struct Segment {
  uint64_t type, offset, address, size;
};

class ElfReader {
 public:
  ElfReader(uint64_t file_size, FunctionRef<Status(uint64_t, std::span<char>)> read)
      : file_size_(file_size), read_(read) {}

  bool run(ElfInfo& info) {
    std::string head;
    if (!bytes(0, 64, head) && !bytes(0, 52, head)) return false;
    if (!head.starts_with("\177ELF") || head[5] != 1) return false;
    wide_ = head[4] == 2;
    if (wide_ && head.size() < 64) return false;
    info.is_64 = wide_;
    info.is_shared = number(head, 16, 2) == 3;
    info.machine = static_cast<uint16_t>(number(head, 18, 2));
    if (!read_segments(head)) return false;
    info.is_elf = true;
    read_places(info);
    for (const Segment& segment : segments_) {
      if (segment.type == kSegmentDynamic) return read_dynamic(segment, info);
    }
    return true;
  }

 private:
  bool bytes(uint64_t offset, uint64_t size, std::string& out) {
    if (size > kLargestTable || offset > file_size_ || size > file_size_ - offset) return false;
    out.resize(static_cast<size_t>(size));
    return read_(offset, out).ok();
  }

  static uint64_t number(std::string_view table, size_t at, size_t size) {
    uint64_t value = 0;
    if (at + size > table.size()) return 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(table[at + i]);
    return value;
  }

  bool read_segments(std::string_view head) {
    const uint64_t offset = wide_ ? number(head, 32, 8) : number(head, 28, 4);
    const uint64_t entry = number(head, wide_ ? 54 : 42, 2);
    const uint64_t count = number(head, wide_ ? 56 : 44, 2);
    if (entry < (wide_ ? 56U : 32U)) return count == 0;
    std::string table;
    if (!bytes(offset, entry * count, table)) return false;
    for (size_t at = 0; at < table.size(); at += entry) {
      Segment segment;
      segment.type = number(table, at, 4);
      segment.offset = wide_ ? number(table, at + 8, 8) : number(table, at + 4, 4);
      segment.address = wide_ ? number(table, at + 16, 8) : number(table, at + 8, 4);
      segment.size = wide_ ? number(table, at + 32, 8) : number(table, at + 16, 4);
      segments_.push_back(segment);
    }
    return true;
  }

  void read_places(ElfInfo& info) {
    for (const Segment& segment : segments_) {
      if (segment.offset > file_size_ || segment.size > file_size_ - segment.offset) continue;
      if (segment.type == kSegmentLoad) {
        info.loaded_size = std::max(info.loaded_size, segment.offset + segment.size);
      }
      std::string path;
      if (segment.type == kSegmentInterpreter && bytes(segment.offset, segment.size, path)) {
        info.interpreter = path.c_str();
      }
    }
  }

  bool read_dynamic(const Segment& dynamic, ElfInfo& info) {
    std::string table;
    if (!bytes(dynamic.offset, dynamic.size, table)) return false;
    const size_t width = wide_ ? 8 : 4;
    uint64_t strings_address = 0, strings_size = 0;
    for (size_t at = 0; at + 2 * width <= table.size(); at += 2 * width) {
      const uint64_t tag = number(table, at, width), value = number(table, at + width, width);
      if (tag == 0) break;
      if (tag == kTagStrings) strings_address = value;
      if (tag == kTagStringsSize) strings_size = value;
    }
    std::string strings;
    const auto load = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& s) {
      return s.type == kSegmentLoad && strings_address >= s.address &&
             strings_address - s.address < s.size;
    });
    if (load == segments_.end() ||
        !bytes(strings_address - load->address + load->offset, strings_size, strings)) {
      return true;
    }
    for (std::string_view name : {"dlopen", "dlmopen"}) {
      info.opens_libraries |= strings.find(cat('\0', name, '\0')) != std::string::npos;
    }
    for (size_t at = 0; at + 2 * width <= table.size(); at += 2 * width) {
      const uint64_t tag = number(table, at, width), value = number(table, at + width, width);
      if (tag == 0) break;
      if (value >= strings.size()) continue;
      const std::string text = strings.substr(value).c_str();
      if (tag == kTagNeeded) info.needed.push_back(text);
      if (tag == kTagSoname) info.soname = text;
      if (tag == kTagRpath || tag == kTagRunpath) {
        for (std::string_view part : split(text, ':')) info.run_path.emplace_back(part);
      }
    }
    return true;
  }

  uint64_t file_size_;
  FunctionRef<Status(uint64_t, std::span<char>)> read_;
  bool wide_ = false;
  std::vector<Segment> segments_;
};

}  // namespace

ElfInfo read_elf(uint64_t file_size, FunctionRef<Status(uint64_t, std::span<char>)> read) {
  ElfInfo info;
  if (!ElfReader(file_size, read).run(info)) return {};
  return info;
}

}  // namespace tenon::image
