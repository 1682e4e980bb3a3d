#include <sys/stat.h>

#include "tenon/image/archive/compression.h"
#include "tenon/image/archive/sha256.h"
#include "tenon/image/archive/tar.h"
#include "tenon/image/archive/zip.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {
namespace {

std::string pattern_bytes(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 28);
  return bytes;
}

TarEntry file_entry(std::string path, uint64_t size) {
  TarEntry entry;
  entry.path = std::move(path);
  entry.mode = 0644;
  entry.size = size;
  return entry;
}

// One 512-byte header with the checksum of its bytes, for hostile archives.
std::string raw_header(std::string_view name, char type, std::string_view size_octal,
                       std::string_view link = {}) {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  block.replace(100, 7, "0000644");
  block.replace(108, 7, "0000000");
  block.replace(116, 7, "0000000");
  block.replace(124, size_octal.size(), size_octal);
  block.replace(136, 11, "00000000000");
  block[156] = type;
  block.replace(157, link.size(), link);
  block.replace(257, 8, std::string_view("ustar\00000", 8));
  block.replace(148, 8, "        ");
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  for (int i = 5; i >= 0; --i, sum >>= 3) block[148 + i] = static_cast<char>('0' + (sum & 7));
  block[154] = '\0';
  return block;
}

Status read_whole(std::string_view tar) {
  StringSource source(tar);
  TarReader reader(source, "test.tar");
  TarEntry entry;
  while (true) {
    TENON_ASSIGN_OR_RETURN(const bool more, reader.next(entry));
    if (!more) return {};
  }
}

TEST(Sha256, GivesTheStandardsVector) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_FALSE(hex_of_digest("sha256:../../etc/passwd").ok());
}

TEST(Compression, GzipOfAnyThreadCountIsOneStreamThatGzipReads) {
  const std::string plain = pattern_bytes(3'500'001);
  std::string first;
  for (int threads : {1, 2, 5}) {
    StringSink sink;
    const auto compressor = make_compressor(Compression::kGzip, sink, threads);
    ASSERT_TRUE(compressor->write(std::string_view(plain).substr(0, 1'000'003)).ok());
    ASSERT_TRUE(compressor->write(std::string_view(plain).substr(1'000'003)).ok());
    ASSERT_TRUE(compressor->finish().ok());
    const std::string packed = sink.take();
    if (first.empty()) first = packed;
    EXPECT_EQ(packed, first) << threads;
  }
  const auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "x.gz");
  ASSERT_TRUE(write_file(path, first).ok());
  ASSERT_TRUE(run_tool({"gzip", "-d", path}).ok());
  EXPECT_EQ(*read_file(join_path(folder->path(), "x")), plain);
}

