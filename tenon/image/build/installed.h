// The Debian packages that a file system says it holds.
#pragma once

#include "tenon/image/build/tree.h"
#include "tenon/image/debian/packages.h"

namespace tenon::image {

// Whether a file is needed to answer the questions below: for read_file_system.
bool is_package_metadata(const std::string& path, const TreeNode& node);

// From var/lib/dpkg/status and var/lib/dpkg/status.d/*, each package once, sorted by name. Stanzas
// without Status count as installed; "deinstall" and "purge" do not. `archive` and the like stay
// empty.
StatusOr<std::vector<Package>> installed_packages(const Tree& tree);

// The fields of etc/os-release: ID, VERSION_ID, VERSION_CODENAME, ... unquoted; empty when there is
// no such file.
StatusOr<std::map<std::string, std::string>> os_release(const Tree& tree);

}  // namespace tenon::image
