#include "tenon/io/npy.h"

#include "tenon/base/files.h"
#include "tenon/io/bytes.h"

namespace tenon {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";

struct NpyHeader {
  char byte_order = '|';
  char kind = 0;      // 'f', 'i', 'S', ...
  int64_t width = 0;  // bytes an element; characters for 'U'
  bool fortran = false;
  Shape shape;
};

// The text of `key`'s value in the header's Python dictionary; empty when there is none.
std::string_view header_value(std::string_view header, std::string_view key) {
  const size_t at = header.find(cat("'", key, "'"));
  if (at == std::string_view::npos) return {};
  const size_t colon = header.find(':', at);
  return colon == std::string_view::npos ? "" : trim(header.substr(colon + 1));
}

StatusOr<Shape> parse_npy_shape(std::string_view text, std::string_view where) {
  const size_t end = text.find(')');
  std::vector<int64_t> dims;
  if (text.starts_with('(') && end != std::string_view::npos) {
    for (std::string_view piece : split(text.substr(1, end - 1), ',')) {
      piece = trim(piece);
      if (piece.empty()) continue;
      dims.emplace_back();
      if (!parse_number(piece, dims.back())) {
        return invalid_argument(where, ": '", piece, "' is no dimension");
      }
    }
    return Shape::make(dims, 16);
  }
  return invalid_argument(where, ": the .npy header has no shape");
}

StatusOr<NpyHeader> parse_npy_header(std::string_view text, std::string_view where) {
  NpyHeader header;
  TENON_ASSIGN_OR_RETURN(header.shape, parse_npy_shape(header_value(text, "shape"), where));
  header.fortran = header_value(text, "fortran_order").starts_with("True");
  std::string_view descr = header_value(text, "descr");
  const size_t end = descr.size() > 1 ? descr.find('\'', 1) : std::string_view::npos;
  if (descr.starts_with("'|O'")) {
    return invalid_argument(where,
                            ": arrays of Python objects cannot be read; convert the array "
                            "to numbers or texts by astype before it is saved");
  }
  if (!descr.starts_with('\'') || end == std::string_view::npos || end < 4) {
    return invalid_argument(where, ": the .npy header has no plain descr");
  }
  descr = descr.substr(1, end - 1);
  header.byte_order = descr[0];
  header.kind = descr[1];
  if (!parse_number(descr.substr(2), header.width) || header.width < 0 ||
      header.width > (int64_t{1} << 32)) {
    return invalid_argument(where, ": arrays of type '", descr, "' cannot be read");
  }
  return header;
}

// The dtype of numbers whose descr ends as `header` says.
DType npy_dtype(const NpyHeader& header) {
  const std::string tail = cat(header.kind, header.width);
  for (int value = 0; value < 64; ++value) {
    const auto dtype = dtype_from_enum(value);
    if (dtype && info(*dtype).numpy.size() > 1 && info(*dtype).numpy.substr(1) == tail) {
      return *dtype;
    }
  }
  return DType::kInvalid;
}

void append_utf8(std::string& out, uint32_t point) {
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) point = 0xfffd;
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += {static_cast<char>(0xc0 | (point >> 6)), static_cast<char>(0x80 | (point & 0x3f))};
  } else if (point < 0x10000) {
    out +=
        {static_cast<char>(0xe0 | (point >> 12)), static_cast<char>(0x80 | ((point >> 6) & 0x3f)),
         static_cast<char>(0x80 | (point & 0x3f))};
  } else {
    out +=
        {static_cast<char>(0xf0 | (point >> 18)), static_cast<char>(0x80 | ((point >> 12) & 0x3f)),
         static_cast<char>(0x80 | ((point >> 6) & 0x3f)), static_cast<char>(0x80 | (point & 0x3f))};
  }
}

std::string text_element(const NpyHeader& header, std::string_view bytes) {
  std::string text;
  if (header.kind == 'S') {
    text = bytes;
  } else {
    for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
      auto point = load_le<uint32_t>(bytes.data() + i);
      append_utf8(text, header.byte_order == '>' ? __builtin_bswap32(point) : point);
    }
  }
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

// Calls `place(index in C order, offset of the element in the file)` for every element.
template <class Place>
void for_each_element(const NpyHeader& header, Place place) {
  const int64_t count = header.shape.num_elements();
  const int rank = header.shape.rank();
  Dims position(static_cast<size_t>(rank), 0);
  for (int64_t at = 0; at < count; ++at) {
    int64_t index = at;
    if (header.fortran) {
      index = 0;
      for (int axis = 0; axis < rank; ++axis) {
        index = index * header.shape[axis] + position[static_cast<size_t>(axis)];
      }
      for (int axis = 0; axis < rank && ++position[static_cast<size_t>(axis)] == header.shape[axis];
           ++axis) {
        position[static_cast<size_t>(axis)] = 0;
      }
    }
    place(index, at);
  }
}

StatusOr<Tensor> decode_numbers(const NpyHeader& header, DType dtype, std::string_view bytes) {
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, header.shape));
  char* out = static_cast<char*>(tensor.mutable_raw());
  const size_t size = size_of(dtype);
  if (header.fortran && header.shape.rank() > 1) {
    for_each_element(header, [&](int64_t index, int64_t at) {
      std::memcpy(out + static_cast<size_t>(index) * size,
                  bytes.data() + static_cast<size_t>(at) * size, size);
    });
  } else if (!bytes.empty()) {
    std::memcpy(out, bytes.data(), bytes.size());
  }
  const size_t unit = is_complex(dtype) ? size / 2 : size;
  if (header.byte_order == '>' && unit > 1) {
    for (size_t i = 0; i < bytes.size(); i += unit) std::reverse(out + i, out + i + unit);
  }
  if (dtype == DType::kBool) {  // any byte is true in NumPy, only 0 and 1 in C++
    for (size_t i = 0; i < bytes.size(); ++i) out[i] = out[i] != 0;
  }
  return tensor;
}

