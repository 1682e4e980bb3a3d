// Debian packages as the files of a layer, without running their maintainer scripts.
#pragma once

#include "tenon/image/build/tree.h"
#include "tenon/image/lock.h"

namespace tenon::image {

struct UnpackOptions {
  std::vector<std::string> exclude;  // path patterns, as excluded() reads them
  int threads = 2;
  TarLimits limits;
};

// Adds the packages of one layer to `tree` in the order given, with what dpkg would know of them in
// var/lib/dpkg: status.d/NAME and status.d/NAME.md5sums for scanners, and `status`, which lists
// `below` too (dpkg's stanzas of the packages under this layer), for dpkg-query.
//
// Each package's digest is checked first, then that its control file names the package, version
// and architecture of the lock. Devices, fifos, paths through links and files of two packages
// (unless one Replaces the other) are errors that name the package. Returns the newest modification
// time of an entry and adds the stanzas to `below`.
StatusOr<int64_t> add_packages(const std::vector<LockedPackage>& packages, const Store& store,
                               const UnpackOptions& options, Tree& tree, std::string& below);

}  // namespace tenon::image
