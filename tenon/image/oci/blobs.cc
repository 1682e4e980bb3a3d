#include "tenon/image/oci/blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/archive/tar.h"

namespace tenon::image {
namespace {

// A blob on its way. It is not synced: a tar copies it, and a layout syncs all at its end.
class StagedFile final : public ByteSink {
 public:
  static StatusOr<std::unique_ptr<StagedFile>> create(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return errno_status(errno, "creating", path);
    if (::fchmod(fd, 0644) != 0) {
      ::close(fd);
      return errno_status(errno, "changing the mode of", path);
    }
    return std::unique_ptr<StagedFile>(new StagedFile(fd, path));
  }
  ~StagedFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  Status write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t done = ::write(fd_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return errno_status(errno, "writing", path_);
      bytes.remove_prefix(static_cast<size_t>(done));
    }
    return {};
  }
  Status close() {
    const int fd = std::exchange(fd_, -1);
    return ::close(fd) == 0 ? Status() : errno_status(errno, "closing", path_);
  }

 private:
  StagedFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

Status sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, "opening", path);
  const int failed = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  return failed == 0 ? Status() : errno_status(error, "syncing", path);
}

constexpr std::string_view kLayoutText = "{\"imageLayoutVersion\":\"1.0.0\"}";

std::string docker_manifest(const OutputIndex& content) {
  nlohmann::ordered_json entry;
  entry["Config"] = cat("blobs/sha256/", content.docker_config);
  entry["RepoTags"] = content.docker_tags;
  entry["Layers"] = nlohmann::ordered_json::array();
  for (const std::string& layer : content.docker_layers) {
    entry["Layers"].push_back(cat("blobs/sha256/", layer));
  }
  return nlohmann::ordered_json::array({entry}).dump();
}

// Puts finished documents in the folder: the layout is then complete.
Status write_documents(const BlobFolder& blobs, const OutputIndex& content) {
  const std::string& folder = blobs.folder();
  TENON_RETURN_IF_ERROR(write_file(join_path(folder, "oci-layout"), kLayoutText));
  TENON_RETURN_IF_ERROR(write_file(join_path(folder, "index.json"), write_index(content.index)));
  if (content.docker_config.empty()) return {};
  return write_file(join_path(folder, "manifest.json"), docker_manifest(content));
}

Status rename_folder(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return errno_status(errno, "renaming to", to);
  return {};
}

Status write_tar(const BlobFolder& blobs, const std::string& output) {
  // In the folder, which goes with its owner, until it is whole.
  const std::string whole = join_path(blobs.folder(), "image.tar");
  TENON_ASSIGN_OR_RETURN(const auto file, AtomicFile::create(whole));
  AtomicFileSink sink(*file);
  TarWriter writer(sink);
  const auto add_folder = [&](const std::string& path) {
    TarEntry entry;
    entry.path = path;
    entry.type = EntryType::kDirectory;
    entry.mode = 0755;
    return writer.add(entry);
  };
  std::string window(256 << 10, '\0');
  const auto add_file = [&](const std::string& path) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto content,
                           RandomAccessFile::open(join_path(blobs.folder(), path)));
    TarEntry entry;
    entry.path = path;
    entry.mode = 0644;
    entry.size = content->size();
    TENON_RETURN_IF_ERROR(writer.add(entry));
    FileSource source(*content);
    while (true) {
      TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
      if (got == 0) return {};
      TENON_RETURN_IF_ERROR(writer.content(std::string_view(window.data(), got)));
    }
  };
  TENON_RETURN_IF_ERROR(add_folder("blobs"));
  TENON_RETURN_IF_ERROR(add_folder("blobs/sha256"));
  TENON_ASSIGN_OR_RETURN(const auto names,
                         list_directory(join_path(blobs.folder(), "blobs/sha256")));
  for (const std::string& name : names) {
    TENON_RETURN_IF_ERROR(add_file(cat("blobs/sha256/", name)));
  }
  for (const char* name : {"index.json", "manifest.json", "oci-layout"}) {
    if (path_exists(join_path(blobs.folder(), name))) TENON_RETURN_IF_ERROR(add_file(name));
  }
  TENON_RETURN_IF_ERROR(writer.finish());
  TENON_RETURN_IF_ERROR(file->commit());
  return rename_folder(whole, output);
}

Status replace_layout(BlobFolder& blobs, std::string output) {
  const std::string folder = join_path(blobs.folder(), "blobs/sha256");
  TENON_ASSIGN_OR_RETURN(const auto staged, list_directory(folder));
  for (const std::string& name : staged) {
    TENON_RETURN_IF_ERROR(sync_file(join_path(folder, name)));
  }
  while (output.ends_with('/') && output.size() > 1) output.pop_back();
  if (!path_exists(output)) return blobs.finish(output);
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(output));
  if (!names.empty() && !path_exists(join_path(output, "oci-layout"))) {
    return already_exists("'", output, "' is a folder with other things in it than an OCI layout");
  }
  const std::string old = cat(blobs.folder(), ".old");
  TENON_RETURN_IF_ERROR(rename_folder(output, old));
  if (const Status status = blobs.finish(output); !status.ok()) {
    (void)rename_folder(old, output);
    return status;
  }
  return remove_tree(old);
}

}  // namespace

StatusOr<std::unique_ptr<BlobFolder>> BlobFolder::create(const std::string& beside) {
  TENON_ASSIGN_OR_RETURN(auto folder, PartialFolder::create(beside));
  TENON_RETURN_IF_ERROR(create_directories(join_path(folder->path(), "blobs/sha256")));
  return std::unique_ptr<BlobFolder>(new BlobFolder(std::move(folder)));
}

StatusOr<Descriptor> BlobFolder::add_text(std::string_view media_type, std::string_view text) {
  return add(media_type, [&](ByteSink& sink) { return sink.write(text); });
}

StatusOr<Descriptor> BlobFolder::add(std::string_view media_type,
                                     const std::function<Status(ByteSink&)>& write) {
  const std::string incoming = join_path(folder(), "blobs/incoming");
  Descriptor descriptor;
  descriptor.media_type = media_type;
  {
    TENON_ASSIGN_OR_RETURN(const auto file, StagedFile::create(incoming));
    HashingSink hashing(*file);
    TENON_RETURN_IF_ERROR(write(hashing));
    TENON_RETURN_IF_ERROR(file->close());
    descriptor.size = hashing.size();
    descriptor.digest = cat("sha256:", hashing.hex());
  }
  TENON_RETURN_IF_ERROR(rename_folder(incoming, path_of(descriptor.digest.substr(7))));
  return descriptor;
}

StatusOr<Descriptor> add_layer(BlobFolder& blobs, Compression compression, int threads,
                               const std::function<Status(ByteSink&)>& write,
                               std::string& diff_id) {
  const std::string media_type = compression == Compression::kNone
                                     ? std::string(kLayerType)
                                     : cat(kLayerType, "+", compression);
  return blobs.add(media_type, [&](ByteSink& out) -> Status {
    const auto compressor = make_compressor(compression, out, threads);
    HashingSink plain(*compressor);
    TENON_RETURN_IF_ERROR(write(plain));
    diff_id = cat("sha256:", plain.hex());
    return compressor->finish();
  });
}

Status write_output(BlobFolder& blobs, const OutputIndex& content, const std::string& output) {
  TENON_RETURN_IF_ERROR(write_documents(blobs, content));
  if (output.ends_with(".tar")) return write_tar(blobs, output);
  return replace_layout(blobs, output);
}

}  // namespace tenon::image
