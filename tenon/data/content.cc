#include "tenon/data/content.h"

#include <unistd.h>

#include <cerrno>

#include "tenon/base/files.h"
#include "tenon/io/byte_source.h"
#include "tenon/io/gzip.h"

namespace tenon::data {

namespace {

constexpr uint64_t kMaxBytes = uint64_t{4} << 30;
// Text is judged by so many of its first bytes.
constexpr size_t kLookedAt = 4096;
constexpr std::string_view kGzipMagic = "\x1f\x8b", kZipMagic = "PK\x03\x04",
                           kNpyMagic = "\x93NUMPY";

// Files that people try, by their first bytes, and what to do about them.
constexpr struct {
  std::string_view magic, what;
} kForeign[] = {
    {"PAR1", "a Parquet file; write it as CSV or NPZ"},
    {"\x89HDF", "an HDF5 file; write its arrays as NPZ"},
    {"SQLite", "an SQLite database; write its table as CSV"},
    {"\x89PNG", "a PNG image; name the folder of the images"},
    {"\xff\xd8\xff", "a JPEG image; name the folder of the images"},
    {"\xff\xfe", "text in UTF-16; save it as UTF-8"},
    {"\xfe\xff", "text in UTF-16; save it as UTF-8"},
    {"BZh", "a bzip2 file; gzip is read"},
    {std::string_view("\xfd"
                      "7zXZ"),
     "an xz file; gzip is read"},
    {"\x28\xb5\x2f\xfd", "a zstd file; gzip is read"},
};

StatusOr<std::string> read_standard_input() {
  std::string bytes;
  std::vector<char> block(1 << 16);
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno_status(errno, "cannot read", "standard input");
    if (count == 0) return bytes;
    bytes.append(block.data(), static_cast<size_t>(count));
    if (bytes.size() > kMaxBytes) {
      return resource_exhausted("standard input gives more than ", kMaxBytes, " bytes");
    }
  }
}

bool looks_like_text(std::string_view bytes) {
  bytes = bytes.substr(0, kLookedAt);
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\v';
  });
}

Status judge(Content& content) {
  const std::string_view bytes = content.bytes;
  if (bytes.empty()) return invalid_argument("the file is empty");
  if (bytes.starts_with(kNpyMagic)) {
    content.kind = ContentKind::kNpy;
    return absl::OkStatus();
  }
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0) {
    content.kind = ContentKind::kIdx;
    return absl::OkStatus();
  }
  for (const auto& foreign : kForeign) {
    if (bytes.starts_with(foreign.magic)) {
      return invalid_argument("this is ", foreign.what, "; ", known_kinds());
    }
  }
  if (!looks_like_text(bytes)) {
    return invalid_argument("these are bytes of no kind that is known; ", known_kinds());
  }
  content.kind = ContentKind::kCsv;
  return absl::OkStatus();
}

}  // namespace

std::string known_kinds() {
  return "CSV, IDX, NPY and NPZ are read, all but NPZ also gzipped or from standard input ('-'), "
         "TFRecords, and folders of images";
}

StatusOr<Content> read_content(const std::string& path) {
  Content content;
  const bool from_input = path == "-";
  content.name = from_input ? "standard input" : path;
  if (from_input) {
    TENON_ASSIGN_OR_RETURN(content.bytes, read_standard_input());
  } else {
    TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
    std::array<char, 4> start{};
    if (file->size() >= start.size()) TENON_RETURN_IF_ERROR(file->read(0, start));
    if (std::string_view(start.data(), start.size()) == kZipMagic) {
      content.kind = ContentKind::kNpz;
      return content;
    }
    TENON_ASSIGN_OR_RETURN(content.bytes, read_file(path, kMaxBytes));
  }
  if (content.bytes.starts_with(kGzipMagic)) {
    TENON_ASSIGN_OR_RETURN(content.bytes,
                           inflate(content.bytes, DeflateFormat::kGzip, kMaxBytes, content.name));
  }
  if (content.bytes.starts_with(kZipMagic)) {
    return invalid_argument(content.name, ": a zip archive is read from a plain file only");
  }
  if (const Status status = judge(content); !status.ok()) {
    return with_context(status, content.name);
  }
  const bool marked = content.kind == ContentKind::kCsv && content.bytes.starts_with(kUtf8Mark);
  if (marked) content.bytes.erase(0, kUtf8Mark.size());
  return content;
}

StatusOr<Content> peek_content(const std::string& path) {
  Content content;
  content.name = path;
  TENON_ASSIGN_OR_RETURN(const auto source, open_source(path));
  content.bytes.resize(kLookedAt);
  TENON_ASSIGN_OR_RETURN(const size_t got, read_fully(*source, content.bytes));
  content.bytes.resize(got);
  if (content.bytes.starts_with(kZipMagic)) {
    content.kind = ContentKind::kNpz;
    return content;
  }
  if (const Status status = judge(content); !status.ok()) return with_context(status, path);
  return content;
}

}  // namespace tenon::data
