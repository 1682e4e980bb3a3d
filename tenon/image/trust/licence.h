// Licences as Debian's copyright files state them, in SPDX's words.
#pragma once

#include <map>

#include "tenon/base/status.h"

namespace tenon::image {

struct Licence {
  std::string expression;  // SPDX 2.3, annex D; empty: the file says nothing that can be read
  // What the LicenseRef- names of the expression stand for.
  std::map<std::string, std::string> texts;
};

// `copyright`: usr/share/doc/PACKAGE/copyright. In Debian's machine-readable format 1.0 the
// licences that its fields name, all of which apply; their short names are put as SPDX has them,
// and those that SPDX does not know become references with the text given there. Any other file is
// one reference to its whole text.
Licence read_copyright(std::string_view copyright, std::string_view package);

// A wheel's License-Expression as it is; of its License field and classifiers what SPDX knows, or
// what is a LicenseRef-.
std::string wheel_licence(std::string_view metadata);

}  // namespace tenon::image
