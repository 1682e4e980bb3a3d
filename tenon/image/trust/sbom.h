// What is in an image, as SPDX 2.3 and CycloneDX 1.5 documents. Deterministic: times are the
// image's, identifiers follow from its digest.
#pragma once

#include "tenon/image/debian/packages.h"
#include "tenon/image/oci/reader.h"

namespace tenon::image {

// What both formats are written from.
struct Inventory {
  std::string image_name;    // "tenon:0.1.0"
  std::string image_digest;  // of the manifest
  std::string created;       // RFC 3339
  std::string distribution_id, distribution_version, architecture;
  std::vector<Package> packages;
  struct Wheel {
    std::string name, version;
  };
  std::vector<Wheel> wheels;  // from *.dist-info/METADATA
  struct File {
    std::string path, sha256;
  };
  std::vector<File> unowned_programs;  // executables that no package lists in its md5sums
};

StatusOr<Inventory> take_inventory(const ImageReader& reader, const Image& image);

std::string write_spdx(const Inventory& inventory, std::string_view tool_version);
std::string write_cyclonedx(const Inventory& inventory, std::string_view tool_version);

// "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12" (package-url).
std::string debian_purl(const Package& package, std::string_view distribution_id,
                        std::string_view distribution_version);

}  // namespace tenon::image
