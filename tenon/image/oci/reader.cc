#include "tenon/image/oci/reader.h"

#include <algorithm>
#include <set>

#include "tenon/image/archive/compression.h"
#include "tenon/image/archive/sha256.h"

namespace tenon::image {
namespace {

constexpr uint64_t kDocumentLimit = 64 << 20;
constexpr int kMostNesting = 4;

class OwningFileSource final : public ByteSource {
 public:
  explicit OwningFileSource(std::unique_ptr<RandomAccessFile> file)
      : file_(std::move(file)), source_(*file_) {}
  StatusOr<size_t> read(std::span<char> out) override { return source_.read(out); }

 private:
  std::unique_ptr<RandomAccessFile> file_;
  FileSource source_;
};

}  // namespace

StatusOr<std::unique_ptr<ImageReader>> ImageReader::open(const std::string& path) {
  std::unique_ptr<ImageReader> reader(new ImageReader);
  reader->path_ = path;
  if (!is_directory(path)) {
    TENON_ASSIGN_OR_RETURN(reader->tar_, RandomAccessFile::open(path));
    TENON_RETURN_IF_ERROR(reader->read_tar_table());
  }
  auto layout = reader->read_named("oci-layout");
  if (!layout.ok() && reader->members_.contains("manifest.json")) {
    TENON_RETURN_IF_ERROR(reader->read_docker_archive());
    return reader;
  }
  if (!layout.ok()) {
    return invalid_argument("'", path,
                            "' is neither an OCI layout folder, a tar of one nor a docker archive");
  }
  TENON_ASSIGN_OR_RETURN(const std::string index, reader->read_named("index.json"));
  TENON_ASSIGN_OR_RETURN(reader->index_, parse_index(index, cat(path, " index.json")));
  return reader;
}

Status ImageReader::read_tar_table() {
  // A member's offset is where the stream stands after its header.
  class CountingSource final : public ByteSource {
   public:
    explicit CountingSource(const RandomAccessFile& file) : file_(file) {}
    StatusOr<size_t> read(std::span<char> out) override {
      const uint64_t left = file_.size() - at;
      const size_t count = static_cast<size_t>(std::min<uint64_t>(out.size(), left));
      if (count > 0) TENON_RETURN_IF_ERROR(file_.read(at, out.first(count)));
      at += count;
      return count;
    }
    uint64_t at = 0;

   private:
    const RandomAccessFile& file_;
  } source(*tar_);
  TarReader tar(source, path_, {});
  TarEntry entry;
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool more, tar.next(entry));
    if (!more) return {};
    if (entry.type == EntryType::kSymlink) links_[entry.path] = entry.link;
    if (entry.type != EntryType::kFile) continue;
    members_[entry.path] = {source.at, entry.size};
  }
}

StatusOr<std::string> ImageReader::read_named(const std::string& name) const {
  if (tar_ == nullptr) return read_file(join_path(path_, name), kDocumentLimit);
  const auto member = members_.find(name);
  if (member == members_.end()) return not_found("'", path_, "' holds no ", name);
  FileSource source(*tar_, member->second.offset, member->second.size);
  return read_all(source, kDocumentLimit, name);
}

bool ImageReader::has_blob(std::string_view digest) const {
  const auto hex = hex_of_digest(digest);
  if (!hex.ok()) return false;
  if (documents_.contains(std::string(digest))) return true;
  const std::string name = cat("blobs/sha256/", *hex);
  return tar_ == nullptr ? path_exists(join_path(path_, name)) : members_.contains(name);
}

StatusOr<std::unique_ptr<ByteSource>> ImageReader::open_blob(const Descriptor& descriptor) const {
  if (const auto made = documents_.find(descriptor.digest); made != documents_.end()) {
    return std::unique_ptr<ByteSource>(std::make_unique<StringSource>(made->second));
  }
  TENON_ASSIGN_OR_RETURN(const std::string hex, hex_of_digest(descriptor.digest));
  const std::string name = cat("blobs/sha256/", hex);
  if (!has_blob(descriptor.digest)) {
    return not_found("'", path_, "' does not hold the blob ", descriptor.digest);
  }
  if (tar_ == nullptr) {
    TENON_ASSIGN_OR_RETURN(auto file, RandomAccessFile::open(join_path(path_, name)));
    return std::unique_ptr<ByteSource>(std::make_unique<OwningFileSource>(std::move(file)));
  }
  const Place place = members_.at(name);
  return std::unique_ptr<ByteSource>(std::make_unique<FileSource>(*tar_, place.offset, place.size));
}

