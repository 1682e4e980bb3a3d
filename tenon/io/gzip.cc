#include "tenon/io/gzip.h"

#include <zlib.h>

#include "tenon/base/log.h"

namespace tenon {
namespace {

// zlib chooses the envelope by the sign and size of its windowBits argument.
int window_bits(DeflateFormat format) {
  switch (format) {
    case DeflateFormat::kRaw:
      return -MAX_WBITS;
    case DeflateFormat::kZlib:
      return MAX_WBITS;
    case DeflateFormat::kGzip:
      return MAX_WBITS + 16;
  }
  return MAX_WBITS;
}

class InflateSource final : public ByteSource {
 public:
  InflateSource(std::unique_ptr<ByteSource> source, DeflateFormat format)
      : source_(std::move(source)), format_(format) {
    TENON_CHECK(inflateInit2(&stream_, window_bits(format)) == Z_OK);
  }
  ~InflateSource() override { inflateEnd(&stream_); }
  InflateSource(const InflateSource&) = delete;
  InflateSource& operator=(const InflateSource&) = delete;

  StatusOr<size_t> read(std::span<char> out) override {
    if (out.empty()) return size_t{0};
    out = out.first(std::min<size_t>(out.size(), UINT32_MAX));
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out == out.size() && !ended_) TENON_RETURN_IF_ERROR(step());
    return out.size() - stream_.avail_out;
  }
  const std::string& name() const override { return source_->name(); }

 private:
  Status step() {
    if (stream_.avail_in == 0) {
      TENON_ASSIGN_OR_RETURN(const size_t got, source_->read(input_));
      stream_.next_in = reinterpret_cast<Bytef*>(input_);
      stream_.avail_in = static_cast<uInt>(got);
      if (got == 0) {
        if (!between_members_) return data_loss("'", name(), "' ends inside a compressed stream");
        ended_ = true;
        return absl::OkStatus();
      }
    }
    if (between_members_ && format_ == DeflateFormat::kGzip) inflateReset(&stream_);
    between_members_ = false;
    const int result = ::inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      between_members_ = true;
      ended_ = format_ != DeflateFormat::kGzip;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return data_loss("'", name(), "' is not a valid compressed stream at compressed byte ",
                       stream_.total_in, ": ", stream_.msg ? stream_.msg : "broken data");
    }
    return absl::OkStatus();
  }

  std::unique_ptr<ByteSource> source_;
  DeflateFormat format_;
  z_stream stream_ = {};
  bool between_members_ = false;  // an empty file is no stream
  bool ended_ = false;
  char input_[1 << 15];
};

}  // namespace

std::unique_ptr<ByteSource> make_inflate_source(std::unique_ptr<ByteSource> source,
                                                DeflateFormat format) {
  return std::make_unique<InflateSource>(std::move(source), format);
}

StatusOr<std::string> inflate(std::string_view bytes, DeflateFormat format, uint64_t limit,
                              const std::string& where) {
  InflateSource source(make_memory_source(bytes, where), format);
  return read_all(source, limit);
}

struct Deflater::State {
  z_stream stream = {};
};

Deflater::Deflater(DeflateFormat format, int level) : state_(std::make_unique<State>()) {
  TENON_CHECK(deflateInit2(&state_->stream, level, Z_DEFLATED, window_bits(format), 8,
                           Z_DEFAULT_STRATEGY) == Z_OK);
}

Deflater::~Deflater() { deflateEnd(&state_->stream); }

void Deflater::run(std::string_view bytes, int mode, std::string& out) {
  constexpr size_t kPiece = 1 << 30;  // zlib counts in 32 bits
  z_stream& stream = state_->stream;
  do {
    const std::string_view piece = bytes.substr(0, kPiece);
    bytes.remove_prefix(piece.size());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream.avail_in = static_cast<uInt>(piece.size());
    char buffer[1 << 15];
    do {
      stream.next_out = reinterpret_cast<Bytef*>(buffer);
      stream.avail_out = sizeof(buffer);
      ::deflate(&stream, bytes.empty() ? mode : Z_NO_FLUSH);
      out.append(buffer, sizeof(buffer) - stream.avail_out);
    } while (stream.avail_out == 0);
  } while (!bytes.empty());
}

void Deflater::append(std::string_view bytes, std::string& out) { run(bytes, Z_NO_FLUSH, out); }
void Deflater::flush(std::string& out) { run({}, Z_SYNC_FLUSH, out); }
void Deflater::finish(std::string& out) { run({}, Z_FINISH, out); }

std::string deflate(std::string_view bytes, DeflateFormat format, int level) {
  Deflater deflater(format, level);
  std::string out;
  deflater.append(bytes, out);
  deflater.finish(out);
  return out;
}

}  // namespace tenon
