// EncodeBase64 and DecodeBase64: RFC 4648's alphabet for URLs and file names.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"

namespace tenon {
namespace {

constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void encode_base64(std::string_view bytes, bool pad, std::string& out) {
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) {
      word = word << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0);
    }
    for (size_t j = 0; j <= count; ++j) out += kBase64Alphabet[(word >> (18 - 6 * j)) & 63];
    if (pad) out.append(3 - count, '=');
  }
}

Status decode_base64(std::string_view text, std::string& out) {
  // Padding is optional, and only up to a multiple of four.
  std::string_view digits = text;
  if (text.size() % 4 == 0) {
    for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  }
  if (digits.size() % 4 == 1) {
    return invalid_argument("Base64 string length (", text.size(),
                            ") cannot be 4n + 1: no bytes are encoded so");
  }
  uint32_t word = 0;
  int bits = 0;
  for (char c : digits) {
    const size_t value = kBase64Alphabet.find(c);
    if (value == std::string_view::npos) {
      return invalid_argument("Invalid character found in base64.");
    }
    word = (word << 6 | static_cast<uint32_t>(value)) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out += static_cast<char>(word >> bits);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_encode_base64(Prepare& p) {
  return Kernel([pad = p.attr<bool>("pad")](KernelRun& r) {
    return map_strings(r, [pad](std::string_view bytes, std::string& out) {
      encode_base64(bytes, pad, out);
      return absl::OkStatus();
    });
  });
}

StatusOr<Kernel> make_decode_base64(Prepare&) {
  return Kernel([](KernelRun& r) { return map_strings(r, decode_base64); });
}

}  // namespace

TENON_OP(EncodeBase64) = {
    .inputs = "input: string",
    .outputs = "output: string",
    .attrs = "pad: bool = false",
    .supplies_outputs = true,
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_encode_base64},
};

TENON_OP(DecodeBase64) = {
    .inputs = "input: string",
    .outputs = "output: string",
    .supplies_outputs = true,
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_decode_base64},
};

}  // namespace tenon
