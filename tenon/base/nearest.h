// What somebody meant who mistyped a name.
#pragma once

#include <span>
#include <string_view>

namespace tenon {

// The candidate that is the fewest edits away from `text` (characters inserted, left out, replaced,
// or swapped with their neighbour), one edit for each three characters of it at most; the first of
// several. Empty when none is that near.
[[nodiscard]] std::string_view nearest(std::string_view text,
                                       std::span<const std::string_view> candidates);

}  // namespace tenon
