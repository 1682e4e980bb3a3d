#include "tenon/image/archive/compression.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>

namespace tenon::image {
namespace {

constexpr size_t kWindow = 128 << 10;
constexpr uint64_t kDecoderMemory = uint64_t{160} << 20;

// What the three decoders share: a window of compressed input that is refilled when empty.
class InputWindow {
 public:
  explicit InputWindow(ByteSource& source) : source_(source), buffer_(kWindow, '\0') {}
  // The unread input, refilled when empty; empty at the end of the source.
  StatusOr<std::string_view> peek() {
    if (left_.empty() && !ended_) {
      TENON_ASSIGN_OR_RETURN(const size_t got, source_.read(buffer_));
      ended_ = got == 0;
      left_ = std::string_view(buffer_.data(), got);
    }
    return left_;
  }
  void consume(size_t count) { left_.remove_prefix(count); }

 private:
  ByteSource& source_;
  std::string buffer_;
  std::string_view left_;
  bool ended_ = false;
};

Status damaged(std::string_view what, std::string_view format, std::string_view why) {
  return data_loss(what, ": ", format, " data ", why);
}

class GzipSource final : public ByteSource {
 public:
  GzipSource(ByteSource& source, std::string what) : input_(source), what_(std::move(what)) {
    ready_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
  }
  ~GzipSource() override {
    if (ready_) inflateEnd(&stream_);
  }
  StatusOr<size_t> read(std::span<char> out) override {
    if (!ready_) return resource_exhausted("no memory for a gzip decoder");
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), 1 << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      TENON_ASSIGN_OR_RETURN(const std::string_view in, input_.peek());
      if (in.empty()) {
        if (between_members_) return size_t{0};
        return damaged(what_, "gzip", "is truncated");
      }
      if (between_members_ && started_) inflateReset(&stream_);
      between_members_ = false;
      started_ = true;
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
      stream_.avail_in = static_cast<uInt>(in.size());
      const int result = inflate(&stream_, Z_NO_FLUSH);
      input_.consume(in.size() - stream_.avail_in);
      if (result == Z_STREAM_END) {
        between_members_ = true;
      } else if (result != Z_OK) {
        return damaged(what_, "gzip", "is damaged");
      }
    }
    return size_t{wanted - stream_.avail_out};
  }

 private:
  InputWindow input_;
  std::string what_;
  z_stream stream_{};
  bool ready_;
  bool started_ = false;
  bool between_members_ = false;
};

class XzSource final : public ByteSource {
 public:
  XzSource(ByteSource& source, std::string what) : input_(source), what_(std::move(what)) {
    ready_ = lzma_stream_decoder(&stream_, kDecoderMemory, LZMA_CONCATENATED) == LZMA_OK;
  }
  ~XzSource() override { lzma_end(&stream_); }
  StatusOr<size_t> read(std::span<char> out) override {
    if (!ready_) return resource_exhausted("no memory for an xz decoder");
    if (done_) return size_t{0};
    stream_.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream_.avail_out = out.size();
    while (stream_.avail_out == out.size()) {
      TENON_ASSIGN_OR_RETURN(const std::string_view in, input_.peek());
      stream_.next_in = reinterpret_cast<const uint8_t*>(in.data());
      stream_.avail_in = in.size();
      const lzma_ret result = lzma_code(&stream_, in.empty() ? LZMA_FINISH : LZMA_RUN);
      input_.consume(in.size() - stream_.avail_in);
      if (result == LZMA_STREAM_END) {
        done_ = true;
        break;
      }
      if (result == LZMA_MEMLIMIT_ERROR) {
        return resource_exhausted(what_, ": xz data needs more than ", kDecoderMemory >> 20,
                                  " MB to decode");
      }
      if (result == LZMA_BUF_ERROR) return damaged(what_, "xz", "is truncated");
      if (result != LZMA_OK) return damaged(what_, "xz", "is damaged");
    }
    return out.size() - stream_.avail_out;
  }

 private:
  InputWindow input_;
  std::string what_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_;
  bool done_ = false;
};

