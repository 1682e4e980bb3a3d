// Is a text UTF-8 (RFC 3629)?
#pragma once

#include <cstddef>
#include <string_view>

namespace tenon {

// Length of the valid sequence at the start of `text`, which is not empty; 0 when there is none.
size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace tenon
