// Bytes that flow: sources and sinks that hold a bounded window, so that memory does not grow with
// the size of a package, a layer or an image.
//
// Thread safety: an object belongs to one thread at a time. Sources and sinks do not own what they
// are constructed over unless they take a unique_ptr.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tenon/base/files.h"
#include "tenon/base/status.h"

namespace tenon::net {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Up to out.size() bytes; 0 only at the end.
  virtual StatusOr<size_t> read(std::span<char> out) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Status write(std::string_view bytes) = 0;
};

// The bytes [offset, offset + size) of a file.
class FileSource final : public ByteSource {
 public:
  FileSource(const RandomAccessFile& file, uint64_t offset, uint64_t size)
      : file_(file), offset_(offset), left_(size) {}
  explicit FileSource(const RandomAccessFile& file) : FileSource(file, 0, file.size()) {}
  StatusOr<size_t> read(std::span<char> out) override;

 private:
  const RandomAccessFile& file_;
  uint64_t offset_;
  uint64_t left_;
};

// A view: the bytes outlive it.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string_view bytes) : left_(bytes) {}
  StatusOr<size_t> read(std::span<char> out) override;

 private:
  std::string_view left_;
};

class StringSink final : public ByteSink {
 public:
  Status write(std::string_view bytes) override {
    text_ += bytes;
    return {};
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// A file without a name, for intermediate content: append, then read at any offset. It vanishes
// with the object. Not durable.
class SpoolFile final : public ByteSink {
 public:
  // `folder` empty: TMPDIR, or /tmp.
  static StatusOr<std::unique_ptr<SpoolFile>> create(const std::string& folder = {});
  ~SpoolFile() override;
  SpoolFile(const SpoolFile&) = delete;
  SpoolFile& operator=(const SpoolFile&) = delete;

  Status write(std::string_view bytes) override;
  uint64_t size() const { return size_; }
  // Fills `out`; all of it must have been written. Thread-safe once writing has ended.
  Status read(uint64_t offset, std::span<char> out) const;

 private:
  explicit SpoolFile(int fd) : fd_(fd) {}
  int fd_;
  uint64_t size_ = 0;
};

// AtomicFile as a sink.
class AtomicFileSink final : public ByteSink {
 public:
  explicit AtomicFileSink(AtomicFile& file) : file_(file) {}
  Status write(std::string_view bytes) override { return file_.append(bytes); }

 private:
  AtomicFile& file_;
};

// Fills `out` wholly; false when the source ends exactly before it. DATA_LOSS when it ends inside.
StatusOr<bool> read_exactly(ByteSource& source, std::span<char> out, std::string_view what);

// The rest of `source`; RESOURCE_EXHAUSTED past `limit` bytes.
StatusOr<std::string> read_all(ByteSource& source, uint64_t limit, std::string_view what);

// Returns the number of bytes copied; RESOURCE_EXHAUSTED past `limit`.
StatusOr<uint64_t> copy_stream(ByteSource& source, ByteSink& sink, uint64_t limit = UINT64_MAX);

}  // namespace tenon::net
