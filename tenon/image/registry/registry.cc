#include "tenon/image/registry/registry.h"

#include <algorithm>
#include <set>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/registry/client.h"
#include "tenon/image/trust/sign.h"

namespace tenon::image {
namespace {

constexpr int kMostNested = 4;
constexpr size_t kMostReferrers = 256;  // of one image

// Every byte of a source from `offset` on.
StatusOr<std::unique_ptr<ByteSource>> open_at(const ImageReader& reader, const Descriptor& blob,
                                              uint64_t offset) {
  TENON_ASSIGN_OR_RETURN(auto source, reader.open_blob(blob));
  std::string window(256 << 10, '\0');
  while (offset > 0) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(offset, window.size()));
    TENON_ASSIGN_OR_RETURN(const bool found,
                           read_exactly(*source, std::span(window).first(count), blob.digest));
    if (!found) return data_loss("blob ", blob.digest, " is shorter than expected");
    offset -= count;
  }
  return source;
}

class Pusher {
 public:
  Pusher(const ImageReader& reader, RegistryClient& client) : reader_(reader), client_(client) {}

  // A manifest or index with all that it names; not the tag.
  Status push(const Descriptor& descriptor, int depth = 0) {
    if (depth > kMostNested) return invalid_argument("image indexes nested too deep");
    TENON_ASSIGN_OR_RETURN(const std::string text, reader_.read_blob(descriptor));
    if (is_index_type(descriptor.media_type)) {
      TENON_ASSIGN_OR_RETURN(const Index index, parse_index(text, descriptor.digest));
      for (const Descriptor& child : index.manifests) {
        TENON_RETURN_IF_ERROR(push(child, depth + 1));
      }
    } else {
      TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, descriptor.digest));
      for (const Descriptor& layer : manifest.layers) client_.expect(layer.size);
      TENON_RETURN_IF_ERROR(push_blob(manifest.config));
      for (const Descriptor& layer : manifest.layers) TENON_RETURN_IF_ERROR(push_blob(layer));
    }
    return client_.put_manifest(descriptor.digest, descriptor.media_type, text,
                                &subject_supported_);
  }

  // A manifest that refers to `subject`; the fallback tag where the registry needs it.
  Status push_referrer(const Descriptor& descriptor, const std::string& subject) {
    TENON_RETURN_IF_ERROR(push(descriptor));
    const bool supported = subject_supported_;
    if (descriptor.artifact_type == kCosignType) {
      TENON_RETURN_IF_ERROR(push_cosign_tag(descriptor, subject));
    }
    if (supported) return {};
    TENON_ASSIGN_OR_RETURN(Index known, client_.referrers(subject));
    const bool there =
        std::any_of(known.manifests.begin(), known.manifests.end(),
                    [&](const Descriptor& other) { return other.digest == descriptor.digest; });
    if (there) return {};
    TENON_ASSIGN_OR_RETURN(const std::string text, reader_.read_blob(descriptor));
    TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, descriptor.digest));
    Descriptor& added = known.manifests.emplace_back(descriptor);
    added.artifact_type = manifest.artifact_type;
    added.annotations = manifest.annotations;
    return client_.put_manifest(cat("sha256-", subject.substr(7)), kIndexType, write_index(known));
  }

  TransferReport report;

 private:
  // cosign looks for signatures under a tag made of the image's digest, a layer each. Those that
  // are there stay.
  Status push_cosign_tag(const Descriptor& descriptor, const std::string& subject) {
    TENON_ASSIGN_OR_RETURN(const std::string text, reader_.read_blob(descriptor));
    TENON_ASSIGN_OR_RETURN(Manifest ours, parse_manifest(text, descriptor.digest));
    const std::string tag = cat("sha256-", subject.substr(7), ".sig");
    const auto there = client_.get_manifest(tag);
    if (!there.ok()) {
      if (there.status().code() != absl::StatusCode::kNotFound) return there.status();
      return client_.put_manifest(tag, kManifestType, text);
    }
    TENON_ASSIGN_OR_RETURN(Manifest known, parse_manifest(there->text, tag));
    const size_t before = known.layers.size();
    for (Descriptor& layer : ours.layers) {
      const bool present =
          std::any_of(known.layers.begin(), known.layers.end(), [&](const Descriptor& other) {
            return other.digest == layer.digest && other.annotations == layer.annotations;
          });
      if (!present) known.layers.push_back(std::move(layer));
    }
    if (known.layers.size() == before) return {};
    return client_.put_manifest(tag, kManifestType, write_manifest(known));
  }

  Status push_blob(const Descriptor& blob) {
    if (!done_.insert(blob.digest).second) return {};
    TENON_ASSIGN_OR_RETURN(const bool present, client_.has_blob(blob.digest));
    if (present) {
      ++report.blobs_present;
      client_.report_moved(blob.size);
      return {};
    }
    return client_.upload(blob, report,
                          [&](uint64_t offset) { return open_at(reader_, blob, offset); });
  }

  const ImageReader& reader_;
  RegistryClient& client_;
  std::set<std::string> done_;
  bool subject_supported_ = false;
};

