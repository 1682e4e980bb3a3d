// Layers applied in order, as a container engine would, into a tree.
#include <algorithm>

#include "tenon/image/archive/compression.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/oci/reader.h"

namespace tenon::image {
namespace {

constexpr uint64_t kInlineBytes = 4096;
constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

// Hashes what passes through.
class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& next) : next_(next) {}
  StatusOr<size_t> read(std::span<char> out) override {
    TENON_ASSIGN_OR_RETURN(const size_t got, next_.read(out));
    hash_.update(std::string_view(out.data(), got));
    return got;
  }
  std::string digest() { return cat("sha256:", hash_.hex()); }
  Status drain() {
    std::string window(64 << 10, '\0');
    while (true) {
      TENON_ASSIGN_OR_RETURN(const size_t got, read(window));
      if (got == 0) return {};
    }
  }

 private:
  ByteSource& next_;
  Sha256 hash_;
};

class FileSystemReader {
 public:
  FileSystemReader(FunctionRef<bool(const std::string&, const TreeNode&)> keep, bool hash_content)
      : keep_(keep), hash_content_(hash_content), tree_(std::make_unique<Tree>()) {}

  Status apply_layer(const ImageReader& reader, const Descriptor& layer,
                     const std::string& diff_id) {
    TENON_ASSIGN_OR_RETURN(const auto raw, reader.open_blob(layer));
    HashingSource packed(*raw);
    TENON_ASSIGN_OR_RETURN(const auto source, open_compressed(packed, layer.digest));
    HashingSource plain(*source);
    TarReader tar(plain, cat("layer ", layer.digest));
    TarEntry entry;
    while (true) {
      TENON_ASSIGN_OR_RETURN(const bool more, tar.next(entry));
      if (!more) break;
      TENON_RETURN_IF_ERROR(apply_entry(entry, tar, layer.digest));
    }
    TENON_RETURN_IF_ERROR(plain.drain());
    TENON_RETURN_IF_ERROR(packed.drain());
    if (const std::string found = packed.digest(); found != layer.digest) {
      return data_loss("layer ", layer.digest, " has the digest ", found);
    }
    if (const std::string found = plain.digest(); !diff_id.empty() && found != diff_id) {
      return data_loss("layer ", layer.digest, " unpacks to ", found, ", its config says ",
                       diff_id);
    }
    return {};
  }

  std::unique_ptr<Tree> take() { return std::move(tree_); }

 private:
  Status apply_entry(const TarEntry& entry, TarReader& tar, const std::string& layer) {
    if (entry.path.empty()) return {};
    const size_t slash = entry.path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : entry.path.substr(0, slash);
    const std::string name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
    if (name == kOpaque) {
      const TreeNode* kept = tree_->find(folder);
      const TreeNode copy = kept == nullptr ? TreeNode() : *kept;
      tree_->remove(folder);
      if (kept != nullptr) tree_->put(folder, copy);
      return {};
    }
    if (name.starts_with(kWhiteout)) {
      tree_->remove(cat(folder, folder.empty() ? "" : "/", name.substr(kWhiteout.size())));
      return {};
    }
    TreeNode node;
    node.type = entry.type;
    node.mode = entry.mode;
    node.uid = entry.uid;
    node.gid = entry.gid;
    node.link = entry.link;
    node.origin = layer;
    node.size = entry.size;
    node.mtime = entry.mtime;
    if (entry.type == EntryType::kFile) TENON_RETURN_IF_ERROR(take_content(entry, tar, node));
    tree_->put(entry.path, std::move(node));
    return {};
  }

  Status take_content(const TarEntry& entry, TarReader& tar, TreeNode& node) {
    const bool wanted = keep_(entry.path, node);
    if (!wanted && !hash_content_) return {};
    const bool in_memory = wanted && entry.size <= kInlineBytes;
    if (wanted && !in_memory) {
      if (spool_ == nullptr) {
        TENON_ASSIGN_OR_RETURN(auto fresh, SpoolFile::create());
        spool_ = std::move(fresh);
      }
      node.spool = spool_;
      node.offset = spool_->size();
    }
    Sha256 hash;
    while (true) {
      TENON_ASSIGN_OR_RETURN(const size_t got, tar.read(window_));
      if (got == 0) break;
      const std::string_view bytes(window_.data(), got);
      if (hash_content_) hash.update(bytes);
      if (in_memory) node.text += bytes;
      if (wanted && !in_memory) TENON_RETURN_IF_ERROR(spool_->write(bytes));
    }
    if (hash_content_) node.sha256 = hash.hex();
    return {};
  }

  FunctionRef<bool(const std::string&, const TreeNode&)> keep_;
  bool hash_content_;
  std::unique_ptr<Tree> tree_;
  std::shared_ptr<SpoolFile> spool_;
  std::string window_ = std::string(256 << 10, '\0');
};

}  // namespace

Status check_blobs(const ImageReader& reader, const Image& image) {
  std::vector<Descriptor> blobs = {image.descriptor, image.manifest.config};
  blobs.insert(blobs.end(), image.manifest.layers.begin(), image.manifest.layers.end());
  for (const Descriptor& blob : blobs) {
    TENON_ASSIGN_OR_RETURN(const auto raw, reader.open_blob(blob));
    HashingSource source(*raw);
    TENON_RETURN_IF_ERROR(source.drain());
    if (const std::string found = source.digest(); found != blob.digest) {
      return data_loss("'", reader.path(), "': blob ", blob.digest, " has the digest ", found);
    }
  }
  return {};
}

StatusOr<std::unique_ptr<Tree>> read_file_system(
    const ImageReader& reader, const Image& image,
    FunctionRef<bool(const std::string&, const TreeNode&)> keep, bool hash_content) {
  FileSystemReader files(keep, hash_content);
  for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const std::string diff_id =
        i < image.config.diff_ids.size() ? image.config.diff_ids[i] : std::string();
    TENON_RETURN_IF_ERROR(files.apply_layer(reader, image.manifest.layers[i], diff_id));
  }
  return files.take();
}

}  // namespace tenon::image