class ZstdSource final : public ByteSource {
 public:
  ZstdSource(ByteSource& source, std::string what)
      : input_(source), what_(std::move(what)), stream_(ZSTD_createDStream()) {}
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }
  StatusOr<size_t> read(std::span<char> out) override {
    if (stream_ == nullptr) return resource_exhausted("no memory for a zstd decoder");
    ZSTD_outBuffer output{out.data(), out.size(), 0};
    while (output.pos == 0) {
      TENON_ASSIGN_OR_RETURN(const std::string_view in, input_.peek());
      if (in.empty() && hint_ == 0) return size_t{0};
      ZSTD_inBuffer input{in.data(), in.size(), 0};
      hint_ = ZSTD_decompressStream(stream_, &output, &input);
      input_.consume(input.pos);
      if (ZSTD_isError(hint_)) return damaged(what_, "zstd", ZSTD_getErrorName(hint_));
      if (in.empty() && output.pos == 0) return damaged(what_, "zstd", "is truncated");
    }
    return output.pos;
  }

 private:
  InputWindow input_;
  std::string what_;
  ZSTD_DStream* stream_;
  size_t hint_ = 0;
};

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(ByteSource& source) : source_(source) {}
  StatusOr<size_t> read(std::span<char> out) override { return source_.read(out); }

 private:
  ByteSource& source_;
};

// Gives back the bytes that were read to detect the compression, then the rest.
class ReplaySource final : public ByteSource {
 public:
  ReplaySource(std::string first, ByteSource& rest) : first_(std::move(first)), rest_(rest) {}
  StatusOr<size_t> read(std::span<char> out) override {
    if (given_ == first_.size()) return rest_.read(out);
    const size_t count = std::min(out.size(), first_.size() - given_);
    std::memcpy(out.data(), first_.data() + given_, count);
    given_ += count;
    return count;
  }

 private:
  std::string first_;
  size_t given_ = 0;
  ByteSource& rest_;
};

class OwningSource final : public ByteSource {
 public:
  OwningSource(std::unique_ptr<ByteSource> inner, std::unique_ptr<ByteSource> outer)
      : inner_(std::move(inner)), outer_(std::move(outer)) {}
  StatusOr<size_t> read(std::span<char> out) override { return outer_->read(out); }

 private:
  std::unique_ptr<ByteSource> inner_;
  std::unique_ptr<ByteSource> outer_;
};

}  // namespace

std::string_view to_string(Compression compression) {
  constexpr std::string_view kNames[] = {"none", "gzip", "xz", "zstd"};
  return kNames[static_cast<int>(compression)];
}

Compression detect_compression(std::string_view first_bytes) {
  using namespace std::string_view_literals;
  if (first_bytes.starts_with("\x1f\x8b"sv)) return Compression::kGzip;
  if (first_bytes.starts_with("\xfd"
                              "7zXZ\0"sv)) {
    return Compression::kXz;
  }
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd"sv)) return Compression::kZstd;
  return Compression::kNone;
}

std::unique_ptr<ByteSource> make_decompressor(Compression compression, ByteSource& source,
                                              std::string what) {
  switch (compression) {
    case Compression::kGzip:
      return std::make_unique<GzipSource>(source, std::move(what));
    case Compression::kXz:
      return std::make_unique<XzSource>(source, std::move(what));
    case Compression::kZstd:
      return std::make_unique<ZstdSource>(source, std::move(what));
    case Compression::kNone:
      break;
  }
  return std::make_unique<PlainSource>(source);
}

StatusOr<std::unique_ptr<ByteSource>> open_compressed(ByteSource& source, std::string what) {
  std::string first(6, '\0');
  size_t have = 0;
  while (have < first.size()) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(std::span(first).subspan(have)));
    if (got == 0) break;
    have += got;
  }
  first.resize(have);
  const Compression compression = detect_compression(first);
  auto replay = std::make_unique<ReplaySource>(std::move(first), source);
  auto decoder = make_decompressor(compression, *replay, std::move(what));
  return std::unique_ptr<ByteSource>(
      std::make_unique<OwningSource>(std::move(replay), std::move(decoder)));
}

}  // namespace tenon::image
