// Debian versions "[epoch:]upstream[-revision]" and their order (Debian Policy 5.6.12).
#pragma once

#include "tenon/base/status.h"

namespace tenon::image {

// INVALID_ARGUMENT naming what dpkg would also refuse: an empty part, an epoch that is no number, a
// character outside the allowed ones.
Status check_debian_version(std::string_view version);

// -1, 0 or 1. Total: a malformed version is compared by the same rules rather than refused.
int compare_debian_versions(std::string_view a, std::string_view b);

// "<<", "<=", "=", ">=", ">>", and dpkg's old "<" and ">" that mean "<=" and ">=".
bool debian_version_matches(std::string_view version, std::string_view op, std::string_view bound);

}  // namespace tenon::image
