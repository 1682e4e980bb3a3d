// StringLower, StringUpper (ASCII, or all of Unicode by ICU), StringStrip.
#include <unicode/unistr.h>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"

namespace tenon {
namespace {

char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

template <char (*ascii)(char), icu::UnicodeString& (icu::UnicodeString::*unicode)()>
StatusOr<Kernel> make_letter_case(Prepare& p) {
  const std::string& encoding = p.attr<std::string>("encoding");
  if (encoding.empty()) {
    return Kernel([](KernelRun& r) {
      return map_strings(r, [](std::string_view text, std::string& out) {
        std::transform(text.begin(), text.end(), std::back_inserter(out), ascii);
        return absl::OkStatus();
      });
    });
  }
  if (encoding != "utf-8") {
    return invalid_argument("only utf-8 or '' (no encoding) is supported, received '", encoding,
                            "'");
  }
  return Kernel([](KernelRun& r) {
    return map_strings(r, [](std::string_view text, std::string& out) {
      auto characters = icu::UnicodeString::fromUTF8(
          icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
      (characters.*unicode)();
      characters.toUTF8String(out);
      return absl::OkStatus();
    });
  });
}

StatusOr<Kernel> make_string_strip(Prepare&) {
  return Kernel([](KernelRun& r) { return cut_strings(r, trim); });
}

constexpr OpDecl string_change(AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = "input: string",
      .outputs = "output: string",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(StringLower) = string_change("encoding: string = ''",
                                      make_letter_case<ascii_lower, &icu::UnicodeString::toLower>);
TENON_OP(StringUpper) = string_change("encoding: string = ''",
                                      make_letter_case<ascii_upper, &icu::UnicodeString::toUpper>);
TENON_OP(StringStrip) = string_change("", make_string_strip);

}  // namespace tenon
