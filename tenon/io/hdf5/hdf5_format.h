// The parts of the HDF5 file format that Keras and h5py write, as parsed from untrusted bytes.
//
// Source: HDF5 File Format Specification 3.0 (sections II to IV). Internal to hdf5_*.cc.
#pragma once

#include "tenon/core/tensor.h"
#include "tenon/io/bytes.h"

namespace tenon::hdf5 {

inline constexpr std::string_view kSignature("\x89HDF\r\n\x1a\n", 8);
inline constexpr uint64_t kUndefined = UINT64_MAX;  // the address of what is not there

enum MessageType : uint16_t {
  kDataspace = 0x01,
  kLinkInfo = 0x02,
  kDatatype = 0x03,
  kFillValue = 0x05,
  kLink = 0x06,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0b,
  kAttribute = 0x0c,
  kContinuation = 0x10,
  kSymbolTable = 0x11,
  kAttributeInfo = 0x15,
};

enum TypeClass : uint8_t {
  kFixedPoint = 0,
  kFloatingPoint = 1,
  kFixedString = 3,
  kOpaque = 5,
  kEnumeration = 8,
  kVariableLength = 9,
};

struct Message {
  uint16_t type = 0;
  std::string_view body;
};

struct Datatype {
  DType dtype = DType::kInvalid;  // kString for both kinds of strings
  uint32_t size = 0;              // bytes an element in the file
  bool variable = false;          // a reference into the global heap
  bool big_endian = false;
  bool space_padded = false;
  bool opaque = false;  // bytes that only an attribute gives a meaning; dtype is kInvalid
};

struct Layout {
  enum class Kind { kCompact, kContiguous, kChunked };
  Kind kind = Kind::kContiguous;
  uint64_t address = kUndefined;  // of the bytes, or of the chunks' B-tree
  uint64_t size = 0;              // bytes, contiguous only
  std::string_view compact;       // the bytes, compact only
  std::vector<uint32_t> chunk;    // elements a dimension, chunked only
};

struct Filter {
  enum : uint16_t { kDeflate = 1, kShuffle = 2 };
  uint16_t id = 0;
};

struct AttributeMessage {
  std::string_view name;
  Datatype type;
  Shape shape;
  std::string_view data;
};

struct Link {
  std::string_view name;
  uint64_t address = kUndefined;  // of the object header; undefined for soft and external links
};

// Bodies of messages. INVALID_ARGUMENT when they are malformed, UNIMPLEMENTED outside the subset.
StatusOr<Shape> parse_dataspace(std::string_view body);
StatusOr<Datatype> parse_datatype(std::string_view body);
StatusOr<Layout> parse_layout(std::string_view body);
StatusOr<std::vector<Filter>> parse_filters(std::string_view body);
StatusOr<AttributeMessage> parse_attribute(std::string_view body);
StatusOr<Link> parse_link(std::string_view body);

// The messages of the object header at `address` of `file`, continuation blocks included.
StatusOr<std::vector<Message>> read_object_header(std::string_view file, uint64_t address);

// The address of the root group's object header.
StatusOr<uint64_t> read_superblock(std::string_view file);

// The links of the group with this object header, in the order of their names.
StatusOr<std::vector<Link>> read_links(std::string_view file, std::span<const Message> header);

// The elements of `type` that `bytes` hold, as a tensor; strings are resolved in `file`.
StatusOr<Tensor> decode_elements(std::string_view file, const Datatype& type, const Shape& shape,
                                 std::string_view bytes);

// The bytes of a chunked dataset, unfiltered and put together.
StatusOr<std::string> read_chunks(std::string_view file, const Layout& layout, const Shape& shape,
                                  size_t element_size, std::span<const Filter> filters);

// Jenkins' lookup3, the checksum of version 2 structures.
uint32_t checksum(std::string_view bytes);

}  // namespace tenon::hdf5
