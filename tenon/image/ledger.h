// The tag ledger: an append-only file of which digest each tag has pointed to. Each line is a JSON
// object with the SHA-256 of the line before, so that no entry can be changed or dropped unseen.
#pragma once

#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

struct LedgerEntry {
  int64_t sequence = 0;  // from 1
  int64_t time = 0;      // seconds since 1970
  std::string tag, digest;
};

// All entries in order; empty for a file that does not exist. DATA_LOSS names the first line whose
// chain does not hold.
StatusOr<std::vector<LedgerEntry>> read_ledger(const std::string& path);

// Checks the chain, then appends under a lock. Tags that do not start with "latest" are fixed:
// ALREADY_EXISTS when one with a full version X.Y.Z would change its digest. Nothing is appended
// when the tag points there already.
Status append_to_ledger(const std::string& path, const std::string& tag, const std::string& digest,
                        int64_t time);

// Tag by tag, the digest that it points to now.
StatusOr<std::vector<LedgerEntry>> current_tags(const std::string& path);

}  // namespace tenon::image
