// The HDF5 structures that Hdf5Writer puts together; the counterpart of hdf5_format.h.
//
// Source: HDF5 File Format Specification 3.0. Internal to hdf5_*.cc.
#pragma once

#include "tenon/io/hdf5/hdf5_format.h"

namespace tenon::hdf5 {

inline constexpr uint64_t kSuperblockSize = 96;

constexpr uint64_t aligned(uint64_t size) { return (size + 7) & ~uint64_t{7}; }
inline void align(std::string& out) { out.resize(aligned(out.size()), '\0'); }

struct EncodedMessage {
  MessageType type;
  std::string body;
};

struct Member {
  std::string name;
  uint64_t address = 0;  // of its object header
};

// Bodies of messages. A dtype that HDF5 files of Keras do not hold gives an empty datatype.
std::string encode_datatype(DType dtype);
std::string encode_dataspace(const Shape& shape);
std::string encode_default_fill();
std::string encode_contiguous(uint64_t address, uint64_t size);
std::string encode_attribute(std::string_view name, DType dtype, const Shape& shape,
                             std::string_view elements);

// Appends a group's names and B-tree; `members` are in bytewise order. Returns the body of the
// symbol table message that refers to them.
std::string append_group_tables(std::span<const Member> members, std::string& out);

// Appends an object header and returns its address.
uint64_t append_object_header(std::span<const EncodedMessage> messages, std::string& out);

// For a file whose bytes are `file` once the superblock has been put in its place.
std::string encode_superblock(uint64_t root, std::string_view file);

}  // namespace tenon::hdf5
