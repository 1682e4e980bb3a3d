#include "tenon/image/build/elf_edit.h"

#include <algorithm>
#include <vector>

#include "tenon/base/files.h"
#include "tenon/image/build/elf.h"

namespace tenon::image {
namespace {

enum : uint64_t {
  kLoaded = 1,    // PT_LOAD
  kDynamics = 2,  // PT_DYNAMIC
  kTagStringTable = 5,
  kTagSymbolTable = 6,
};
constexpr uint64_t kLargestAlignment = 1 << 20;
constexpr size_t kLongestName = 256;

// Where the fields of a program header and of a symbol stand: System V ABI, "Program Header" and
// "Symbol Table", for files of 64 and of 32 bits.
struct ElfFormat {
  size_t width;                                               // of an address
  size_t header, headers_at, entry_size_at, count_at, entry;  // program headers
  size_t offset, address, file_size, memory_size, alignment;  // in one of them
  size_t symbol, symbol_value, symbol_size;
};
constexpr ElfFormat kElf64 = {8, 64, 32, 54, 56, 56, 8, 16, 32, 40, 48, 24, 8, 16};
constexpr ElfFormat kElf32 = {4, 52, 28, 42, 44, 32, 4, 8, 16, 20, 28, 16, 4, 8};

uint64_t number_at(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void put_number(std::string& bytes, size_t at, size_t size, uint64_t value) {
  for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i) & 0xFF);
}

struct LoadedSegment {
  size_t at = 0;  // of its program header
  uint64_t type = 0, offset = 0, address = 0, file_size = 0, memory_size = 0, alignment = 0;
  uint64_t end() const { return offset + file_size; }
};

struct ElfLayout {
  const ElfFormat* format = nullptr;
  std::vector<LoadedSegment> segments;  // each within the file
};

// False for what is no little-endian ELF file, or whose segments lie outside it.
bool read_layout(std::string_view bytes, ElfLayout& layout) {
  if (bytes.size() < kElf64.header || !bytes.starts_with("\177ELF") || bytes[5] != 1) return false;
  layout.format = bytes[4] == 2 ? &kElf64 : &kElf32;
  const ElfFormat& f = *layout.format;
  const uint64_t headers = number_at(bytes, f.headers_at, f.width);
  const uint64_t entry = number_at(bytes, f.entry_size_at, 2);
  const uint64_t count = number_at(bytes, f.count_at, 2);
  if (entry < f.entry || headers > bytes.size() || entry * count > bytes.size() - headers) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    LoadedSegment segment;
    segment.at = static_cast<size_t>(headers + i * entry);
    segment.type = number_at(bytes, segment.at, 4);
    segment.offset = number_at(bytes, segment.at + f.offset, f.width);
    segment.address = number_at(bytes, segment.at + f.address, f.width);
    segment.file_size = number_at(bytes, segment.at + f.file_size, f.width);
    segment.memory_size = number_at(bytes, segment.at + f.memory_size, f.width);
    segment.alignment = number_at(bytes, segment.at + f.alignment, f.width);
    if (segment.offset > bytes.size() || segment.file_size > bytes.size() - segment.offset) {
      return false;
    }
    layout.segments.push_back(segment);
  }
  return true;
}

// The place in the file of `size` bytes that are loaded at `address`; npos when no segment has
// them.
size_t place_of(const ElfLayout& layout, uint64_t address, uint64_t size) {
  for (const LoadedSegment& s : layout.segments) {
    if (s.type != kLoaded || address < s.address || address - s.address > s.file_size) continue;
    if (size <= s.file_size - (address - s.address)) {
      return static_cast<size_t>(s.offset + (address - s.address));
    }
  }
  return std::string_view::npos;
}

// The part of the file that may go: [begin, end), all zeros, at the end of a segment. Both ends
// keep what follows congruent with its address modulo the page. Empty where there is no such part.
struct Cut {
  size_t begin = 0, end = 0;
};

Cut find_cut(std::string_view bytes, const ElfLayout& layout, const LoadedSegment& segment) {
  uint64_t page = 1, next = UINT64_MAX;
  for (const LoadedSegment& s : layout.segments) {
    if (s.type == kLoaded) page = std::max(page, s.alignment);
    if (s.offset >= segment.end() && s.file_size != 0) next = std::min(next, s.offset);
  }
  if (next == UINT64_MAX) next = segment.end();
  if ((page & (page - 1)) != 0 || page > kLargestAlignment) return {};
  uint64_t kept = next;
  while (kept > segment.offset && bytes[static_cast<size_t>(kept - 1)] == '\0') --kept;
  const uint64_t begin = (kept + page - 1) / page * page;
  if (begin >= next || begin >= segment.end()) return {};
  const uint64_t end = begin + (next - begin) / page * page;
  const uint64_t headers = number_at(bytes, layout.format->headers_at, layout.format->width);
  if (headers >= begin) return {};
  for (const LoadedSegment& s : layout.segments) {
    // Another one's bytes among those that would go, or its own beyond them.
    const bool other = s.at != segment.at && s.file_size != 0;
    if (other && s.offset < end && s.end() > begin) return {};
  }
  return {static_cast<size_t>(begin), static_cast<size_t>(end)};
}

}  // namespace

