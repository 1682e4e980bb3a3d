// Text in many encodings, by ICU.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tenon/base/function_ref.h"
#include "tenon/base/status.h"
#include "tenon/core/attributes.h"

struct UConverter;

namespace tenon {

// What to do about bytes that are no characters, from the ops' attributes.
struct UnicodeErrors {
  enum class Policy : uint8_t { kStrict, kReplace, kIgnore } policy = Policy::kReplace;
  int32_t replacement = 0xFFFD;
  bool replace_control_characters = false;
};
// INVALID_ARGUMENT when the replacement is no character.
StatusOr<UnicodeErrors> unicode_errors(const AttrMap& attrs);

// Reads one encoding. Not thread-safe.
class UnicodeReader {
 public:
  // INVALID_ARGUMENT when ICU does not know the encoding.
  static StatusOr<UnicodeReader> open(const std::string& encoding, const UnicodeErrors& errors);
  UnicodeReader(UnicodeReader&&) noexcept;
  ~UnicodeReader();

  // Calls `put(character, offset in bytes)` in order. INVALID_ARGUMENT under kStrict.
  Status read(std::string_view text, FunctionRef<void(int32_t, int64_t)> put);

 private:
  struct Close {
    void operator()(UConverter* converter) const;
  };
  UnicodeReader(UConverter* converter, const UnicodeErrors& errors);
  std::unique_ptr<UConverter, Close> converter_;
  UnicodeErrors errors_;
};

enum class UnicodeEncoding : uint8_t { kUtf8, kUtf16Be, kUtf32Be };
UnicodeEncoding unicode_encoding(std::string_view name);

// Appends a character that is one: below 0x110000 and no surrogate.
void append_character(UnicodeEncoding encoding, int32_t character, std::string& out);
bool is_character(int32_t value);

}  // namespace tenon
