// gzip, xz and zstd as streams.
//
// Compression is deterministic: the same bytes in give the same bytes out for any number of
// threads, because the input is cut into blocks of a fixed size (gzip) or compressed by one thread
// at a fixed level (zstd). The output depends on the version of zlib or libzstd; the digest of the
// uncompressed bytes does not.
#pragma once

#include "tenon/image/net.h"

namespace tenon::image {

enum class Compression { kNone, kGzip, kXz, kZstd };
std::string_view to_string(Compression compression);

// By the first bytes of a stream; kNone when they are no known magic number.
Compression detect_compression(std::string_view first_bytes);

// Uncompressed bytes of `source`, which must outlive it. Concatenated members are one stream.
// Errors are DATA_LOSS: damaged or truncated input. Memory of the decoder is capped at 160 MB.
std::unique_ptr<ByteSource> make_decompressor(Compression compression, ByteSource& source,
                                              std::string what);

// Detects the compression by reading ahead; `source` must outlive the result.
StatusOr<std::unique_ptr<ByteSource>> open_compressed(ByteSource& source, std::string what);

// A sink that has an end.
class Compressor : public ByteSink {
 public:
  // Writes what is pending and the trailer. Call once; without it the output is incomplete.
  virtual Status finish() = 0;
};

// kGzip at zlib level 5 over `threads` threads, kZstd at level 10, kNone; not kXz.
// `sink` must outlive it.
std::unique_ptr<Compressor> make_compressor(Compression compression, ByteSink& sink, int threads);

}  // namespace tenon::image
