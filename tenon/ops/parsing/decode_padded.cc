// DecodePaddedRaw (the bytes of strings of different lengths as numbers), DecodeCompressed,
// Fingerprint.
#include <bit>
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/io/gzip.h"
#include "tenon/ops/string/fingerprint.h"

namespace tenon {
namespace {

// What a compressed string may become.
constexpr uint64_t kMostInflated = uint64_t{1} << 32;

// Of one string: numbers in `fixed_length` bytes.
StatusOr<int64_t> padded_numbers(const Tensor& fixed_length, DType dtype) {
  const int64_t length = integer_at(fixed_length, 0);
  const auto size = static_cast<int64_t>(size_of(dtype));
  if (length <= 0) {
    return invalid_argument("`fixed_length` (", length, ") must be greater than zero.");
  }
  if (length % size != 0) {
    return invalid_argument("`fixed_length` (", length, ") must be a multiple of the size of ",
                            dtype, " (", size, ")");
  }
  return length / size;
}

Status decode_padded_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  int64_t numbers = -1;
  if (const Tensor* length = c.constant(1)) {
    TENON_ASSIGN_OR_RETURN(numbers, padded_numbers(*length, c.attr<DType>("out_type")));
  }
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims(input.dims().begin(), input.dims().end());
  dims.push_back(numbers);
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_decode_padded(Prepare& p) {
  const size_t size = size_of(p.output_dtype(0));
  TENON_ASSIGN_OR_RETURN(const int64_t numbers, padded_numbers(*p.constant(1), p.output_dtype(0)));
  const bool swapped =
      p.attr<bool>("little_endian") != (std::endian::native == std::endian::little);
  return Kernel([size, length = static_cast<size_t>(numbers) * size, swapped](KernelRun& r) {
    char* place = r.out<char>(0);
    for (std::string_view text : r.input(0).span<std::string_view>()) {
      const size_t held = std::min(text.size(), length);
      if (held > 0) std::memcpy(place, text.data(), held);
      std::memset(place + held, 0, length - held);
      if (swapped) {
        for (size_t i = 0; i < length; i += size) std::reverse(place + i, place + i + size);
      }
      place += length;
    }
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_decode_compressed(Prepare& p) {
  const auto& kind = p.attr<std::string>("compression_type");
  if (kind != "" && kind != "ZLIB" && kind != "GZIP") {
    return invalid_argument("Only ZLIB, GZIP or NONE are supported compressions, not '", kind, "'");
  }
  return Kernel([kind, where = std::string(p.node_name())](KernelRun& r) -> Status {
    StringTensorBuilder texts(r.input(0).shape());
    int64_t i = 0;
    for (std::string_view bytes : r.input(0).span<std::string_view>()) {
      if (kind.empty()) {
        texts.set(i++, bytes);
        continue;
      }
      TENON_ASSIGN_OR_RETURN(
          const std::string text,
          inflate(bytes, kind == "ZLIB" ? DeflateFormat::kZlib : DeflateFormat::kGzip,
                  kMostInflated, where));
      texts.set(i++, text);
    }
    r.set_output(0, std::move(texts).build());
    return absl::OkStatus();
  });
}

Status fingerprint_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  c.set_output(0, {c.input(0).has_rank() ? c.input(0)[0] : -1, 8});
  return absl::OkStatus();
}

// Of the bytes of each row; of several strings, of their fingerprints.
StatusOr<Kernel> make_fingerprint(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  if (dtype != DType::kString && is_object(dtype)) {
    return unimplemented("Fingerprint has no kernel for dtype ", dtype);
  }
  const Shape& shape = p.input_shape(0);
  const int64_t rows = shape[0], width = shape.product(1, shape.rank());
  return Kernel([=](KernelRun& r) -> Status {
    const std::string_view method = *r.in<std::string_view>(1);
    if (method != "farmhash64") return invalid_argument("Unsupported fingerprint method: ", method);
    const size_t bytes = static_cast<size_t>(width) * size_of(dtype);
    std::vector<uint64_t> of_texts(static_cast<size_t>(rows > 0 ? width : 0));
    for (int64_t row = 0; row < rows; ++row) {
      std::string_view content;
      if (dtype != DType::kString) {
        content = {r.in<char>(0) + static_cast<size_t>(row) * bytes, bytes};
      } else if (width == 1) {
        content = r.in<std::string_view>(0)[row];
      } else {
        std::transform(r.in<std::string_view>(0) + row * width,
                       r.in<std::string_view>(0) + (row + 1) * width, of_texts.begin(),
                       farm_fingerprint);
        content = {reinterpret_cast<const char*>(of_texts.data()), of_texts.size() * 8};
      }
      const uint64_t hash = farm_fingerprint(content);
      for (int i = 0; i < 8; ++i) {
        r.out<uint8_t>(0)[row * 8 + i] = static_cast<uint8_t>(hash >> (8 * i));
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(DecodePaddedRaw) = {
    .inputs = "input_bytes: string, fixed_length: int32",
    .outputs = "output: out_type",
    .attrs =
        "out_type: {floating, int32, uint16, uint8, int16, int8, int64}; "
        "little_endian: bool = true",
    .host_inputs = {1},
    .shape = decode_padded_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_decode_padded},
};
TENON_OP(DecodeCompressed) = {
    .inputs = "bytes: string",
    .outputs = "output: string",
    .attrs = "compression_type: string = ''",
    .supplies_outputs = true,
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_decode_compressed},
};
TENON_OP(Fingerprint) = {
    .inputs = "data: T, method: string",
    .outputs = "fingerprint: uint8",
    .attrs = "T: type",
    .shape = fingerprint_shape,
    .gradient = not_differentiable,
    .kernels = {make_fingerprint},
};

}  // namespace tenon
