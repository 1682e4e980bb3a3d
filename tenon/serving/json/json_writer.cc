#include "tenon/serving/json/json_writer.h"

namespace tenon::serving {
namespace {

// The letter after the backslash; null for characters that stand for themselves, 'u' for \u00XX.
char escape_letter(unsigned char c) {
  switch (c) {
    case '"':
    case '\\':
      return static_cast<char>(c);
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return c < 0x20 ? 'u' : '\0';
  }
}

}  // namespace

void JsonWriter::prefix_on_new_line(Level& level) {
  const bool before_value = !level.is_array && level.count % 2 == 1;
  if (before_value) {
    out_ += ": ";
  } else {
    if (level.count > 0) out_ += ',';
    new_line();
  }
  ++level.count;
}

void JsonWriter::close(char bracket, bool on_new_line) {
  const bool empty = levels_.back().count == 0;
  levels_.pop_back();
  if (!empty && on_new_line) new_line();
  out_ += bracket;
}

void JsonWriter::string(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  prefix();
  out_ += '"';
  size_t plain = 0;  // start of what is not yet written
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const char letter = escape_letter(c);
    if (letter == '\0') continue;
    out_.append(text, plain, i - plain);
    plain = i + 1;
    out_ += '\\';
    out_ += letter;
    if (letter == 'u') {
      out_ += "00";
      out_ += kHex[c >> 4];
      out_ += kHex[c & 15];
    }
  }
  out_.append(text, plain, text.size() - plain);
  out_ += '"';
}

}  // namespace tenon::serving
