#include "tenon/io/hdf5/hdf5_encode.h"

namespace tenon::hdf5 {
namespace {

// Nodes have a fixed size that follows from these, full or not.
constexpr uint16_t kLeafK = 4;       // symbol table nodes hold 2 * kLeafK names
constexpr uint16_t kInternalK = 16;  // B-tree nodes hold 2 * kInternalK children

std::string datatype_header(TypeClass type_class, uint32_t bits, uint32_t size) {
  std::string out;
  out += static_cast<char>(type_class | (1 << 4));  // version 1
  for (int i = 0; i < 3; ++i) out += static_cast<char>(bits >> (8 * i));
  append_le(out, size);
  return out;
}

std::string fixed_point(uint32_t size, bool is_signed) {
  std::string out = datatype_header(kFixedPoint, is_signed ? 8 : 0, size);
  append_le(out, uint16_t{0});  // bit offset
  append_le(out, static_cast<uint16_t>(8 * size));
  return out;
}

// IEEE 754: sign, `exponent` bits, the rest mantissa with a hidden leading one.
std::string floating_point(uint32_t size, uint8_t exponent) {
  const auto bits = static_cast<uint8_t>(8 * size);
  const auto mantissa = static_cast<uint8_t>(bits - exponent - 1);
  std::string out = datatype_header(kFloatingPoint, (uint32_t{bits} - 1) << 8 | 0x20, size);
  append_le(out, uint16_t{0});
  append_le(out, uint16_t{bits});
  out +=
      {static_cast<char>(mantissa), static_cast<char>(exponent), '\0', static_cast<char>(mantissa)};
  append_le(out, (uint32_t{1} << (exponent - 1)) - 1);
  return out;
}

// h5py's bool: an enumeration of int8 with the members FALSE and TRUE.
std::string boolean() {
  std::string out = datatype_header(kEnumeration, 2, 1) + fixed_point(1, true);
  out += std::string_view("FALSE\0\0\0TRUE\0\0\0\0\0\1", 18);
  return out;
}

std::string variable_string() {
  constexpr uint32_t kString = 1, kUtf8 = 1 << 8;
  return datatype_header(kVariableLength, kString | kUtf8, 16) +
         datatype_header(kFixedString, 1 << 4, 1);
}

// One node of a group's B-tree: `children` with the heap offset of each one's last name.
struct Child {
  uint64_t address = 0;
  uint64_t last_name = 0;
};

uint64_t append_tree_node(int level, std::span<const Child> children, uint64_t first_key,
                          std::string& out) {
  const uint64_t address = out.size();
  constexpr uint64_t kSize = 24 + (2 * kInternalK + 1) * 8 + 2 * kInternalK * 8;
  out += "TREE";
  out += {'\0', static_cast<char>(level)};
  append_le(out, static_cast<uint16_t>(children.size()));
  append_le(out, kUndefined);  // siblings
  append_le(out, kUndefined);
  append_le(out, first_key);
  for (const Child& child : children) {
    append_le(out, child.address);
    append_le(out, child.last_name);
  }
  out.resize(address + kSize, '\0');
  return address;
}

// Writes symbol table nodes for `members`, whose names lie at `offsets` of the heap.
std::vector<Child> append_symbol_nodes(std::span<const Member> members,
                                       std::span<const uint64_t> offsets, std::string& out) {
  constexpr size_t kNames = 2 * kLeafK, kEntry = 40;
  std::vector<Child> nodes;
  for (size_t begin = 0; begin < members.size(); begin += kNames) {
    const size_t end = std::min(members.size(), begin + kNames);
    nodes.push_back({out.size(), offsets[end - 1]});
    const size_t size = out.size() + 8 + kNames * kEntry;
    out += "SNOD";
    out += {'\1', '\0'};
    append_le(out, static_cast<uint16_t>(end - begin));
    for (size_t i = begin; i < end; ++i) {
      append_le(out, offsets[i]);
      append_le(out, members[i].address);
      out.append(24, '\0');  // no cached information
    }
    out.resize(size, '\0');
  }
  return nodes;
}

}  // namespace

std::string encode_datatype(DType dtype) {
  if (dtype == DType::kString) return variable_string();
  if (dtype == DType::kBool) return boolean();
  if (dtype == DType::kBfloat16) return datatype_header(kOpaque, 0, 2);
  if (is_integer(dtype)) {
    return fixed_point(static_cast<uint32_t>(size_of(dtype)), is_signed_integer(dtype));
  }
  if (dtype == DType::kHalf) return floating_point(2, 5);
  if (dtype == DType::kFloat) return floating_point(4, 8);
  if (dtype == DType::kDouble) return floating_point(8, 11);
  return {};
}

std::string encode_dataspace(const Shape& shape) {
  std::string out = {'\1', static_cast<char>(shape.rank()), '\0', '\0', '\0', '\0', '\0', '\0'};
  for (const int64_t dim : shape.dims()) append_le(out, dim);
  return out;
}

// Version 2, late allocation, written if set by the user, which it is not.
std::string encode_default_fill() { return std::string("\2\2\2\1\0\0\0\0", 8); }

std::string encode_contiguous(uint64_t address, uint64_t size) {
  std::string out = "\3\1";
  append_le(out, address);
  append_le(out, size);
  return out;
}

std::string encode_attribute(std::string_view name, DType dtype, const Shape& shape,
                             std::string_view elements) {
  const std::string type = encode_datatype(dtype), space = encode_dataspace(shape);
  if (type.empty() || name.size() >= UINT16_MAX) return {};
  std::string out("\1\0", 2);
  append_le(out, static_cast<uint16_t>(name.size() + 1));
  append_le(out, static_cast<uint16_t>(type.size()));
  append_le(out, static_cast<uint16_t>(space.size()));
  out += name;
  out += '\0';
  align(out);
  out += type;
  align(out);
  out += space;
  align(out);
  out += elements;
  return out;
}

std::string append_group_tables(std::span<const Member> members, std::string& out) {
  std::string names(8, '\0');  // the empty name, which is below all others
  std::vector<uint64_t> offsets;
  for (const Member& member : members) {
    offsets.push_back(names.size());
    names += member.name;
    names += '\0';
    align(names);
  }
  const uint64_t heap = out.size();
  constexpr uint64_t kHeapHeader = 32, kNoFreeBlock = 1;
  out += std::string_view("HEAP\0\0\0\0", 8);
  append_le<uint64_t>(out, names.size());
  append_le(out, kNoFreeBlock);
  append_le(out, heap + kHeapHeader);
  out += names;

  std::vector<Child> nodes = append_symbol_nodes(members, offsets, out);
  uint64_t tree = 0;
  for (int level = 0; level == 0 || nodes.size() > 1; ++level) {
    std::vector<Child> parents;
    uint64_t key = 0;
    for (size_t begin = 0; begin == 0 || begin < nodes.size(); begin += 2 * kInternalK) {
      const std::span<const Child> children = std::span<const Child>(nodes).subspan(begin).first(
          std::min<size_t>(nodes.size() - begin, 2 * kInternalK));
      tree = append_tree_node(level, children, key, out);
      if (!children.empty()) key = children.back().last_name;
      parents.push_back({tree, key});
    }
    nodes = std::move(parents);
  }
  std::string body;
  append_le(body, tree);
  append_le(body, heap);
  return body;
}

uint64_t append_object_header(std::span<const EncodedMessage> messages, std::string& out) {
  const uint64_t address = out.size();
  std::string body;
  for (const EncodedMessage& message : messages) {
    append_le(body, static_cast<uint16_t>(message.type));
    append_le(body, static_cast<uint16_t>(aligned(message.body.size())));
    body.append(4, '\0');  // flags, reserved
    body += message.body;
    align(body);
  }
  out += {'\1', '\0'};
  append_le(out, static_cast<uint16_t>(messages.size()));
  append_le(out, uint32_t{1});  // reference count
  append_le(out, static_cast<uint32_t>(body.size()));
  out.append(4, '\0');
  out += body;
  return address;
}

std::string encode_superblock(uint64_t root, std::string_view file) {
  // The root's entry repeats what its symbol table message says.
  ByteReader header(file, root + 24);
  const auto tree = header.read<uint64_t>();
  const auto heap = header.read<uint64_t>();
  std::string out(kSignature);
  out += std::string_view("\0\0\0\0\0\x08\x08\0", 8);  // versions; addresses and sizes of 8 bytes
  append_le(out, kLeafK);
  append_le(out, kInternalK);
  append_le(out, uint32_t{0});
  append_le(out, uint64_t{0});  // base
  append_le(out, kUndefined);   // free space
  append_le<uint64_t>(out, file.size());
  append_le(out, kUndefined);   // driver
  append_le(out, uint64_t{0});  // the root has no name
  append_le(out, root);
  append_le(out, uint32_t{1});  // tree and heap are cached here
  append_le(out, uint32_t{0});
  append_le(out, tree);
  append_le(out, heap);
  return out;
}

}  // namespace tenon::hdf5