StatusOr<std::string> ImageReader::read_blob(const Descriptor& descriptor) const {
  TENON_ASSIGN_OR_RETURN(const auto source, open_blob(descriptor));
  TENON_ASSIGN_OR_RETURN(std::string text, read_all(*source, kDocumentLimit, descriptor.digest));
  const std::string found = cat("sha256:", sha256_hex(text));
  if (found != descriptor.digest) {
    return data_loss("'", path_, "': blob ", descriptor.digest, " has the digest ", found);
  }
  return text;
}

namespace {

StatusOr<Image> read_image(const ImageReader& reader, const Descriptor& descriptor) {
  Image image;
  image.descriptor = descriptor;
  TENON_ASSIGN_OR_RETURN(const std::string manifest, reader.read_blob(descriptor));
  TENON_ASSIGN_OR_RETURN(image.manifest, parse_manifest(manifest, descriptor.digest));
  if (image.manifest.config.media_type == kEmptyType) return image;
  TENON_ASSIGN_OR_RETURN(const std::string config, reader.read_blob(image.manifest.config));
  TENON_ASSIGN_OR_RETURN(image.config, parse_config(config, image.manifest.config.digest));
  return image;
}

Status collect(const ImageReader& reader, const Index& index, const std::string& ref, int depth,
               std::set<std::string>& seen, std::vector<Image>& images) {
  if (depth > kMostNesting) return invalid_argument("image indexes nested too deep");
  for (const Descriptor& descriptor : index.manifests) {
    const auto name = descriptor.annotations.find(std::string(kRefName));
    if (depth == 0 && !ref.empty() &&
        (name == descriptor.annotations.end() || name->second != ref)) {
      continue;
    }
    if (!seen.insert(descriptor.digest).second) continue;
    if (is_index_type(descriptor.media_type)) {
      TENON_ASSIGN_OR_RETURN(const std::string text, reader.read_blob(descriptor));
      TENON_ASSIGN_OR_RETURN(const Index nested, parse_index(text, descriptor.digest));
      TENON_RETURN_IF_ERROR(collect(reader, nested, "", depth + 1, seen, images));
    } else if (is_manifest_type(descriptor.media_type)) {
      TENON_ASSIGN_OR_RETURN(Image image, read_image(reader, descriptor));
      const bool is_artifact =
          image.manifest.subject.has_value() || image.manifest.config.media_type == kEmptyType;
      if (!is_artifact) images.push_back(std::move(image));
    }
  }
  return {};
}

}  // namespace

StatusOr<std::vector<Image>> all_images(const ImageReader& reader) {
  std::vector<Image> images;
  std::set<std::string> seen;
  TENON_RETURN_IF_ERROR(collect(reader, reader.index(), "", 0, seen, images));
  return images;
}

StatusOr<Image> find_image(const ImageReader& reader, const Platform* platform,
                           const std::string& ref) {
  std::vector<Image> images;
  std::set<std::string> seen;
  TENON_RETURN_IF_ERROR(collect(reader, reader.index(), ref, 0, seen, images));
  if (images.empty()) {
    return not_found("'", reader.path(), "' holds no image", ref.empty() ? "" : " named ", ref);
  }
  if (platform == nullptr && images.size() == 1) return images[0];
  const Platform wanted = platform == nullptr ? Platform{"linux", "amd64", ""} : *platform;
  for (Image& image : images) {
    if (image.config.platform == wanted) return std::move(image);
  }
  std::vector<std::string> found;
  for (const Image& image : images) found.push_back(to_string(image.config.platform));
  return not_found("'", reader.path(), "' holds no image for ", wanted, ", only for ",
                   join(found, ", "));
}

}  // namespace tenon::image
