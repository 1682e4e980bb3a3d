// The part of ICU's data that an image needs. Debian's libicudata.so holds 31 MB of tables, of
// which a program that only converts between encodings reads a sixth.
#pragma once

#include "tenon/image/build/tree.h"

namespace tenon::image {

// An ICU data package (the format "CmnD") with those of its items whose names `keep` admits, as
// `icupkg --remove` would write it. Names come without the package's own: "cnvalias.icu",
// "coll/de.res". DATA_LOSS for what is no such package.
StatusOr<std::string> select_icu_items(std::string_view package,
                                       FunctionRef<bool(std::string_view)> keep);

// Every libicudata.so of packages in this layer with the items alone that a pattern admits (as
// glob_matches has them), its line in the package's md5sums mended. A pattern that matches nothing
// is INVALID_ARGUMENT.
Status select_icu_data(const std::vector<std::string>& patterns, Tree& layer);

}  // namespace tenon::image
