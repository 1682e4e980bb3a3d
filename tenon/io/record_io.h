// TFRecord files: length-framed, checksummed records; GZIP or ZLIB over the whole file if wanted.
//
// Layout of a record (shared by tf.data, TensorBoard's event files and TensorFlow Serving's
// warm-up files): uint64 length, masked crc32c of the length, the bytes, masked crc32c of them.
#pragma once

#include "tenon/io/byte_source.h"
#include "tenon/io/gzip.h"

namespace tenon {

// Reads records one after another. Not thread-safe.
class RecordReader {
 public:
  static constexpr uint64_t kDefaultLimit = uint64_t{1} << 30;

  // Records longer than `limit` bytes are RESOURCE_EXHAUSTED.
  static StatusOr<RecordReader> open(const std::string& path,
                                     Compression compression = Compression::kNone,
                                     uint64_t limit = kDefaultLimit);
  explicit RecordReader(std::unique_ptr<ByteSource> source, uint64_t limit = kDefaultLimit)
      : source_(std::move(source)), limit_(limit) {}

  // The next record in `record`; false at the end. A file that is cut off or whose checksums do not
  // match is DATA_LOSS, naming file and offset; the reader is then of no more use.
  StatusOr<bool> next(std::string& record);

  // Where the next record begins (in the uncompressed bytes).
  uint64_t offset() const { return offset_; }

 private:
  Status fill(std::string& record, uint64_t length);
  Status cut_off() const;
  std::unique_ptr<ByteSource> source_;
  uint64_t limit_;
  uint64_t offset_ = 0;
};

// Appends `record` with its frame to `out`.
void append_record(std::string& out, std::string_view record);

// Writes a new file record by record, under its own name from the start: readers follow event files
// while they grow. For a file that must appear whole, see append_record() and AtomicFile.
class RecordWriter {
 public:
  static StatusOr<std::unique_ptr<RecordWriter>> create(
      const std::string& path, Compression compression = Compression::kNone);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  Status append(std::string_view record);
  Status flush();  // all that was appended can be read by others
  // Ends the file. Without it a compressed file is cut off.
  Status close();

 private:
  RecordWriter(int fd, std::string path, Compression compression);
  Status write_pending();
  int fd_;
  std::string path_;
  std::string pending_;
  std::unique_ptr<Deflater> deflater_;
};

}  // namespace tenon
