// Pieces of JSON for `--json`: small, flat, one line.
#pragma once

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

}  // namespace tenon::cli
