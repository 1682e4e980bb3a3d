// Scores of CVSS vectors, versions 2.0, 3.0, 3.1 and 4.0, by the equations and tables of the
// specifications that FIRST publishes (https://www.first.org/cvss/).
#pragma once

#include <string_view>

#include "tenon/base/status.h"

namespace tenon::image {

// The score, 0.0 to 10.0 with one decimal, of a vector: "CVSS:4.0/...", "CVSS:3.1/...",
// "CVSS:3.0/..." or version 2's without a prefix, also in parentheses. It is that of all metrics
// given: of the base alone, with the temporal (4.0: threat) ones, or with the environmental ones.
// INVALID_ARGUMENT for unknown, repeated or missing metrics and for other versions: such a vector
// has no score.
StatusOr<double> cvss_score(std::string_view vector);

}  // namespace tenon::image
