#include "tenon/serving/json/json_document.h"

#include <limits>

#include "tenon/serving/json/json_number.h"

namespace tenon::serving {

namespace {

constexpr const char* kDocumentEmpty = "The document is empty.";
constexpr const char* kWrongValue = "Invalid value.";
constexpr const char* kMissName = "Missing a name for object member.";
constexpr const char* kMissColon = "Missing a colon after a name of object member.";
constexpr const char* kMissCommaOrBrace = "Missing a comma or '}' after an object member.";
constexpr const char* kMissCommaOrBracket = "Missing a comma or ']' after an array element.";
constexpr const char* kBadHex = "Incorrect hex digit after \\u escape in string.";
constexpr const char* kBadSurrogate = "The surrogate pair in string is invalid.";
constexpr const char* kBadEscape = "Invalid escape character in string.";
constexpr const char* kMissQuote = "Missing a closing quotation mark in string.";

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code <= 0x7F) {
    put(code);
  } else if (code <= 0x7FF) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code <= 0xFFFF) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// Null for a character that may not follow a backslash.
char unescaped(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

}  // namespace

class JsonParser {
 public:
  JsonParser(std::string_view text, JsonDocument& document)
      : begin_(text.data()),
        p_(text.data()),
        end_(text.data() + text.size()),
        document_(document),
        nodes_(document.nodes_) {}

  Status run();

 private:
  char peek() const { return p_ < end_ ? *p_ : '\0'; }
  void skip_space() {
    while (p_ < end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) ++p_;
  }
  // False, with `message` to be reported at `where`.
  bool fail(const char* message, const char* where) {
    message_ = message;
    where_ = where;
    return false;
  }
  bool parse_root();
  bool open(JsonKind kind);
  void close();
  bool after_value(bool& done);
  bool parse_key();
  bool parse_scalar();
  bool parse_word(std::string_view word, JsonKind kind);
  bool parse_string();
  bool parse_escape(std::string& out);
  bool parse_hex(const char* escape, uint32_t& code);

  const char* const begin_;
  const char* p_;
  const char* const end_;
  JsonDocument& document_;
  std::vector<JsonNode>& nodes_;
  // The innermost open container; each open one holds the index of the one around it in `span`.
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();
  size_t open_ = kNone;
  int depth_ = 0;
  const char* message_ = nullptr;
  const char* where_ = nullptr;
};

Status JsonParser::run() {
  for (const char byte : {'\xEF', '\xBB', '\xBF'}) {
    if (peek() == byte) ++p_;
  }
  if (parse_root()) return absl::OkStatus();
  if (message_ == nullptr) {
    return invalid_argument("JSON Parse error: nesting deeper than ", JsonDocument::kMaxDepth,
                            " at offset: ", p_ - begin_);
  }
  return invalid_argument("JSON Parse error: ", message_, " at offset: ", where_ - begin_);
}

bool JsonParser::parse_root() {
  skip_space();
  const char first = peek();
  if (first == '\0' || first == ']' || first == '}' || first == ',' || first == ':') {
    return fail(kDocumentEmpty, p_);
  }
  // Each turn reads one value, or opens a container, at p_.
  for (bool done = false; !done;) {
    const char c = peek();
    if (c == '[' || c == '{') {
      if (!open(c == '[' ? JsonKind::kArray : JsonKind::kObject)) return false;
      skip_space();
      if (peek() == (c == '[' ? ']' : '}')) {
        ++p_;
        close();
      } else {
        if (c == '{' && !parse_key()) return false;
        continue;
      }
    } else if (!parse_scalar()) {
      return false;
    }
    if (!after_value(done)) return false;
  }
  return true;
}

bool JsonParser::open(JsonKind kind) {
  if (++depth_ > JsonDocument::kMaxDepth) return false;
  ++p_;
  JsonNode node{kind, 0, {}};
  node.span = open_;
  open_ = nodes_.size();
  nodes_.push_back(node);
  return true;
}

void JsonParser::close() {
  JsonNode& node = nodes_[open_];
  const size_t outer = node.span;
  node.span = nodes_.size() - open_;
  open_ = outer;
  --depth_;
}

// A value has ended: closes what ends with it and goes to the next value; `done` after the root.
bool JsonParser::after_value(bool& done) {
  for (;;) {
    if (open_ == kNone) {
      done = true;
      return true;
    }
    JsonNode& container = nodes_[open_];
    const bool is_array = container.is_array();
    ++container.size;
    skip_space();
    const char c = peek();
    if (c == ',') {
      ++p_;
      skip_space();
      return is_array || parse_key();
    }
    if (c != (is_array ? ']' : '}')) {
      return fail(is_array ? kMissCommaOrBracket : kMissCommaOrBrace, p_);
    }
    ++p_;
    close();
  }
}

