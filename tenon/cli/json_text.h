// Pieces of JSON for `--json`: small, flat, one line.
#pragma once

#include <charconv>
#include <cmath>

#include "tenon/base/log.h"
#include "tenon/keras/logs.h"

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

// {FIRST,"accuracy":0.9,...}; `first` may be empty. Several numbers are a list.
[[nodiscard]] inline std::string json_logs(std::string_view first, const keras::Logs& values) {
  std::vector<std::string> members;
  if (!first.empty()) members.emplace_back(first);
  for (const auto& [name, value] : values) {
    std::vector<std::string> parts;
    for (const double part : value.parts()) parts.push_back(json_number(part));
    const std::string text = parts.empty() ? json_number(value) : cat('[', join(parts, ","), ']');
    members.push_back(cat(json_string(name), ":", text));
  }
  return cat('{', join(members, ","), '}');
}

}  // namespace tenon::cli
