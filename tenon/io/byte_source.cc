#include "tenon/io/byte_source.h"

#include "tenon/io/gzip.h"

namespace tenon {
namespace {

class FileSource final : public ByteSource {
 public:
  FileSource(std::shared_ptr<const RandomAccessFile> file, uint64_t offset, uint64_t end)
      : file_(std::move(file)), offset_(offset), end_(end) {}

  StatusOr<size_t> read(std::span<char> out) override {
    const size_t count = std::min<uint64_t>(out.size(), end_ - offset_);
    TENON_RETURN_IF_ERROR(file_->read(offset_, out.first(count)));
    offset_ += count;
    return count;
  }
  const std::string& name() const override { return file_->path(); }

 private:
  std::shared_ptr<const RandomAccessFile> file_;
  uint64_t offset_;
  uint64_t end_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string_view bytes, std::string name) : rest_(bytes), name_(std::move(name)) {}

  StatusOr<size_t> read(std::span<char> out) override {
    const size_t count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.data(), count, out.data());
    rest_.remove_prefix(count);
    return count;
  }
  const std::string& name() const override { return name_; }

 private:
  std::string_view rest_;
  std::string name_;
};

}  // namespace

std::unique_ptr<ByteSource> make_file_source(std::shared_ptr<const RandomAccessFile> file,
                                             uint64_t offset, uint64_t count) {
  const uint64_t size = file->size();
  offset = std::min(offset, size);
  const uint64_t end = offset + std::min(count, size - offset);
  return std::make_unique<FileSource>(std::move(file), offset, end);
}

std::unique_ptr<ByteSource> make_memory_source(std::string_view bytes, std::string name) {
  return std::make_unique<MemorySource>(bytes, std::move(name));
}

StatusOr<std::unique_ptr<ByteSource>> open_source(const std::string& path,
                                                  Compression compression) {
  TENON_ASSIGN_OR_RETURN(std::shared_ptr<const RandomAccessFile> file,
                         RandomAccessFile::open(path));
  std::unique_ptr<ByteSource> source = make_file_source(std::move(file));
  if (compression == Compression::kNone) return source;
  return make_inflate_source(std::move(source), compression == Compression::kGzip
                                                    ? DeflateFormat::kGzip
                                                    : DeflateFormat::kZlib);
}

StatusOr<std::unique_ptr<ByteSource>> open_source(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(auto source, open_source(path, Compression::kNone));
  char magic[2];
  TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(*source, magic));
  const bool gzip = got == 2 && magic[0] == '\x1f' && magic[1] == '\x8b';
  return open_source(path, gzip ? Compression::kGzip : Compression::kNone);
}

StatusOr<size_t> read_fully(ByteSource& source, std::span<char> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(out.subspan(filled)));
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

StatusOr<std::string> read_all(ByteSource& source, uint64_t limit) {
  constexpr size_t kStep = 1 << 18;
  std::string bytes;
  for (;;) {
    const size_t before = bytes.size();
    bytes.resize(before + kStep);
    TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(source, std::span(bytes).subspan(before)));
    bytes.resize(before + got);
    if (bytes.size() > limit) {
      return resource_exhausted("'", source.name(), "' holds more than the ", limit,
                                " bytes that are read at most");
    }
    if (got < kStep) return bytes;
  }
}

}  // namespace tenon