class Puller {
 public:
  Puller(RegistryClient& client, BlobFolder& blobs) : client_(client), blobs_(blobs) {}

  StatusOr<Descriptor> pull(const std::string& tag_or_digest, int depth = 0) {
    if (depth > kMostNested) return invalid_argument("image indexes nested too deep");
    TENON_ASSIGN_OR_RETURN(const auto manifest, client_.get_manifest(tag_or_digest));
    if (is_index_type(manifest.media_type)) {
      TENON_ASSIGN_OR_RETURN(const Index index, parse_index(manifest.text, manifest.digest));
      for (const Descriptor& child : index.manifests) {
        if (!done_.insert(child.digest).second) continue;
        TENON_RETURN_IF_ERROR(pull(child.digest, depth + 1).status());
      }
    } else if (is_manifest_type(manifest.media_type)) {
      TENON_RETURN_IF_ERROR(pull_content(manifest).status());
    } else {
      return unimplemented("'", tag_or_digest, "' is a ", manifest.media_type, ", not an image");
    }
    subjects_.push_back(manifest.digest);
    return blobs_.add_text(manifest.media_type, manifest.text);
  }

  // What is attached to the images pulled so far.
  StatusOr<std::vector<Descriptor>> pull_referrers() {
    std::vector<Descriptor> attached;
    for (const std::string& subject : subjects_) {
      TENON_ASSIGN_OR_RETURN(const Index index, client_.referrers(subject));
      if (index.manifests.size() > kMostReferrers) {
        return resource_exhausted("the registry lists ", index.manifests.size(), " referrers of ",
                                  subject);
      }
      for (const Descriptor& descriptor : index.manifests) {
        if (!done_.insert(descriptor.digest).second) continue;
        TENON_ASSIGN_OR_RETURN(attached.emplace_back(), pull_referrer(descriptor.digest, subject));
      }
    }
    return attached;
  }

  TransferReport report;

 private:
  // Nothing of the registry's own word for it is kept: an annotation could name another image.
  StatusOr<Descriptor> pull_referrer(const std::string& digest, const std::string& subject) {
    TENON_ASSIGN_OR_RETURN(const auto manifest, client_.get_manifest(digest));
    if (!is_manifest_type(manifest.media_type)) {
      return unimplemented("the referrer ", digest, " is a ", manifest.media_type);
    }
    TENON_ASSIGN_OR_RETURN(const Manifest content, pull_content(manifest));
    if (!content.subject.has_value() || content.subject->digest != subject) {
      return data_loss("the registry lists ", digest, " as referrer of ", subject,
                       ", which it is not");
    }
    TENON_ASSIGN_OR_RETURN(Descriptor result, blobs_.add_text(manifest.media_type, manifest.text));
    result.artifact_type = content.artifact_type;
    return result;
  }

  StatusOr<Manifest> pull_content(const RegistryClient::FetchedManifest& manifest) {
    TENON_ASSIGN_OR_RETURN(Manifest image, parse_manifest(manifest.text, manifest.digest));
    TENON_RETURN_IF_ERROR(pull_blob(image.config));
    for (const Descriptor& layer : image.layers) client_.expect(layer.size);
    for (const Descriptor& layer : image.layers) TENON_RETURN_IF_ERROR(pull_blob(layer));
    return image;
  }

