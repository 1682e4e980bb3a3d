// What a signature of ours says of an image: an in-toto statement with SLSA provenance v1. It says
// nothing that the image itself does not show, and verifying it checks every word against the
// image.
#pragma once

#include "tenon/image/lock.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/trust/sbom.h"

namespace tenon::image {

// OK when the image was built from this lock: its manifest names the lock's digest, and it has
// exactly the packages and wheels that the lock names for its platform, besides those of an oci:
// base. FAILED_PRECONDITION names the first difference.
Status check_lock(const Image& image, const Inventory& inventory, const Lock& lock);

// The statement: the image as subject; with a lock that check_lock() has passed, the lock's digest,
// the declaration's, and the packages and wheels as resolved dependencies.
std::string provenance_statement(const Image& image, const Inventory& inventory, const Lock* lock);

// OK when everything that a statement says holds of the image. FAILED_PRECONDITION says what does
// not; DATA_LOSS when it is no statement.
Status check_statement(std::string_view statement, const Image& image, const Inventory& inventory);

}  // namespace tenon::image