bool JsonParser::parse_key() {
  if (peek() != '"') return fail(kMissName, p_);
  if (!parse_string()) return false;
  skip_space();
  if (peek() != ':') return fail(kMissColon, p_);
  ++p_;
  skip_space();
  return true;
}

bool JsonParser::parse_scalar() {
  switch (peek()) {
    case '"':
      return parse_string();
    case 'n':
      return parse_word("null", JsonKind::kNull);
    case 't':
      return parse_word("true", JsonKind::kTrue);
    case 'f':
      return parse_word("false", JsonKind::kFalse);
    default:
      JsonNode node{JsonKind::kNull, 0, {}};
      const JsonNumberResult number = read_json_number(p_, end_, node);
      if (number.message) return fail(number.message, number.end);
      p_ = number.end;
      nodes_.push_back(node);
      return true;
  }
}

bool JsonParser::parse_word(std::string_view word, JsonKind kind) {
  for (const char c : word) {
    if (peek() != c) return fail(kWrongValue, p_);
    ++p_;
  }
  nodes_.push_back({kind, 0, {}});
  return true;
}

bool JsonParser::parse_string() {
  const char* const start = ++p_;
  std::string* copy = nullptr;  // holds the string from its first escape on
  const char* plain = start;    // what is not yet in the copy
  for (;;) {
    while (p_ < end_ && *p_ != '"' && *p_ != '\\' && static_cast<unsigned char>(*p_) >= 0x20) ++p_;
    const char c = peek();
    if (c == '"') break;
    if (c == '\0') return fail(kMissQuote, p_);
    if (c != '\\') return fail(kBadEscape, p_);
    if (copy == nullptr) copy = &document_.unescaped_.emplace_back();
    copy->append(plain, p_);
    if (!parse_escape(*copy)) return false;
    plain = p_;
  }
  std::string_view value(start, static_cast<size_t>(p_ - start));
  if (copy != nullptr) value = copy->append(plain, p_);
  ++p_;
  if (value.size() > std::numeric_limits<uint32_t>::max()) return fail(kWrongValue, start);
  JsonNode node{JsonKind::kString, static_cast<uint32_t>(value.size()), {}};
  node.text = value.data();
  nodes_.push_back(node);
  return true;
}

bool JsonParser::parse_escape(std::string& out) {
  const char* const escape = p_++;
  const char c = peek();
  if (const char plain = unescaped(c); plain != '\0') {
    ++p_;
    out += plain;
    return true;
  }
  if (c != 'u') return fail(kBadEscape, escape);
  ++p_;
  uint32_t code = 0;
  if (!parse_hex(escape, code)) return false;
  if (code >= 0xD800 && code <= 0xDBFF) {
    for (const char expected : {'\\', 'u'}) {
      if (peek() != expected) return fail(kBadSurrogate, escape);
      ++p_;
    }
    uint32_t low = 0;
    if (!parse_hex(escape, low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return fail(kBadSurrogate, escape);
    code = (((code - 0xD800) << 10) | (low - 0xDC00)) + 0x10000;
  }
  append_utf8(out, code);
  return true;
}

bool JsonParser::parse_hex(const char* escape, uint32_t& code) {
  for (int i = 0; i < 4; ++i, ++p_) {
    const char c = peek();
    uint32_t digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint32_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<uint32_t>(c - 'A' + 10);
    } else {
      return fail(kBadHex, escape);
    }
    code = code << 4 | digit;
  }
  return true;
}

StatusOr<JsonDocument> JsonDocument::parse(std::string_view text) {
  if (text.empty()) return invalid_argument("JSON Parse error: ", "The document is empty");
  constexpr size_t kBytesPerValue = 8;  // a guess; the vector grows where values are shorter
  JsonDocument document;
  document.nodes_.reserve(text.size() / kBytesPerValue + 16);
  TENON_RETURN_IF_ERROR(JsonParser(text, document).run());
  return document;
}

const JsonNode* JsonNode::find(std::string_view name) const {
  const JsonNode* key = first();
  for (uint32_t i = 0; i < size; ++i) {
    if (key->string() == name) return key + 1;
    key = (key + 1)->next();
  }
  return nullptr;
}

}  // namespace tenon::serving
