// Base64 (RFC 4648, section 4).
#pragma once

#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon::image {

std::string to_base64(std::string_view bytes);
// DATA_LOSS for anything but whole groups of four with their padding.
StatusOr<std::string> from_base64(std::string_view text);

}  // namespace tenon::image
