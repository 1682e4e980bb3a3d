// An archive from elsewhere as files of a folder.
#pragma once

#include <atomic>

#include "tenon/base/status.h"

namespace tenon::cli {

// Unpacks a zip or tar archive (plain, or by gzip, xz or zstd), as its first bytes say, into
// `folder`, which must be there and empty. Files and folders alone: INVALID_ARGUMENT for links,
// devices, paths that leave the folder and what is no archive; DATA_LOSS for a damaged one, and
// where it has not the SHA-256 `sha256` (lower-case hexadecimal; empty: any); OUT_OF_RANGE past
// 100,000 entries, and past 1 GiB or a hundred times the archive, whichever is more; CANCELLED soon
// after `cancelled` has become true. What was unpacked before an error stays. Modes, owners and
// times are not kept.
Status unpack_archive(const std::string& archive, const std::string& sha256,
                      const std::string& folder, const std::atomic<bool>& cancelled);

}  // namespace tenon::cli
