#include <zlib.h>
#include <zstd.h>

#include <deque>
#include <future>

#include "tenon/image/archive/compression.h"

namespace tenon::image {
namespace {

constexpr size_t kGzipBlock = 1 << 20;
constexpr size_t kDictionary = 32 << 10;
// Level 9 takes more than twice as long for 0.6 % on the runtime image. Memory level 7 ends
// deflate's blocks earlier than 8, whose codes then fit programs better: 0.3 %, at no cost.
constexpr int kGzipLevel = 6;
constexpr int kGzipMemory = 7;
constexpr int kZstdLevel = 10;

struct DeflatedBlock {
  std::string bytes;
  uint32_t crc = 0;
  size_t plain_size = 0;
  bool ok = false;
};

// One block as raw deflate that ends on a byte boundary, primed with the 32 KB before it: the
// blocks concatenated are one valid stream (the scheme of pigz).
DeflatedBlock deflate_block(const std::string& plain, const std::string& dictionary, bool last) {
  DeflatedBlock block;
  block.plain_size = plain.size();
  block.crc = static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(plain.data()),
                                            static_cast<z_size_t>(plain.size())));
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, -15, kGzipMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    return block;
  }
  if (!dictionary.empty()) {
    deflateSetDictionary(&stream, reinterpret_cast<const Bytef*>(dictionary.data()),
                         static_cast<uInt>(dictionary.size()));
  }
  block.bytes.resize(deflateBound(&stream, static_cast<uLong>(plain.size())) + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(block.bytes.data());
  stream.avail_out = static_cast<uInt>(block.bytes.size());
  const int result = deflate(&stream, last ? Z_FINISH : Z_SYNC_FLUSH);
  block.ok = result == (last ? Z_STREAM_END : Z_OK) && stream.avail_in == 0;
  block.bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return block;
}

void append_le32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((value >> shift) & 0xff);
}

class GzipCompressor final : public Compressor {
 public:
  GzipCompressor(ByteSink& sink, int threads)
      : sink_(sink), threads_(static_cast<size_t>(std::max(1, threads))) {}

  Status write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const size_t count = std::min(bytes.size(), kGzipBlock - block_.size());
      block_ += bytes.substr(0, count);
      bytes.remove_prefix(count);
      // A full block waits for the next byte, since the last one is finished differently.
      if (block_.size() == kGzipBlock && !bytes.empty()) TENON_RETURN_IF_ERROR(start(false));
    }
    return {};
  }

  Status finish() override {
    TENON_RETURN_IF_ERROR(start(true));
    while (!running_.empty()) TENON_RETURN_IF_ERROR(drain_one());
    std::string trailer;
    append_le32(trailer, crc_);
    append_le32(trailer, static_cast<uint32_t>(total_));
    return sink_.write(trailer);
  }

 private:
  Status start(bool last) {
    while (running_.size() >= threads_) TENON_RETURN_IF_ERROR(drain_one());
    std::string dictionary = std::move(dictionary_);
    dictionary_ = block_.size() > kDictionary ? block_.substr(block_.size() - kDictionary) : block_;
    running_.push_back(std::async(threads_ > 1 ? std::launch::async : std::launch::deferred,
                                  [plain = std::move(block_), dictionary = std::move(dictionary),
                                   last] { return deflate_block(plain, dictionary, last); }));
    block_.clear();
    return {};
  }

  Status drain_one() {
    const DeflatedBlock block = running_.front().get();
    running_.pop_front();
    if (!block.ok) return resource_exhausted("no memory for a gzip encoder");
    if (!header_written_) {
      constexpr char kHeader[] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, '\xff'};  // no time, no OS
      TENON_RETURN_IF_ERROR(sink_.write(std::string_view(kHeader, sizeof(kHeader))));
      header_written_ = true;
    }
    crc_ = static_cast<uint32_t>(
        crc32_combine(crc_, block.crc, static_cast<z_off_t>(block.plain_size)));
    total_ += block.plain_size;
    return sink_.write(block.bytes);
  }

  ByteSink& sink_;
  size_t threads_;
  std::string block_;
  std::string dictionary_;
  std::deque<std::future<DeflatedBlock>> running_;
  uint32_t crc_ = 0;
  uint64_t total_ = 0;
  bool header_written_ = false;
};

class ZstdCompressor final : public Compressor {
 public:
  explicit ZstdCompressor(ByteSink& sink) : sink_(sink), stream_(ZSTD_createCCtx()) {
    if (stream_ == nullptr) return;
    ZSTD_CCtx_setParameter(stream_, ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(stream_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(stream_); }
  Status write(std::string_view bytes) override { return run(bytes, ZSTD_e_continue); }
  Status finish() override { return run({}, ZSTD_e_end); }

 private:
  Status run(std::string_view bytes, ZSTD_EndDirective directive) {
    if (stream_ == nullptr) return resource_exhausted("no memory for a zstd encoder");
    std::string window(128 << 10, '\0');
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer output{window.data(), window.size(), 0};
      const size_t left = ZSTD_compressStream2(stream_, &output, &input, directive);
      if (ZSTD_isError(left)) return internal("zstd: ", ZSTD_getErrorName(left));
      TENON_RETURN_IF_ERROR(sink_.write(std::string_view(window.data(), output.pos)));
      if (directive == ZSTD_e_end ? left == 0 : input.pos == input.size) return {};
    }
  }

  ByteSink& sink_;
  ZSTD_CCtx* stream_;
};

class PlainCompressor final : public Compressor {
 public:
  explicit PlainCompressor(ByteSink& sink) : sink_(sink) {}
  Status write(std::string_view bytes) override { return sink_.write(bytes); }
  Status finish() override { return {}; }

 private:
  ByteSink& sink_;
};

}  // namespace

std::unique_ptr<Compressor> make_compressor(Compression compression, ByteSink& sink, int threads) {
  if (compression == Compression::kGzip) return std::make_unique<GzipCompressor>(sink, threads);
  if (compression == Compression::kZstd) return std::make_unique<ZstdCompressor>(sink);
  return std::make_unique<PlainCompressor>(sink);
}

}  // namespace tenon::image
