#include "tenon/io/hdf5/hdf5_format.h"

namespace tenon::hdf5 {
namespace {

Status malformed(std::string_view what) { return invalid_argument("malformed HDF5 ", what); }

uint64_t padded(uint64_t size) { return (size + 7) & ~uint64_t{7}; }

struct NumberType {
  TypeClass type_class;
  uint32_t size;
  bool is_signed;
  DType dtype;
};
constexpr NumberType kNumberTypes[] = {
    {kFixedPoint, 1, true, DType::kInt8},      {kFixedPoint, 1, false, DType::kUint8},
    {kFixedPoint, 2, true, DType::kInt16},     {kFixedPoint, 2, false, DType::kUint16},
    {kFixedPoint, 4, true, DType::kInt32},     {kFixedPoint, 4, false, DType::kUint32},
    {kFixedPoint, 8, true, DType::kInt64},     {kFixedPoint, 8, false, DType::kUint64},
    {kFloatingPoint, 2, false, DType::kHalf},  {kFloatingPoint, 4, false, DType::kFloat},
    {kFloatingPoint, 8, false, DType::kDouble}};

// A float of 2 bytes is bfloat16 when its exponent has 8 bits.
Status check_float(ByteReader& properties, Datatype& type) {
  properties.skip(2);  // bit offset
  const auto precision = properties.read<uint16_t>();
  properties.skip(1);
  const auto exponent_size = properties.read<uint8_t>();
  if (!properties.ok()) return malformed("datatype");
  constexpr std::pair<DType, int> kExponents[] = {
      {DType::kHalf, 5}, {DType::kFloat, 8}, {DType::kDouble, 11}};
  if (type.dtype == DType::kHalf && exponent_size == 8) type.dtype = DType::kBfloat16;
  for (const auto& [dtype, bits] : kExponents) {
    if (type.dtype == dtype && exponent_size != bits) {
      return unimplemented("HDF5 floating-point type with an exponent of ", int{exponent_size},
                           " bits");
    }
  }
  if (precision != 8 * type.size) return unimplemented("padded HDF5 floating-point type");
  return absl::OkStatus();
}

Status parse_number(TypeClass type_class, uint32_t bits, ByteReader& properties, Datatype& type) {
  const bool is_signed = type_class == kFixedPoint && (bits & 8) != 0;
  for (const NumberType& row : kNumberTypes) {
    if (row.type_class == type_class && row.size == type.size && row.is_signed == is_signed) {
      type.dtype = row.dtype;
    }
  }
  type.big_endian = (bits & 1) != 0;
  if (type.dtype == DType::kInvalid) {
    return unimplemented("HDF5 numbers of ", type.size, " bytes");
  }
  return type_class == kFloatingPoint ? check_float(properties, type) : absl::OkStatus();
}

}  // namespace

StatusOr<Shape> parse_dataspace(std::string_view body) {
  ByteReader reader(body);
  const auto version = reader.read<uint8_t>();
  const int rank = reader.read<uint8_t>();
  reader.skip(1);  // flags
  const auto kind = reader.read<uint8_t>();
  if (version == 1) reader.skip(4);
  if (version != 1 && version != 2) return malformed("dataspace");
  constexpr int kHdf5MaxRank = 32, kNullSpace = 2;
  if (rank > kHdf5MaxRank) return malformed("dataspace");
  if (version == 2 && kind == kNullSpace) return Shape{0};
  std::vector<int64_t> dims;
  for (int axis = 0; axis < rank; ++axis) dims.push_back(reader.read<int64_t>());
  if (!reader.ok()) return malformed("dataspace");
  return Shape::make(dims, 16);
}

StatusOr<Datatype> parse_datatype(std::string_view body) {
  ByteReader reader(body);
  const auto class_and_version = reader.read<uint8_t>();
  const auto bits = static_cast<uint32_t>(reader.read_uint(3));
  Datatype type;
  type.size = reader.read<uint32_t>();
  if (!reader.ok() || type.size == 0) return malformed("datatype");
  const int type_class = class_and_version & 0x0f;
  if (type_class == kFixedPoint || type_class == kFloatingPoint) {
    TENON_RETURN_IF_ERROR(parse_number(static_cast<TypeClass>(type_class), bits, reader, type));
  } else if (type_class == kFixedString) {
    type.dtype = DType::kString;
    type.space_padded = (bits & 0x0f) == 2;
  } else if (type_class == kEnumeration && type.size == 1 && (bits & 0xffff) == 2) {
    type.dtype = DType::kBool;  // as h5py stores bool; two values of one byte
  } else if (type_class == kVariableLength && (bits & 0x0f) == 1 && type.size == 16) {
    type.dtype = DType::kString;
    type.variable = true;
  } else if (type_class == kOpaque) {
    type.opaque = true;
  } else {
    return unimplemented("HDF5 datatype of class ", type_class, " and ", type.size, " bytes");
  }
  return type;
}

StatusOr<Layout> parse_layout(std::string_view body) {
  ByteReader reader(body);
  const auto version = reader.read<uint8_t>();
  if (version != 3 && version != 4) {
    return unimplemented("HDF5 data layout of version ", int{version});
  }
  Layout layout;
  switch (reader.read<uint8_t>()) {
    case 0:
      layout.kind = Layout::Kind::kCompact;
      layout.compact = reader.read_bytes(reader.read<uint16_t>());
      break;
    case 1:
      layout.address = reader.read<uint64_t>();
      layout.size = reader.read<uint64_t>();
      break;
    case 2: {
      if (version != 3) return unimplemented("chunked HDF5 dataset with a version 4 index");
      layout.kind = Layout::Kind::kChunked;
      const int rank = reader.read<uint8_t>() - 1;  // the last one is the element's size
      layout.address = reader.read<uint64_t>();
      for (int axis = 0; axis < rank; ++axis) {
        layout.chunk.push_back(reader.read<uint32_t>());
        if (layout.chunk.back() == 0) return malformed("data layout");
      }
      break;
    }
    default:
      return unimplemented("virtual HDF5 datasets are refused");
  }
  if (!reader.ok()) return malformed("data layout");
  return layout;
}

StatusOr<std::vector<Filter>> parse_filters(std::string_view body) {
  ByteReader reader(body);
  const auto version = reader.read<uint8_t>();
  const int count = reader.read<uint8_t>();
  if (version != 1 && version != 2) return malformed("filter pipeline");
  if (version == 1) reader.skip(6);
  std::vector<Filter> filters;
  for (int i = 0; i < count; ++i) {
    const auto id = reader.read<uint16_t>();
    const uint64_t name_size = version == 1 || id >= 256 ? reader.read<uint16_t>() : 0;
    reader.skip(2);  // flags
    const uint64_t values = reader.read<uint16_t>();
    reader.skip(version == 1 ? padded(name_size) : name_size);
    reader.skip(4 * values + (version == 1 && values % 2 == 1 ? 4 : 0));
    if (!reader.ok()) return malformed("filter pipeline");
    if (id != Filter::kDeflate && id != Filter::kShuffle) {
      return unimplemented("HDF5 filter ", id, ", only gzip and shuffle are known");
    }
    filters.push_back({id});
  }
  return filters;
}

StatusOr<AttributeMessage> parse_attribute(std::string_view body) {
  ByteReader reader(body);
  const auto version = reader.read<uint8_t>();
  const auto flags = reader.read<uint8_t>();
  const uint64_t name_size = reader.read<uint16_t>();
  const uint64_t type_size = reader.read<uint16_t>();
  const uint64_t space_size = reader.read<uint16_t>();
  if (version < 1 || version > 3) return malformed("attribute");
  if (version > 1 && flags != 0) return unimplemented("HDF5 attribute of a shared type");
  if (version == 3) reader.skip(1);  // character set
  const auto take = [&](uint64_t size) {
    const std::string_view bytes = reader.read_bytes(size);
    if (version == 1) reader.skip(padded(size) - size);
    return bytes;
  };
  AttributeMessage attribute;
  attribute.name = take(name_size);
  attribute.name = attribute.name.substr(0, attribute.name.find('\0'));
  const std::string_view type = take(type_size);
  const std::string_view space = take(space_size);
  if (!reader.ok()) return malformed("attribute");
  TENON_ASSIGN_OR_RETURN(attribute.type, parse_datatype(type));
  TENON_ASSIGN_OR_RETURN(attribute.shape, parse_dataspace(space));
  attribute.data = reader.read_bytes(reader.remaining());
  return attribute;
}

StatusOr<Link> parse_link(std::string_view body) {
  ByteReader reader(body);
  const auto version = reader.read<uint8_t>();
  const auto flags = reader.read<uint8_t>();
  const uint8_t type = flags & 8 ? reader.read<uint8_t>() : 0;
  if (flags & 4) reader.skip(8);   // creation order
  if (flags & 16) reader.skip(1);  // character set
  const uint64_t name_size = reader.read_uint(size_t{1} << (flags & 3));
  Link link;
  link.name = reader.read_bytes(name_size);
  constexpr uint8_t kHardLink = 0;
  if (type == kHardLink) link.address = reader.read<uint64_t>();
  if (!reader.ok() || version != 1) return malformed("link");
  return link;
}

}  // namespace tenon::hdf5