std::string loaded_part(std::string bytes) {
  const ElfInfo elf = read_elf(bytes.size(), [&](uint64_t offset, std::span<char> out) -> Status {
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
  });
  const size_t header = elf.is_64 ? 64 : 52;
  if (!elf.is_elf || elf.loaded_size < header) return bytes;
  bytes.resize(static_cast<size_t>(elf.loaded_size));
  // e_shoff, and e_shnum with e_shstrndx after it: System V ABI, "ELF Header".
  put_number(bytes, elf.is_64 ? 40 : 32, elf.is_64 ? 8 : 4, 0);
  put_number(bytes, header - 4, 4, 0);
  return bytes;
}

StatusOr<ElfObject> find_elf_object(std::string_view bytes,
                                    FunctionRef<bool(std::string_view)> chosen) {
  ElfLayout layout;
  if (!read_layout(bytes, layout)) return data_loss("no ELF file, or one that is cut off");
  const ElfFormat& f = *layout.format;
  uint64_t strings_address = 0, symbols_address = 0;
  for (const LoadedSegment& s : layout.segments) {
    if (s.type != kDynamics) continue;
    for (uint64_t at = s.offset; at + 2 * f.width <= s.end(); at += 2 * f.width) {
      const uint64_t tag = number_at(bytes, static_cast<size_t>(at), f.width);
      const uint64_t value = number_at(bytes, static_cast<size_t>(at) + f.width, f.width);
      if (tag == 0) break;
      if (tag == kTagStringTable) strings_address = value;
      if (tag == kTagSymbolTable) symbols_address = value;
    }
  }
  const size_t strings = place_of(layout, strings_address, 1);
  size_t at = place_of(layout, symbols_address, f.symbol);
  if (strings == std::string_view::npos || at == std::string_view::npos) {
    return data_loss("an ELF file without dynamic symbols");
  }
  // Nothing says how many symbols there are; linkers put the strings behind them.
  const size_t end = strings > at ? strings : bytes.size();
  for (; at + f.symbol <= end; at += f.symbol) {
    const uint64_t name_at = number_at(bytes, at, 4);
    if (name_at >= bytes.size() - strings) continue;
    const std::string_view rest =
        bytes.substr(strings + static_cast<size_t>(name_at), kLongestName);
    if (!chosen(rest.substr(0, rest.find('\0')))) continue;
    const uint64_t size = number_at(bytes, at + f.symbol_size, f.width);
    const size_t place = place_of(layout, number_at(bytes, at + f.symbol_value, f.width), size);
    if (place == std::string_view::npos)
      return data_loss("a symbol of an ELF file leads out of it");
    return ElfObject{place, static_cast<size_t>(size)};
  }
  return not_found("an ELF file without that symbol");
}

void shrink_elf_object(std::string& bytes, ElfObject object, std::string_view content) {
  std::copy(content.begin(), content.end(),
            bytes.begin() + static_cast<std::ptrdiff_t>(object.offset));
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(object.offset + content.size()),
              object.size - content.size(), '\0');
  bytes = loaded_part(std::move(bytes));
  ElfLayout layout;
  if (!read_layout(bytes, layout)) return;
  const ElfFormat& f = *layout.format;
  for (const LoadedSegment& segment : layout.segments) {
    if (segment.type != kLoaded || object.offset < segment.offset ||
        object.offset >= segment.end()) {
      continue;
    }
    const Cut cut = find_cut(bytes, layout, segment);
    if (cut.begin == cut.end) return;
    put_number(bytes, segment.at + f.file_size, f.width, cut.begin - segment.offset);
    for (const LoadedSegment& other : layout.segments) {
      if (other.offset < cut.end) continue;
      put_number(bytes, other.at + f.offset, f.width, other.offset - (cut.end - cut.begin));
    }
    bytes.erase(cut.begin, cut.end - cut.begin);
    bytes.shrink_to_fit();
    return;
  }
}

}  // namespace tenon::image
