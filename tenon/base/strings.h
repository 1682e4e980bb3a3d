// Text made of parts, and the few string operations the standard library lacks.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

namespace strings_internal {

void append_double(std::string& out, double value);

template <class T>
void append(std::string& out, const T& part) {
  if constexpr (std::same_as<T, bool>) {
    out += part ? "true" : "false";
  } else if constexpr (std::same_as<T, char>) {
    out += part;
  } else if constexpr (std::integral<T>) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof(digits), part).ptr;
    out.append(digits, end);
  } else if constexpr (std::floating_point<T>) {
    append_double(out, static_cast<double>(part));
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    out += std::string_view(part);
  } else if constexpr (requires { std::string_view(part.data(), part.size()); }) {
    out.append(part.data(), part.size());  // absl::string_view
  } else {
    out += to_string(part);  // found by argument-dependent lookup: DType, Shape, ...
  }
}

}  // namespace strings_internal

// Joins strings, numbers, and anything that has a to_string() in its own namespace.
template <class... Parts>
[[nodiscard]] std::string cat(const Parts&... parts) {
  std::string out;
  (strings_internal::append(out, parts), ...);
  return out;
}

// The elements of `range` as cat() prints them, with `separator` between them.
template <class Range>
[[nodiscard]] std::string join(const Range& range, std::string_view separator) {
  std::string out;
  bool first = true;
  for (const auto& element : range) {
    if (!first) out += separator;
    first = false;
    strings_internal::append(out, element);
  }
  return out;
}

// Pieces of `text` between `separator`s; empty pieces are kept. split("", ',') is one empty piece.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

// `text` without ASCII white space at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);

// ASCII lower case.
[[nodiscard]] std::string to_lower(std::string_view text);

// The whole of `text` as a number; false when anything is left over or it does not fit.
[[nodiscard]] bool parse_number(std::string_view text, int64_t& value);
[[nodiscard]] bool parse_number(std::string_view text, double& value);

// "1.5 MB": 1024-based, two decimals at most, as Keras' summary prints sizes.
[[nodiscard]] std::string human_bytes(uint64_t bytes);

}  // namespace tenon
