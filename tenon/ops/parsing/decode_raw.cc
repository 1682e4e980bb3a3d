// DecodeRaw: the bytes of strings as numbers.
#include <bit>
#include <cstring>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// [strings.., numbers in a string].
Status decode_raw_shape(ShapeContext& c) {
  const PartialShape& input = c.input(0);
  if (!input.has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims(input.dims().begin(), input.dims().end());
  dims.push_back(-1);
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

void reverse_numbers(char* bytes, size_t count, size_t size) {
  for (size_t i = 0; i < count; ++i) std::reverse(bytes + i * size, bytes + (i + 1) * size);
}

StatusOr<Kernel> make_decode_raw(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  const bool swapped =
      p.attr<bool>("little_endian") != (std::endian::native == std::endian::little);
  // Both halves of a complex number are numbers of their own.
  const size_t unit = is_complex(dtype) ? size_of(dtype) / 2 : size_of(dtype);
  return Kernel([dtype, swapped, unit](KernelRun& r) -> Status {
    const auto texts = r.input(0).span<std::string_view>();
    const size_t length = texts.empty() ? 0 : texts[0].size();
    for (size_t i = 0; i < texts.size(); ++i) {
      if (texts[i].size() != length) {
        return invalid_argument(
            "DecodeRaw requires input strings to all be the same size, but "
            "element ",
            i, " has size ", texts[i].size(), " != ", length);
      }
    }
    if (length % size_of(dtype) != 0) {
      return invalid_argument("Input to DecodeRaw has length ", length,
                              " that is not a multiple of ", size_of(dtype), ", the size of ",
                              dtype);
    }
    Shape shape = r.input(0).shape();
    shape.append(static_cast<int64_t>(length / size_of(dtype)));
    TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    char* place = r.out<char>(0);
    for (std::string_view text : texts) {
      if (length > 0) std::memcpy(place, text.data(), length);
      if (swapped) reverse_numbers(place, length / unit, unit);
      place += length;
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(DecodeRaw) = {
    .inputs = "bytes: string",
    .outputs = "output: out_type",
    .attrs =
        "out_type: {floating, complex, int32, uint16, uint8, int16, int8, int64, bool}; "
        "little_endian: bool = true",
    .shape = decode_raw_shape,
    .gradient = not_differentiable,
    .kernels = {make_decode_raw},
};

}  // namespace tenon
