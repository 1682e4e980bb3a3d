// Reading an image of anyone's: an OCI layout folder, or a tar that holds one. Untrusted.
#pragma once

#include "tenon/image/build/tree.h"
#include "tenon/image/oci/model.h"

namespace tenon::image {

class ImageReader {
 public:
  // A folder with oci-layout, or a tar file with one (what `build`, skopeo's oci-archive and
  // current docker save write), or a docker archive: a tar with manifest.json, as older docker save
  // and skopeo's docker-archive write, whose images get an OCI manifest and index here.
  static StatusOr<std::unique_ptr<ImageReader>> open(const std::string& path);

  const std::string& path() const { return path_; }
  const Index& index() const { return index_; }

  // A small document, its digest checked; RESOURCE_EXHAUSTED past 64 MB.
  StatusOr<std::string> read_blob(const Descriptor& descriptor) const;
  // The bytes of a blob, unchecked; the reader must outlive them. NOT_FOUND when it is not there.
  StatusOr<std::unique_ptr<ByteSource>> open_blob(const Descriptor& descriptor) const;
  bool has_blob(std::string_view digest) const;

 private:
  struct Place {
    uint64_t offset = 0, size = 0;
  };
  Status read_tar_table();
  Status read_docker_archive();
  StatusOr<std::string> digest_of_member(const std::string& name, std::string& media_type);
  StatusOr<std::string> read_named(const std::string& name) const;

  std::string path_;
  std::unique_ptr<RandomAccessFile> tar_;  // null: a folder
  std::map<std::string, Place> members_;
  std::map<std::string, std::string> links_;      // members that are symbolic links
  std::map<std::string, std::string> documents_;  // made for a docker archive, by digest
  Index index_;
};

// One platform's image.
struct Image {
  Descriptor descriptor;
  Manifest manifest;
  ImageConfig config;
};

// The image in `reader` for `platform`, or the only one when `platform` is null (amd64's when there
// are several). `ref` selects by org.opencontainers.image.ref.name where it is not empty.
StatusOr<Image> find_image(const ImageReader& reader, const Platform* platform,
                           const std::string& ref = {});
// Every image of the index, nested indexes followed, each digest once.
StatusOr<std::vector<Image>> all_images(const ImageReader& reader);

// The file system that the layers make together, whiteouts applied. `keep(path, node)` tells whose
// content is wanted: it goes to a temporary file, or, when small, to memory. Each layer's digest
// and diff_id are checked. With `hash_content`, nodes carry the SHA-256 of their content.
StatusOr<std::unique_ptr<Tree>> read_file_system(
    const ImageReader& reader, const Image& image,
    FunctionRef<bool(const std::string&, const TreeNode&)> keep, bool hash_content = false);

// Reads manifest, configuration and layers whole and compares their digests. DATA_LOSS names the
// first that differs.
Status check_blobs(const ImageReader& reader, const Image& image);

}  // namespace tenon::image
