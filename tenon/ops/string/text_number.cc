#include "tenon/ops/string/text_number.h"

#include <fast_float/fast_float.h>

#include <charconv>

#include "tenon/base/strings.h"

namespace tenon {

template <class T>
bool read_text_number(std::string_view text, T& value) {
  text = trim(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  // One sign only.
  if (text.empty() || text[0] == '-' || text[0] == '+') return false;
  const char* end = text.data() + text.size();
  if constexpr (std::is_floating_point_v<T>) {
    if (text.starts_with("0x") || text.starts_with("0X")) {
      const auto result = std::from_chars(text.data() + 2, end, value, std::chars_format::hex);
      if (text.substr(2).starts_with('-') || result.ec != std::errc() || result.ptr != end) {
        return false;
      }
    } else {
      const auto result = fast_float::from_chars(text.data(), end, value);
      if (result.ec == std::errc::invalid_argument || result.ptr != end) return false;
    }
    if (negative) value = -value;
    return true;
  } else {
    if (negative && std::is_unsigned_v<T>) return false;
    if (negative) text = {text.data() - 1, text.size() + 1};
    const auto result = std::from_chars(text.data(), end, value);
    return result.ec == std::errc() && result.ptr == end;
  }
}

template bool read_text_number(std::string_view, float&);
template bool read_text_number(std::string_view, double&);
template bool read_text_number(std::string_view, int32_t&);
template bool read_text_number(std::string_view, int64_t&);
template bool read_text_number(std::string_view, uint32_t&);
template bool read_text_number(std::string_view, uint64_t&);

}  // namespace tenon
