#include <limits>

#include "tenon/base/log.h"
#include "tenon/serving/json/json_document.h"
#include "tenon/serving/json/json_number.h"

namespace tenon::serving {
namespace {

constexpr size_t kPrintedBytes = 256;

void append_scalar(std::string& out, const JsonNode& node) {
  switch (node.kind) {
    case JsonKind::kNull:
      out += "null";
      return;
    case JsonKind::kFalse:
      out += "false";
      return;
    case JsonKind::kTrue:
      out += "true";
      return;
    case JsonKind::kString:
      out += cat("\"", json_escape(node.string().substr(0, kPrintedBytes)), "\"");
      return;
    case JsonKind::kUnsigned:
      out += cat(node.u);
      return;
    case JsonKind::kNegative:
      out += cat(node.i);
      return;
    case JsonKind::kDouble:
      // As TensorFlow Serving: by way of float where the value is in its range.
      if (std::abs(node.d) <= std::numeric_limits<float>::max()) {
        append_json_number(out, static_cast<float>(node.d));
      } else {
        append_json_number(out, node.d);
      }
      return;
    case JsonKind::kObject:
    case JsonKind::kArray:
      return;  // containers are printed by their brackets
  }
}

struct OpenContainer {
  uint32_t left;  // nodes still to be printed: elements, or keys and values
  bool is_object;
};

}  // namespace

std::string_view kind_name(JsonKind kind) {
  constexpr std::string_view kNames[] = {"Null",   "False",  "True",   "Object", "Array",
                                         "String", "Number", "Number", "Number"};
  return kNames[static_cast<size_t>(kind)];
}

std::string to_string(const JsonNode& value) {
  std::string out;
  std::vector<OpenContainer> open;  // each costs a byte of output, so this is bounded
  for (const JsonNode* node = &value; out.size() < kPrintedBytes; ++node) {
    if (node->is_array() || node->is_object()) {
      out += node->is_object() ? '{' : '[';
      open.push_back({node->is_object() ? 2 * node->size : node->size, node->is_object()});
    } else {
      append_scalar(out, *node);
      if (!open.empty()) --open.back().left;
    }
    while (!open.empty() && open.back().left == 0) {
      out += open.back().is_object ? '}' : ']';
      open.pop_back();
      if (!open.empty()) --open.back().left;
    }
    if (open.empty()) return out;
    const bool just_opened = node->is_array() || node->is_object() ? node->size > 0 : false;
    const bool after_key = open.back().is_object && open.back().left % 2 == 1;
    if (!just_opened) out += after_key ? ':' : ',';
  }
  out.resize(std::min(out.size(), kPrintedBytes));
  return out + "...";
}

}  // namespace tenon::serving
