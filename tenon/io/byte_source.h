// ByteSource: bytes that are read once, in order, from a file, from memory, or inflated on the way.
//
// Not thread-safe. Sources own what they read from, except MemorySource.
#pragma once

#include "tenon/base/files.h"

namespace tenon {

enum class Compression { kNone, kGzip, kZlib };

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Reads up to out.size() bytes into `out` and returns how many; 0 only at the end.
  virtual StatusOr<size_t> read(std::span<char> out) = 0;

  // The file's path, for messages.
  virtual const std::string& name() const = 0;
};

// From `offset` on to the end of the file, or `count` bytes if that is less.
std::unique_ptr<ByteSource> make_file_source(std::shared_ptr<const RandomAccessFile> file,
                                             uint64_t offset = 0, uint64_t count = UINT64_MAX);

// `bytes` must outlive the source.
std::unique_ptr<ByteSource> make_memory_source(std::string_view bytes, std::string name);

// A file, inflated while it is read unless `compression` is kNone.
StatusOr<std::unique_ptr<ByteSource>> open_source(const std::string& path, Compression compression);

// As open_source, with kGzip when the file begins with gzip's magic number.
StatusOr<std::unique_ptr<ByteSource>> open_source(const std::string& path);

// Fills `out` as far as the source reaches; returns how many bytes it gave.
StatusOr<size_t> read_fully(ByteSource& source, std::span<char> out);

// All that is left of the source. RESOURCE_EXHAUSTED when that is more than `limit` bytes.
StatusOr<std::string> read_all(ByteSource& source, uint64_t limit);

}  // namespace tenon
