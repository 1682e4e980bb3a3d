// What is in an image, as SPDX 2.3 and CycloneDX 1.5 documents. Deterministic: times are the
// image's, identifiers follow from its digest.
#pragma once

#include "tenon/image/lock.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/trust/licence.h"

namespace tenon::image {

// What both formats are written from.
struct Inventory {
  std::string image_name;    // "tenon:0.1.0"
  std::string image_digest;  // of the manifest
  std::string created;       // RFC 3339
  std::string distribution_id, distribution_version, architecture;
  std::vector<Package> packages;
  // What is known of packages[i]: from its control file, its copyright file and the lock.
  struct Facts {
    std::string supplier;  // "Name <address>"
    std::string homepage;
    std::string sha256, download;  // of the .deb or wheel; empty without a lock
    Licence licence;
  };
  std::vector<Facts> facts;
  struct Wheel {
    std::string name, version;
    Facts facts;
  };
  std::vector<Wheel> wheels;  // from *.dist-info/METADATA
  struct File {
    std::string path, sha256;
    std::vector<std::string> libraries;  // packages that own what it links
  };
  std::vector<File> unowned_programs;  // executables that no package lists in its md5sums
  // Baked in by `build --model`, as the image's labels say; an empty name: none.
  struct Model {
    std::string name, version, digest, golden;
  };
  Model model;
};

// `lock`, which may be null, is the one that the image names: FAILED_PRECONDITION otherwise.
StatusOr<Inventory> take_inventory(const ImageReader& reader, const Image& image,
                                   const Lock* lock = nullptr);

std::string write_spdx(const Inventory& inventory, std::string_view tool_version);
std::string write_cyclonedx(const Inventory& inventory, std::string_view tool_version);

// "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12" (package-url).
std::string debian_purl(const Package& package, std::string_view distribution_id,
                        std::string_view distribution_version);
// "pkg:pypi/ml-dtypes@0.6.0".
std::string wheel_purl(std::string_view name, std::string_view version);

}  // namespace tenon::image
