// Whether two images are the same, and where they first differ.
#pragma once

#include "tenon/image/oci/reader.h"

namespace tenon::image {

// One sentence about the first difference: the first file by path whose presence, type, mode,
// owner, link, content or time differs, else the configuration's first differing line, else how the
// layers are cut or compressed. Empty when the manifests are one.
StatusOr<std::string> first_difference(const ImageReader& reader_a, const Image& a,
                                       const ImageReader& reader_b, const Image& b);

}  // namespace tenon::image