  Status pull_blob(const Descriptor& blob) {
    if (!done_.insert(blob.digest).second) return {};
    TENON_ASSIGN_OR_RETURN(const Descriptor found, blobs_.add(blob.media_type, [&](ByteSink& sink) {
      return client_.fetch_blob(blob, sink);
    }));
    if (found.digest != blob.digest) {
      return data_loss("the registry gave ", found.digest, " for the blob ", blob.digest);
    }
    ++report.blobs_sent;
    report.bytes += found.size;
    return {};
  }

  RegistryClient& client_;
  BlobFolder& blobs_;
  std::set<std::string> done_;
  std::vector<std::string> subjects_;
};

}  // namespace

StatusOr<TransferReport> push_image(const ImageReader& reader, const RegistryReference& target,
                                    const RegistryOptions& options) {
  if (target.tag.empty()) return invalid_argument("a push needs a tag");
  RegistryClient client(target, options);
  Pusher pusher(reader, client);
  const Descriptor* top = nullptr;
  std::vector<std::pair<Descriptor, std::string>> referrers;
  for (const Descriptor& descriptor : reader.index().manifests) {
    TENON_ASSIGN_OR_RETURN(const std::string text, reader.read_blob(descriptor));
    if (!is_index_type(descriptor.media_type)) {
      TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, descriptor.digest));
      if (manifest.subject.has_value()) {
        referrers.emplace_back(descriptor, manifest.subject->digest);
        continue;
      }
    }
    if (top != nullptr && top->digest != descriptor.digest) {
      return failed_precondition("'", reader.path(), "' holds several images; push one at a time");
    }
    top = &descriptor;
  }
  if (top == nullptr) return not_found("'", reader.path(), "' holds no image");
  TENON_RETURN_IF_ERROR(pusher.push(*top));
  for (const auto& [descriptor, subject] : referrers) {
    TENON_RETURN_IF_ERROR(pusher.push_referrer(descriptor, subject));
  }
  TENON_ASSIGN_OR_RETURN(const std::string text, reader.read_blob(*top));
  TENON_RETURN_IF_ERROR(client.put_manifest(target.tag, top->media_type, text));
  pusher.report.digest = top->digest;
  return pusher.report;
}

StatusOr<TransferReport> pull_image(const RegistryReference& source, const std::string& output,
                                    const RegistryOptions& options) {
  if (source.tag.empty() && source.digest.empty()) {
    return invalid_argument("a pull needs a tag or a digest");
  }
  RegistryClient client(source, options);
  TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(output));
  Puller puller(client, *blobs);
  TENON_ASSIGN_OR_RETURN(Descriptor top,
                         puller.pull(source.digest.empty() ? source.tag : source.digest));
  TENON_ASSIGN_OR_RETURN(const auto attached, puller.pull_referrers());
  puller.report.digest = top.digest;
  OutputIndex content;
  if (!source.tag.empty()) {
    const std::string name = cat(source.host, "/", source.repository, ":", source.tag);
    top.annotations[std::string(kRefName)] = name;
    top.annotations["io.containerd.image.name"] = name;
    content.docker_tags.push_back(name);
  }
  if (is_manifest_type(top.media_type)) {
    TENON_ASSIGN_OR_RETURN(const std::string text,
                           read_file(blobs->path_of(top.digest.substr(7)), 64 << 20));
    TENON_ASSIGN_OR_RETURN(const Manifest manifest, parse_manifest(text, top.digest));
    content.docker_config = manifest.config.digest.substr(7);
    for (const Descriptor& layer : manifest.layers) {
      content.docker_layers.push_back(layer.digest.substr(7));
    }
  }
  content.index.manifests.push_back(std::move(top));
  content.index.manifests.insert(content.index.manifests.end(), attached.begin(), attached.end());
  TENON_RETURN_IF_ERROR(write_output(*blobs, content, output));
  return puller.report;
}

}  // namespace tenon::image
