#include "tenon/io/hdf5/hdf5_format.h"

namespace tenon::hdf5 {
namespace {

Status broken_object(std::string_view what, uint64_t address) {
  return data_loss("broken HDF5 ", what, " at byte ", address);
}

// Bounds the work that a file can ask for: no structure is visited more often than it has room for
// on disk, so that cycles and repeated references end.
class Budget {
 public:
  explicit Budget(std::string_view file) : left_(file.size()) {}
  bool spend(uint64_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  uint64_t left_;
};

struct Block {
  uint64_t address = 0;
  uint64_t size = 0;
};

// Takes messages out of `reader` until `end`; the reader's format is version 1 or 2.
Status take_messages(ByteReader& reader, uint64_t end, bool version2, bool with_order,
                     std::vector<Message>& messages, std::vector<Block>& continuations) {
  const uint64_t header_size = version2 ? (with_order ? 6 : 4) : 8;
  while (reader.offset() + header_size <= end) {
    Message message;
    message.type = version2 ? reader.read<uint8_t>() : reader.read<uint16_t>();
    const auto size = reader.read<uint16_t>();
    const auto flags = reader.read<uint8_t>();
    reader.skip(version2 ? (with_order ? 2 : 0) : 3);
    if (size > end - reader.offset()) return broken_object("message", reader.offset());
    message.body = reader.read_bytes(size);
    if (!reader.ok()) return broken_object("message", reader.offset());
    constexpr uint8_t kShared = 2;
    if (flags & kShared) {
      return unimplemented("HDF5 object header with a shared message of type ", message.type);
    }
    if (message.type == kContinuation) {
      ByteReader body(message.body);
      const auto address = body.read<uint64_t>();
      continuations.push_back({address, body.read<uint64_t>()});
      if (!body.ok()) return broken_object("continuation", reader.offset());
    } else if (message.type != 0) {
      messages.push_back(message);
    }
  }
  return absl::OkStatus();
}

bool checksum_matches(std::string_view file, const Block& block) {
  const std::string_view bytes = file.substr(block.address, block.size - 4);
  return checksum(bytes) == load_le<uint32_t>(file.data() + block.address + block.size - 4);
}

Status read_header_v2(std::string_view file, uint64_t address, std::vector<Message>& messages) {
  ByteReader reader(file, address);
  reader.skip(5);  // signature, version
  const auto flags = reader.read<uint8_t>();
  reader.skip((flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0));
  const uint64_t chunk = reader.read_uint(size_t{1} << (flags & 3));
  if (!reader.ok() || chunk > reader.remaining() || reader.remaining() - chunk < 4) {
    return broken_object("object header", address);
  }
  const bool with_order = (flags & 4) != 0;
  const uint64_t end = reader.offset() + chunk;
  if (!checksum_matches(file, {address, end + 4 - address})) {
    return broken_object("object header (its checksum)", address);
  }
  std::vector<Block> blocks;
  TENON_RETURN_IF_ERROR(take_messages(reader, end, true, with_order, messages, blocks));
  Budget budget(file);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block block = blocks[i];
    if (block.address > file.size() || block.size > file.size() - block.address || block.size < 8 ||
        !budget.spend(block.size) || file.substr(block.address, 4) != "OCHK" ||
        !checksum_matches(file, block)) {
      return broken_object("object header continuation", block.address);
    }
    ByteReader part(file, block.address + 4);
    TENON_RETURN_IF_ERROR(
        take_messages(part, block.address + block.size - 4, true, with_order, messages, blocks));
  }
  return absl::OkStatus();
}

Status read_header_v1(std::string_view file, uint64_t address, std::vector<Message>& messages) {
  ByteReader reader(file, address);
  const auto version = reader.read<uint8_t>();
  reader.skip(7);  // reserved, number of messages, reference count
  const uint64_t size = reader.read<uint32_t>();
  reader.skip(4);
  if (!reader.ok() || version != 1 || size > reader.remaining()) {
    return broken_object("object header", address);
  }
  std::vector<Block> blocks = {{reader.offset(), size}};
  Budget budget(file);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block block = blocks[i];
    if (block.address > file.size() || block.size > file.size() - block.address ||
        !budget.spend(std::max<uint64_t>(block.size, 8))) {
      return broken_object("object header continuation", block.address);
    }
    ByteReader part(file, block.address);
    TENON_RETURN_IF_ERROR(
        take_messages(part, block.address + block.size, false, false, messages, blocks));
  }
  return absl::OkStatus();
}

// The name at `offset` of a local heap's data segment.
StatusOr<std::string_view> heap_name(std::string_view segment, uint64_t offset) {
  const size_t end = offset < segment.size() ? segment.find('\0', offset) : std::string_view::npos;
  if (end == std::string_view::npos) return data_loss("broken HDF5 link name");
  return segment.substr(offset, end - offset);
}

StatusOr<std::string_view> local_heap(std::string_view file, uint64_t address) {
  ByteReader reader(file, address);
  const bool signature = reader.read_bytes(4) == "HEAP";
  reader.skip(4);
  const auto size = reader.read<uint64_t>();
  reader.skip(8);  // free list
  ByteReader data(file, std::min<uint64_t>(reader.read<uint64_t>(), file.size()));
  const std::string_view segment = data.read_bytes(size);
  if (!signature || !reader.ok() || !data.ok()) return broken_object("local heap", address);
  return segment;
}

Status read_symbol_node(std::string_view file, uint64_t address, std::string_view names,
                        Budget& budget, std::vector<Link>& links) {
  ByteReader reader(file, address);
  const bool signature = reader.read_bytes(4) == "SNOD";
  reader.skip(2);
  const int count = reader.read<uint16_t>();
  if (!signature || !budget.spend(8)) return broken_object("symbol table node", address);
  for (int i = 0; i < count; ++i) {
    const auto name_offset = reader.read<uint64_t>();
    Link link;
    link.address = reader.read<uint64_t>();
    const auto cache_type = reader.read<uint32_t>();
    reader.skip(20);
    if (!reader.ok() || !budget.spend(40)) return broken_object("symbol table node", address);
    constexpr uint32_t kSoftLink = 2;
    if (cache_type == kSoftLink) link.address = kUndefined;
    TENON_ASSIGN_OR_RETURN(link.name, heap_name(names, name_offset));
    links.push_back(link);
  }
  return absl::OkStatus();
}

// A node of a group's B-tree; `level` is what the parent expects, -1 for the root.
Status read_group_tree(std::string_view file, uint64_t address, int level, std::string_view names,
                       Budget& budget, std::vector<Link>& links) {
  ByteReader reader(file, address);
  const bool signature = reader.read_bytes(4) == "TREE" && reader.read<uint8_t>() == 0;
  const int own_level = reader.read<uint8_t>();
  const int count = reader.read<uint16_t>();
  reader.skip(16);  // siblings
  if (!signature || !reader.ok() || !budget.spend(24) || (level >= 0 && own_level != level)) {
    return broken_object("group B-tree", address);
  }
  for (int i = 0; i < count; ++i) {
    reader.skip(8);  // key
    const auto child = reader.read<uint64_t>();
    if (!reader.ok() || !budget.spend(16)) return broken_object("group B-tree", address);
    TENON_RETURN_IF_ERROR(own_level == 0
                              ? read_symbol_node(file, child, names, budget, links)
                              : read_group_tree(file, child, own_level - 1, names, budget, links));
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t checksum(std::string_view bytes) {
  const auto rotate = [](uint32_t x, int k) { return (x << k) | (x >> (32 - k)); };
  uint32_t a = 0xdeadbeef + static_cast<uint32_t>(bytes.size()), b = a, c = a;
  const auto add = [&](std::string_view piece) {
    char block[12] = {};
    std::copy(piece.begin(), piece.end(), block);
    a += load_le<uint32_t>(block);
    b += load_le<uint32_t>(block + 4);
    c += load_le<uint32_t>(block + 8);
  };
  while (bytes.size() > 12) {
    add(bytes.substr(0, 12));
    a -= c, a ^= rotate(c, 4), c += b;
    b -= a, b ^= rotate(a, 6), a += c;
    c -= b, c ^= rotate(b, 8), b += a;
    a -= c, a ^= rotate(c, 16), c += b;
    b -= a, b ^= rotate(a, 19), a += c;
    c -= b, c ^= rotate(b, 4), b += a;
    bytes.remove_prefix(12);
  }
  if (bytes.empty()) return c;
  add(bytes);
  c ^= b, c -= rotate(b, 14);
  a ^= c, a -= rotate(c, 11);
  b ^= a, b -= rotate(a, 25);
  c ^= b, c -= rotate(b, 16);
  a ^= c, a -= rotate(c, 4);
  b ^= a, b -= rotate(a, 14);
  c ^= b, c -= rotate(b, 24);
  return c;
}

StatusOr<uint64_t> read_superblock(std::string_view file) {
  ByteReader reader(file);
  if (reader.read_bytes(8) != kSignature) return invalid_argument("it is no HDF5 file");
  const int version = reader.read<uint8_t>();
  if (version > 3) return unimplemented("HDF5 superblock of version ", version);
  if (version < 2) reader.skip(4);
  const int offset_size = reader.read<uint8_t>();
  const int length_size = reader.read<uint8_t>();
  reader.skip(version < 2 ? 9 : 1);
  if (version == 1) reader.skip(4);
  const auto base = reader.read<uint64_t>();
  reader.skip(8);  // free space, or extension
  const auto end = reader.read<uint64_t>();
  if (version < 2) reader.skip(16);  // driver information, name of the root's entry
  const auto root = reader.read<uint64_t>();
  if (!reader.ok()) return data_loss("its superblock is cut off");
  if (offset_size != 8 || length_size != 8 || base != 0) {
    return unimplemented("HDF5 file with addresses of ", offset_size, " bytes from byte ", base);
  }
  if (version >= 2) {
    const size_t covered = reader.offset();
    if (checksum(file.substr(0, covered)) != reader.read<uint32_t>()) {
      return data_loss("its superblock does not match its checksum");
    }
  }
  if (end > file.size()) return data_loss("it has ", file.size(), " bytes, expected ", end);
  return root;
}

StatusOr<std::vector<Message>> read_object_header(std::string_view file, uint64_t address) {
  if (address >= file.size()) return broken_object("object address", address);
  std::vector<Message> messages;
  const bool version2 = file.substr(address, 5) == std::string_view("OHDR\x02", 5);
  TENON_RETURN_IF_ERROR(version2 ? read_header_v2(file, address, messages)
                                 : read_header_v1(file, address, messages));
  return messages;
}

StatusOr<std::vector<Link>> read_links(std::string_view file, std::span<const Message> header) {
  std::vector<Link> links;
  Budget budget(file);
  for (const Message& message : header) {
    ByteReader body(message.body);
    if (message.type == kSymbolTable) {
      const auto tree = body.read<uint64_t>();
      TENON_ASSIGN_OR_RETURN(const std::string_view names, local_heap(file, body.read<uint64_t>()));
      TENON_RETURN_IF_ERROR(read_group_tree(file, tree, -1, names, budget, links));
    } else if (message.type == kLink) {
      TENON_ASSIGN_OR_RETURN(const Link link, parse_link(message.body));
      links.push_back(link);
    } else if (message.type == kLinkInfo) {
      body.skip(1);
      const auto flags = body.read<uint8_t>();
      if (flags & 1) body.skip(8);
      if (body.read<uint64_t>() != kUndefined) {
        return unimplemented("HDF5 group with dense link storage (libver='latest' and many links)");
      }
    }
  }
  std::sort(links.begin(), links.end(),
            [](const Link& a, const Link& b) { return a.name < b.name; });
  return links;
}

}  // namespace tenon::hdf5
