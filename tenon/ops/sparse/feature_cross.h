// Crossing features: every combination of one feature of each column, row by row.
#pragma once

#include <array>

#include "tenon/core/kernel.h"

namespace tenon {

// The features of one column, int64 or strings: those of row r are elements
// [begins[r], begins[r + 1]).
struct CrossColumn {
  const Tensor* values;
  std::vector<int64_t> begins;
};

struct CrossSpec {
  bool hashed = false;
  int64_t buckets = 0;  // 0: what a signed number holds
  uint64_t key = 0;
  // Each feature is hashed by its bytes, with SipHash under `salt` if `strong`, and the first
  // one's hash takes the place of `key`.
  bool by_bytes = false, strong = false;
  std::array<uint64_t, 2> salt = {};
  std::string_view separator = "_X_";
};

struct Crosses {
  Tensor values;                // int64 hashes, or strings
  std::vector<int64_t> counts;  // of each row
};

// The last column varies fastest. Columns have one number of rows. INVALID_ARGUMENT when there are
// more combinations than a tensor has elements.
StatusOr<Crosses> cross_features(std::span<const CrossColumn> columns, const CrossSpec& spec);

}  // namespace tenon