TEST(Compression, ReadsWhatTheToolsWriteAndRefusesTruncation) {
  const std::string plain = pattern_bytes(400'000);
  for (const char* tool : {"gzip", "xz", "zstd"}) {
    const auto folder = TemporaryDirectory::create();
    const std::string path = join_path(folder->path(), "x");
    ASSERT_TRUE(write_file(path, plain).ok());
    const std::string suffix = std::string_view(tool) == "gzip" ? ".gz" : "";
    ASSERT_TRUE(run_tool({"sh", "-c", cat(tool, " -c ", path, " > ", path, ".packed")}).ok());
    const std::string packed = *read_file(path + ".packed");
    StringSource raw(packed);
    const auto source = open_compressed(raw, tool);
    ASSERT_TRUE(source.ok());
    const auto all = read_all(**source, 1 << 20, tool);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(*all, plain) << tool;
    StringSource cut(std::string_view(packed).substr(0, packed.size() / 2));
    const auto half = open_compressed(cut, tool);
    EXPECT_EQ(read_all(**half, 1 << 20, tool).status().code(), absl::StatusCode::kDataLoss) << tool;
  }
}

TEST(Tar, GnuTarListsWhatTheWriterWrites) {
  StringSink sink;
  TarWriter writer(sink);
  const std::string long_path = std::string(120, 'd') + "/" + std::string(120, 'f');
  TarEntry folder;
  folder.path = "a";
  folder.type = EntryType::kDirectory;
  folder.mode = 01777;
  ASSERT_TRUE(writer.add(folder).ok());
  ASSERT_TRUE(writer.add(file_entry("a/x", 5)).ok());
  ASSERT_TRUE(writer.content("hello").ok());
  TarEntry link;
  link.path = "a/y";
  link.type = EntryType::kSymlink;
  link.mode = 0777;
  link.link = std::string(150, 't');
  link.uid = 65532;
  ASSERT_TRUE(writer.add(link).ok());
  ASSERT_TRUE(writer.add(file_entry(long_path, 0)).ok());
  ASSERT_TRUE(writer.add(file_entry(std::string(300, 'n'), 0)).ok());
  ASSERT_TRUE(writer.add(file_entry("b/\xc3\xa9", 0)).ok());
  ASSERT_TRUE(writer.finish().ok());
  const auto scratch = TemporaryDirectory::create();
  const std::string path = join_path(scratch->path(), "x.tar");
  ASSERT_TRUE(write_file(path, sink.take()).ok());
  const auto listing =
      run_tool({"tar", "--numeric-owner", "--quoting-style=literal", "--utc", "-tvf", path});
  ASSERT_TRUE(listing.ok()) << listing.status();
  const auto lines = split(*listing, '\n');
  EXPECT_EQ(lines[0], "drwxrwxrwt 0/0               0 1970-01-01 00:00 a/");
  EXPECT_EQ(lines[1], "-rw-r--r-- 0/0               5 1970-01-01 00:00 a/x");
  EXPECT_EQ(lines[2], cat("lrwxrwxrwx 65532/0           0 1970-01-01 00:00 a/y -> ", link.link));
  EXPECT_TRUE(lines[3].ends_with(long_path));
  EXPECT_TRUE(lines[4].ends_with(std::string(300, 'n')));
  EXPECT_TRUE(lines[5].ends_with("b/\xc3\xa9"));
}

TEST(Tar, ReaderTakesGnuAndPaxLongNames) {
  const auto scratch = TemporaryDirectory::create();
  const std::string name = cat(std::string(110, 'd'), "/", std::string(200, 'f'));
  const std::string place = join_path(scratch->path(), name);
  ASSERT_TRUE(create_directories(place.substr(0, place.rfind('/'))).ok());
  ASSERT_TRUE(write_file(place, "content").ok());
  for (const char* format : {"gnu", "pax"}) {
    const std::string tar = join_path(scratch->path(), format);
    ASSERT_TRUE(run_tool({"tar", cat("--format=", format), "-C", scratch->path(), "-cf", tar,
                          std::string(110, 'd')})
                    .ok());
    const std::string bytes = *read_file(tar);
    StringSource source(bytes);
    TarReader reader(source, format);
    TarEntry entry;
    ASSERT_TRUE(*reader.next(entry));
    EXPECT_EQ(entry.type, EntryType::kDirectory);
    ASSERT_TRUE(*reader.next(entry));
    EXPECT_EQ(entry.path, name) << format;
    EXPECT_EQ(entry.size, 7U);
    EXPECT_FALSE(*reader.next(entry));
  }
}

TEST(Tar, HostileEntriesAreRefused) {
  const std::string end(1024, '\0');
  EXPECT_EQ(read_whole(raw_header("../etc/passwd", '0', "00000000000") + end).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read_whole(raw_header("/etc/passwd", '0', "00000000000") + end).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read_whole(raw_header("x", '1', "00000000000", "../../etc/shadow") + end).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read_whole(raw_header("sparse", 'S', "00000000000") + end).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read_whole(raw_header("huge", '0', "777777777777") + end).code(),
            absl::StatusCode::kResourceExhausted);
  std::string damaged = raw_header("x", '0', "00000000000") + end;
  damaged[0] = 'y';
  EXPECT_EQ(read_whole(damaged).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(read_whole(raw_header("short", '0', "00000001000")).code(),
            absl::StatusCode::kDataLoss);
}

TEST(Tar, TenGigabytesClaimedBySparsePaxAreRefused) {
  const std::string record = "30 GNU.sparse.realsize=1000000\n";
  std::string tar = raw_header("pax", 'x', "00000000037") + record;
  tar.resize(1024, '\0');
  tar += raw_header("x", '0', "00000000000");
  EXPECT_EQ(read_whole(tar).code(), absl::StatusCode::kInvalidArgument);
}

TEST(Tar, EveryPrefixOfAnArchiveEndsInAnErrorNotACrash) {
  StringSink sink;
  TarWriter writer(sink);
  ASSERT_TRUE(writer.add(file_entry(std::string(150, 'n'), 700)).ok());
  ASSERT_TRUE(writer.content(std::string(700, 'x')).ok());
  ASSERT_TRUE(writer.finish().ok());
  const std::string tar = sink.take();
  for (size_t size = 1; size < tar.size() - 1024; size += 37) {
    (void)read_whole(std::string_view(tar).substr(0, size));
  }
  for (size_t at = 0; at < 512; ++at) {
    std::string flipped = tar;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x80);
    (void)read_whole(flipped);
  }
}

TEST(Zip, ReadsWhatPythonWrites) {
  const auto scratch = TemporaryDirectory::create();
  const std::string path = join_path(scratch->path(), "x.whl");
  ASSERT_TRUE(run_tool({"python3", "-c",
                        "import sys, zipfile\n"
                        "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
                        "z.writestr('a/b.txt', 'x' * 100000, zipfile.ZIP_DEFLATED)\n"
                        "z.writestr('c', 'stored')\n"
                        "z.close()",
                        path})
                  .ok());
  const auto file = RandomAccessFile::open(path);
  std::map<std::string, std::string> found;
  const Status status =
      for_each_zip_entry(**file, "x.whl", [&](const ZipEntry& entry, ByteSource& source) -> Status {
        TENON_ASSIGN_OR_RETURN(found[entry.path], read_all(source, 1 << 20, entry.path));
        return {};
      });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(found["a/b.txt"], std::string(100000, 'x'));
  EXPECT_EQ(found["c"], "stored");
}

TEST(Zip, PathsOutOfTheArchiveAreRefused) {
  const auto scratch = TemporaryDirectory::create();
  const std::string path = join_path(scratch->path(), "x.whl");
  ASSERT_TRUE(run_tool({"python3", "-c",
                        "import sys, zipfile\n"
                        "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
                        "z.writestr('../evil', 'x')\n"
                        "z.close()",
                        path})
                  .ok());
  const auto file = RandomAccessFile::open(path);
  EXPECT_EQ(
      for_each_zip_entry(**file, "x.whl", [](const ZipEntry&, ByteSource&) { return Status(); })
          .code(),
      absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::image
