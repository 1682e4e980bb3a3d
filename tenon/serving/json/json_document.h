// JsonDocument: a JSON text as a flat list of nodes in document order.
//
// What it accepts and the errors it gives are those of RapidJSON 1.1 with the flags of TensorFlow
// Serving (iterative, NaN and Inf, stop when done): NaN, Inf and Infinity are numbers, anything may
// follow the first value, bytes that are not UTF-8 pass through, a NUL byte ends the text.
// Differences: numbers are rounded correctly, no fraction or exponent may follow NaN and Infinity,
// and nesting beyond kMaxDepth is an error.
//
// Parsing and walking never recurse. Memory: 16 bytes a value, so at most 8 times the text.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

enum class JsonKind : uint8_t {
  kNull,
  kFalse,
  kTrue,
  kObject,
  kArray,
  kString,
  kUnsigned,  // an integer literal from 0 to 2^64-1; "-0" too, as in RapidJSON
  kNegative,  // an integer literal from -2^63 to -1
  kDouble,    // every other number
};

// One value. The members of an object follow it as key, value, key, value, ...; keys are strings.
struct JsonNode {
  JsonKind kind;
  uint32_t size;  // elements of an array, members of an object, bytes of a string
  union {
    uint64_t u;        // kUnsigned
    int64_t i;         // kNegative
    double d;          // kDouble
    const char* text;  // kString
    uint64_t span;     // kObject, kArray: nodes from this one to past its last descendant
  };

  bool is_array() const { return kind == JsonKind::kArray; }
  bool is_object() const { return kind == JsonKind::kObject; }
  bool is_string() const { return kind == JsonKind::kString; }
  bool is_number() const { return kind >= JsonKind::kUnsigned; }
  std::string_view string() const { return {text, size}; }
  double number() const {
    return kind == JsonKind::kDouble     ? d
           : kind == JsonKind::kUnsigned ? static_cast<double>(u)
                                         : static_cast<double>(i);
  }

  // The first element or key of a container, and the node after this whole value.
  const JsonNode* first() const { return this + 1; }
  const JsonNode* next() const { return is_array() || is_object() ? this + span : this + 1; }

  // The value of the first member of that name of an object; null when there is none.
  const JsonNode* find(std::string_view name) const;
};

class JsonDocument {
 public:
  static constexpr int kMaxDepth = 10000;

  // `text` must outlive the document: strings point into it.
  // INVALID_ARGUMENT "JSON Parse error: <RapidJSON's text> at offset: N".
  static StatusOr<JsonDocument> parse(std::string_view text);

  const JsonNode& root() const { return nodes_[0]; }

  // Values in the document: no tensor made from it can have more elements.
  size_t num_nodes() const { return nodes_.size(); }

 private:
  friend class JsonParser;
  std::vector<JsonNode> nodes_;
  std::deque<std::string> unescaped_;  // strings that held escapes
};

// What a request asks for: `root`'s "signature_name", empty where it has none. INVALID_ARGUMENT
// where `root` is no object, or that key no string.
StatusOr<std::string> json_signature_name(const JsonNode& root);

// "Null", "Array", ...: RapidJSON's names, which TensorFlow Serving prints in its errors.
std::string_view kind_name(JsonKind kind);

// The value on a single line, cut after about 256 bytes.
std::string to_string(const JsonNode& value);

}  // namespace tenon::serving
