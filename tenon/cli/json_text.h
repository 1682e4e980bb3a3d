// Pieces of JSON for `--json`: small, flat, one line.
#pragma once

#include <charconv>
#include <cmath>

#include "tenon/base/log.h"

namespace tenon::cli {

[[nodiscard]] inline std::string json_string(std::string_view text) {
  return cat('"', json_escape(text), '"');
}

// ["a","b"] of texts.
template <class Range>
[[nodiscard]] std::string json_strings(const Range& texts) {
  std::vector<std::string> quoted;
  for (const auto& text : texts) quoted.push_back(json_string(std::string_view(text)));
  return cat('[', join(quoted, ","), ']');
}

// The shortest text that reads back as the same number; null when it is not finite.
[[nodiscard]] inline std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  char digits[32];
  return std::string(digits, std::to_chars(digits, digits + sizeof(digits), value).ptr);
}

// {FIRST,"accuracy":0.9,...}; `first` may be empty.
[[nodiscard]] inline std::string json_logs(
    std::string_view first, const std::vector<std::pair<std::string, double>>& values) {
  std::vector<std::string> members;
  if (!first.empty()) members.emplace_back(first);
  for (const auto& [name, value] : values) {
    members.push_back(cat(json_string(name), ":", json_number(value)));
  }
  return cat('{', join(members, ","), '}');
}

}  // namespace tenon::cli
