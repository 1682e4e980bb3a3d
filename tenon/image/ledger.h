// The tag ledger: an append-only file of which digest each tag has pointed to. Each line is a JSON
// object with the SHA-256 of the line before, so that no entry can be changed or dropped unseen.
// The last line has none after it: its own SHA-256, the head, is what to keep elsewhere.
//
// Tags are "REPOSITORY:TAG"; "docker.io/library/x:1" is "x:1". A bare "TAG" stands for that tag in
// whatever repository: it takes the ledger's repository where there is one only, and guards, and is
// guarded by, the same tag everywhere.
#pragma once

#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

struct LedgerEntry {
  int64_t sequence = 0;  // from 1
  int64_t time = 0;      // seconds since 1970
  std::string tag, digest;
};

struct Ledger {
  std::vector<LedgerEntry> entries;  // in order
  std::vector<std::string> lines;    // the SHA-256 of each entry's line, in hex

  // The last line's SHA-256; 64 zeros without one.
  std::string head() const;
};

// NOT_FOUND for a file that does not exist. DATA_LOSS names the first line whose chain does not
// hold, or whose tag or digest is malformed.
StatusOr<Ledger> read_ledger(const std::string& path);

// The same of a ledger's text; `what` names it.
StatusOr<Ledger> parse_ledger(std::string_view text, std::string_view what);

// OK when `head` ("sha256:HEX" or HEX) is the ledger's. FAILED_PRECONDITION when it is an earlier
// line's: the ledger has grown since. DATA_LOSS when it is no line's: entries were dropped or
// changed. INVALID_ARGUMENT when it is no digest.
Status check_head(const Ledger& ledger, std::string_view head, std::string_view what);

// Checks the chain, and `head` where it is not empty, then appends under a lock; the file is made
// when it does not exist. ALREADY_EXISTS when a tag with a full version X.Y.Z would change its
// digest, INVALID_ARGUMENT for a malformed tag. Nothing is appended when the tag points there
// already.
Status append_to_ledger(const std::string& path, const std::string& tag, const std::string& digest,
                        int64_t time, std::string_view head = {});

// Tag by tag, the digest that it points to now.
std::vector<LedgerEntry> current_tags(const Ledger& ledger);

}  // namespace tenon::image
