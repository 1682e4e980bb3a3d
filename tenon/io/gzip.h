// Deflate and its two envelopes (RFC 1950 zlib, 1951 deflate, 1952 gzip), by zlib.
#pragma once

#include "tenon/io/byte_source.h"

namespace tenon {

enum class DeflateFormat { kRaw, kZlib, kGzip };

// Inflates what `source` gives, gzip members one after another. Bytes that are no such stream, or
// a stream cut off, are DATA_LOSS naming the source.
std::unique_ptr<ByteSource> make_inflate_source(std::unique_ptr<ByteSource> source,
                                                DeflateFormat format);

// `where` names the bytes in messages. RESOURCE_EXHAUSTED past `limit` bytes of output.
StatusOr<std::string> inflate(std::string_view bytes, DeflateFormat format, uint64_t limit,
                              const std::string& where);

// Compresses piece by piece; every call appends to the output what is ready.
class Deflater {
 public:
  // `level` 0 (stored) to 9; gzip's time stamp is left zero.
  explicit Deflater(DeflateFormat format, int level = 6);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  void append(std::string_view bytes, std::string& out);
  // All that was appended can be inflated from the output so far.
  void flush(std::string& out);
  // Ends the stream; nothing may be appended after it.
  void finish(std::string& out);

 private:
  struct State;
  void run(std::string_view bytes, int mode, std::string& out);
  std::unique_ptr<State> state_;
};

std::string deflate(std::string_view bytes, DeflateFormat format, int level = 6);

}  // namespace tenon
