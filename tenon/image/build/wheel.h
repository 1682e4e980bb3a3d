// Wheels (PyPA "Binary distribution format") as files of an image, as pip would install them.
#pragma once

#include "tenon/image/build/tree.h"
#include "tenon/image/lock.h"

namespace tenon::image {

// A wheel's files under usr/lib/python3/dist-packages, its scripts and entry points under usr/bin,
// without what `exclude` matches; RECORD lists what was installed and where, as pip writes it.
// Nothing of the wheel is run.
Status add_wheel(const WheelItem& wheel, const Store& store,
                 const std::vector<std::string>& exclude, Tree& tree);

// "wheel NAME VERSION" by the paths that the RECORDs of `tree` list.
StatusOr<std::map<std::string, std::string>> wheel_owners(const Tree& tree);

}  // namespace tenon::image
