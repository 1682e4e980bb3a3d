// Any bytes as an image in a tar file: refused, or every blob is compared with its digest.

#include "tenon/image/oci/reader.h"
#include "tests/fuzz/temporary_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path =
      tenon::temporary_file({reinterpret_cast<const char*>(data), size}, ".tar");
  const auto reader = tenon::image::ImageReader::open(path);
  if (!reader.ok()) return 0;
  const auto images = tenon::image::all_images(**reader);
  if (!images.ok()) return 0;
  for (const auto& image : *images) (void)tenon::image::check_blobs(**reader, image).ok();
  return 0;
}
