#include "tenon/ops/string/unicode.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_err.h>

namespace tenon {
namespace {

// ICU's own substitution goes on with the text; the flag remembers that something was wrong.
void note_malformed(const void* context, UConverterToUnicodeArgs* args, const char* units,
                    int32_t length, UConverterCallbackReason reason, UErrorCode* code) {
  if (reason == UCNV_UNASSIGNED || reason == UCNV_ILLEGAL || reason == UCNV_IRREGULAR) {
    *static_cast<bool*>(const_cast<void*>(context)) = true;
  }
  UCNV_TO_U_CALLBACK_SUBSTITUTE(nullptr, args, units, length, reason, code);
}

}  // namespace

bool is_character(int32_t value) {
  return value >= 0 && value < 0x110000 && (value < 0xD800 || value > 0xDFFF);
}

StatusOr<UnicodeErrors> unicode_errors(const AttrMap& attrs) {
  UnicodeErrors errors;
  const std::string& policy = attrs.get<std::string>("errors");
  if (policy == "strict") errors.policy = UnicodeErrors::Policy::kStrict;
  if (policy == "ignore") errors.policy = UnicodeErrors::Policy::kIgnore;
  const auto replacement = attrs.get<int64_t>("replacement_char");
  if (replacement < 0 || replacement >= 0x110000 ||
      !is_character(static_cast<int32_t>(replacement))) {
    return invalid_argument("replacement_char ", replacement,
                            " out of unicode codepoint range (0 to 0x10FFFF)");
  }
  errors.replacement = static_cast<int32_t>(replacement);
  const bool* control = attrs.get_if<bool>("replace_control_characters");
  errors.replace_control_characters = control && *control;
  return errors;
}

void UnicodeReader::Close::operator()(UConverter* converter) const { ucnv_close(converter); }
UnicodeReader::UnicodeReader(UConverter* converter, const UnicodeErrors& errors)
    : converter_(converter), errors_(errors) {}
UnicodeReader::UnicodeReader(UnicodeReader&&) noexcept = default;
UnicodeReader::~UnicodeReader() = default;

StatusOr<UnicodeReader> UnicodeReader::open(const std::string& encoding,
                                            const UnicodeErrors& errors) {
  UErrorCode code = U_ZERO_ERROR;
  UConverter* converter = ucnv_open(encoding.c_str(), &code);
  if (U_FAILURE(code)) {
    return invalid_argument("Could not create converter for input encoding: ", encoding);
  }
  return UnicodeReader(converter, errors);
}

Status UnicodeReader::read(std::string_view text, FunctionRef<void(int32_t, int64_t)> put) {
  bool malformed = false;
  UErrorCode code = U_ZERO_ERROR;
  ucnv_reset(converter_.get());
  ucnv_setToUCallBack(converter_.get(), note_malformed, &malformed, nullptr, nullptr, &code);
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const int64_t offset = at - text.data();
    code = U_ZERO_ERROR;
    int32_t character = ucnv_getNextUChar(converter_.get(), &at, end, &code);
    if (U_FAILURE(code)) {
      // Nothing but a mark of the byte order, or text that ends within a character.
      if (code == U_INDEX_OUTOFBOUNDS_ERROR) break;
      malformed = true;
      character = errors_.replacement;
      at = end;
    }
    const bool control = errors_.replace_control_characters && character <= 0x1F;
    if (malformed || control) {
      if (malformed && errors_.policy == UnicodeErrors::Policy::kStrict) {
        return invalid_argument("Invalid formatting on input string");
      }
      malformed = false;
      if (errors_.policy == UnicodeErrors::Policy::kIgnore) continue;
      character = errors_.replacement;
    }
    put(character, offset);
  }
  return absl::OkStatus();
}

UnicodeEncoding unicode_encoding(std::string_view name) {
  if (name == "UTF-16-BE") return UnicodeEncoding::kUtf16Be;
  if (name == "UTF-32-BE") return UnicodeEncoding::kUtf32Be;
  return UnicodeEncoding::kUtf8;
}

void append_character(UnicodeEncoding encoding, int32_t character, std::string& out) {
  const auto c = static_cast<uint32_t>(character);
  const auto bytes = [&](std::initializer_list<uint32_t> values) {
    for (uint32_t value : values) out += static_cast<char>(value);
  };
  if (encoding == UnicodeEncoding::kUtf32Be) {
    bytes({c >> 24, c >> 16 & 0xFF, c >> 8 & 0xFF, c & 0xFF});
  } else if (encoding == UnicodeEncoding::kUtf16Be) {
    if (c < 0x10000) return bytes({c >> 8, c & 0xFF});
    const uint32_t high = 0xD800 + ((c - 0x10000) >> 10), low = 0xDC00 + ((c - 0x10000) & 0x3FF);
    bytes({high >> 8, high & 0xFF, low >> 8, low & 0xFF});
  } else if (c < 0x80) {
    bytes({c});
  } else if (c < 0x800) {
    bytes({0xC0 | c >> 6, 0x80 | (c & 0x3F)});
  } else if (c < 0x10000) {
    bytes({0xE0 | c >> 12, 0x80 | (c >> 6 & 0x3F), 0x80 | (c & 0x3F)});
  } else {
    bytes({0xF0 | c >> 18, 0x80 | (c >> 12 & 0x3F), 0x80 | (c >> 6 & 0x3F), 0x80 | (c & 0x3F)});
  }
}

}  // namespace tenon