std::string npy_header(std::string_view descr, const Shape& shape) {
  std::string text = cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (",
                         join(shape.dims(), ", "), shape.rank() == 1 ? ",), }" : "), }");
  constexpr size_t kPrefix = 10, kUnit = 64;
  text.append((2 * kUnit - 1 - (kPrefix + text.size()) % kUnit) % kUnit, ' ');
  text += '\n';
  std::string out(kNpyMagic);
  out += {'\x01', '\x00'};
  append_le(out, static_cast<uint16_t>(text.size()));
  return out + text;
}

std::string encode_text(const Tensor& tensor) {
  size_t width = 1;  // NumPy has no 'S0' arrays
  for (const std::string_view text : tensor.span<std::string_view>()) {
    width = std::max(width, text.size());
  }
  std::string out = npy_header(cat("|S", width), tensor.shape());
  for (const std::string_view text : tensor.span<std::string_view>()) {
    out += text;
    out.append(width - text.size(), '\0');
  }
  return out;
}

}  // namespace

StatusOr<Tensor> decode_npy(std::string_view bytes, std::string_view where) {
  ByteReader reader(bytes);
  if (reader.read_bytes(kNpyMagic.size()) != kNpyMagic) {
    return invalid_argument(where, " is no .npy array");
  }
  const auto version = reader.read<uint8_t>();
  reader.skip(1);
  const uint64_t header_size = version == 1 ? reader.read<uint16_t>() : reader.read<uint32_t>();
  const std::string_view text = reader.read_bytes(header_size);
  if (!reader.ok() || version < 1 || version > 3) {
    return invalid_argument(where, ": the .npy header is broken");
  }
  TENON_ASSIGN_OR_RETURN(const NpyHeader header, parse_npy_header(text, where));
  const bool is_text = header.kind == 'S' || header.kind == 'U';
  const DType dtype = is_text ? DType::kString : npy_dtype(header);
  if (dtype == DType::kInvalid) {
    return invalid_argument(where, ": arrays of NumPy type '", header.kind, header.width,
                            "' cannot be read");
  }
  const int64_t element = header.kind == 'U' ? header.width * 4 : header.width;
  int64_t needed = 0;
  if (__builtin_mul_overflow(header.shape.num_elements(), element, &needed) ||
      reader.remaining() != static_cast<uint64_t>(needed)) {
    return data_loss(where, ": ", reader.remaining(), " bytes of elements, shape ", header.shape,
                     " needs ", header.shape.num_elements(), " of ", element, " bytes");
  }
  const std::string_view elements = reader.read_bytes(reader.remaining());
  if (!is_text) return decode_numbers(header, dtype, elements);
  if (element == 0 && header.shape.num_elements() > 0) {
    return invalid_argument(where, ": strings of no width cannot be read");
  }
  StringTensorBuilder builder(header.shape);
  for_each_element(header, [&](int64_t index, int64_t at) {
    builder.set(index, text_element(header, elements.substr(static_cast<size_t>(at * element),
                                                            static_cast<size_t>(element))));
  });
  return std::move(builder).build();
}

StatusOr<std::string> encode_npy(const Tensor& tensor) {
  if (tensor.dtype() == DType::kString) return encode_text(tensor);
  const std::string_view descr =
      tensor.dtype() == DType::kBfloat16 ? "<u2" : info(tensor.dtype()).numpy;
  if (descr.empty()) {
    return unimplemented("NumPy has no type for tensors of type ", tensor.dtype());
  }
  std::string out = npy_header(descr, tensor.shape());
  out.append(static_cast<const char*>(tensor.raw()), tensor.num_bytes());
  return out;
}

StatusOr<Tensor> read_npy(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  return decode_npy(bytes, cat("'", path, "'"));
}

Status write_npy(const std::string& path, const Tensor& tensor) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes, encode_npy(tensor));
  return write_file(path, bytes);
}

StatusOr<NpzReader> NpzReader::open(const std::string& path) {
  NpzReader reader;
  reader.path_ = path;
  TENON_ASSIGN_OR_RETURN(reader.zip_, ZipReader::open(path));
  for (const ZipEntry& entry : reader.zip_->entries()) {
    if (!entry.name.ends_with(".npy")) continue;
    reader.names_.push_back(entry.name.substr(0, entry.name.size() - 4));
  }
  return reader;
}

StatusOr<Tensor> NpzReader::read(std::string_view name) const {
  const std::string member = cat(name, ".npy");
  if (!zip_->find(member)) {
    return not_found("'", path_, "' has no array '", name, "', it has: ", join(names_, ", "));
  }
  TENON_ASSIGN_OR_RETURN(const std::string bytes, zip_->read(member));
  return decode_npy(bytes, cat("'", path_, "', array '", name, "'"));
}

Status write_npz(const std::string& path, std::span<const std::pair<std::string, Tensor>> arrays,
                 bool compressed) {
  TENON_ASSIGN_OR_RETURN(auto zip, ZipWriter::create(path));
  for (const auto& [name, tensor] : arrays) {
    TENON_ASSIGN_OR_RETURN(const std::string bytes, encode_npy(tensor));
    TENON_RETURN_IF_ERROR(zip->add(name + ".npy", bytes, compressed));
  }
  return zip->finish();
}

}  // namespace tenon
