#include "tenon/io/record_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "tenon/io/bytes.h"
#include "tenon/io/crc32c.h"

namespace tenon {
namespace {

constexpr size_t kRecordHeader = 12;
constexpr size_t kRecordFooter = 4;

}  // namespace

StatusOr<RecordReader> RecordReader::open(const std::string& path, Compression compression,
                                          uint64_t limit) {
  TENON_ASSIGN_OR_RETURN(auto source, open_source(path, compression));
  return RecordReader(std::move(source), limit);
}

Status RecordReader::cut_off() const {
  return data_loss("'", source_->name(), "': the record at byte ", offset_, " is cut off");
}

// Memory grows as bytes arrive: the length may be wrong in a way that its checksum does not show.
Status RecordReader::fill(std::string& record, uint64_t length) {
  constexpr uint64_t kStep = 1 << 20;
  record.clear();
  while (record.size() < length) {
    const size_t before = record.size();
    const size_t step = std::min<uint64_t>(length - before, std::max<uint64_t>(kStep, before));
    record.resize(before + step);
    TENON_ASSIGN_OR_RETURN(const size_t got,
                           read_fully(*source_, std::span(record).subspan(before)));
    if (got < step) return cut_off();
  }
  return absl::OkStatus();
}

StatusOr<bool> RecordReader::next(std::string& record) {
  char header[kRecordHeader];
  TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(*source_, header));
  if (got == 0) return false;
  if (got < sizeof(header)) return cut_off();
  const auto length = load_le<uint64_t>(header);
  if (mask_crc(crc32c({header, 8})) != load_le<uint32_t>(header + 8)) {
    return data_loss("'", source_->name(), "': the length of the record at byte ", offset_,
                     " does not match its checksum");
  }
  if (length > limit_) {
    return resource_exhausted("'", source_->name(), "': the record at byte ", offset_, " has ",
                              length, " bytes, at most ", limit_, " are read");
  }
  TENON_RETURN_IF_ERROR(fill(record, length));
  char footer[kRecordFooter];
  TENON_ASSIGN_OR_RETURN(const size_t footer_got, read_fully(*source_, footer));
  if (footer_got < sizeof(footer)) return cut_off();
  if (mask_crc(crc32c(record)) != load_le<uint32_t>(footer)) {
    return data_loss("'", source_->name(), "': the record at byte ", offset_,
                     " does not match its checksum");
  }
  offset_ += kRecordHeader + length + kRecordFooter;
  return true;
}

void append_record(std::string& out, std::string_view record) {
  const size_t begin = out.size();
  append_le<uint64_t>(out, record.size());
  append_le<uint32_t>(out, mask_crc(crc32c(std::string_view(out).substr(begin, 8))));
  out += record;
  append_le<uint32_t>(out, mask_crc(crc32c(record)));
}

RecordWriter::RecordWriter(int fd, std::string path, Compression compression)
    : fd_(fd), path_(std::move(path)) {
  if (compression != Compression::kNone) {
    deflater_ = std::make_unique<Deflater>(
        compression == Compression::kGzip ? DeflateFormat::kGzip : DeflateFormat::kZlib);
  }
}

RecordWriter::~RecordWriter() {
  if (fd_ >= 0) ::close(fd_);
}

StatusOr<std::unique_ptr<RecordWriter>> RecordWriter::create(const std::string& path,
                                                             Compression compression) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return errno_status(errno, "creating", path);
  return std::unique_ptr<RecordWriter>(new RecordWriter(fd, path, compression));
}

Status RecordWriter::write_pending() {
  while (!pending_.empty()) {
    const ssize_t wrote = ::write(fd_, pending_.data(), pending_.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno_status(errno, "writing", path_);
    pending_.erase(0, static_cast<size_t>(wrote));
  }
  return absl::OkStatus();
}

Status RecordWriter::append(std::string_view record) {
  constexpr size_t kBuffered = 1 << 16;
  if (deflater_) {
    std::string framed;
    append_record(framed, record);
    deflater_->append(framed, pending_);
  } else {
    append_record(pending_, record);
  }
  return pending_.size() < kBuffered ? absl::OkStatus() : write_pending();
}

Status RecordWriter::flush() {
  if (deflater_) deflater_->flush(pending_);
  return write_pending();
}

Status RecordWriter::close() {
  if (deflater_) deflater_->finish(pending_);
  TENON_RETURN_IF_ERROR(write_pending());
  if (::close(std::exchange(fd_, -1)) != 0) return errno_status(errno, "closing", path_);
  return absl::OkStatus();
}

}  // namespace tenon
