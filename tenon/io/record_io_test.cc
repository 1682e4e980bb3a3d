#include "tenon/io/record_io.h"

#include "tenon/base/wire.h"
#include "tenon/io/crc32c.h"

namespace tenon {
namespace {

const std::string kRecordCases = TENON_SOURCE_DIR "/../shared/cases/models/";

// RFC 3720, section B.4.
TEST(Crc32c, GivesTheVectorsOfRfc3720) {
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i);
  for (int i = 31; i >= 0; --i) descending += static_cast<char>(i);
  const std::pair<std::string, uint32_t> vectors[] = {{std::string(32, '\0'), 0x8a9136aau},
                                                      {std::string(32, '\xff'), 0x62a8ab43u},
                                                      {ascending, 0x46dd794eu},
                                                      {descending, 0x113fdb5cu}};
  for (const auto& [bytes, crc] : vectors) {
    EXPECT_EQ(crc32c(bytes), crc);
    EXPECT_EQ(crc32c_portable(0, bytes), crc);
    EXPECT_EQ(crc32c_extend(crc32c(bytes.substr(0, 13)), bytes.substr(13)), crc);
  }
  EXPECT_EQ(unmask_crc(mask_crc(0x46dd794eu)), 0x46dd794eu);
}

// The file's records are PredictionLog messages written by TensorFlow: field 6 (predict_log).
TEST(RecordReader, ReadsWarmupRecordsOfTensorFlow) {
  auto reader =
      RecordReader::open(kRecordCases + "cnn_digits/1/assets.extra/tf_serving_warmup_requests");
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::string record;
  int count = 0;
  for (;;) {
    auto more = reader->next(record);
    ASSERT_TRUE(more.ok()) << more.status();
    if (!*more) break;
    ++count;
    WireReader message(record);
    WireField field;
    while (message.next(field)) EXPECT_TRUE(field.number == 6 || field.number == 1);
    EXPECT_FALSE(message.malformed());
  }
  EXPECT_GE(count, 1);
}

TEST(RecordReader, FindsEveryFlippedByteAndEveryCut) {
  std::string file;
  append_record(file, "first");
  append_record(file, "");
  append_record(file, std::string(100, 'x'));
  const auto read_records = [](const std::string& bytes) {
    RecordReader reader(make_memory_source(bytes, "memory"));
    std::string record;
    for (;;) {
      auto more = reader.next(record);
      if (!more.ok()) return more.status();
      if (!*more) return absl::OkStatus();
    }
  };
  ASSERT_TRUE(read_records(file).ok());
  for (size_t i = 0; i < file.size(); ++i) {
    std::string broken = file;
    broken[i] = static_cast<char>(broken[i] ^ 0x10);
    EXPECT_EQ(read_records(broken).code(), absl::StatusCode::kDataLoss) << "byte " << i;
  }
  for (const size_t cut : {size_t{5}, size_t{12}, size_t{20}, file.size() - 1}) {
    EXPECT_EQ(read_records(file.substr(0, cut)).code(), absl::StatusCode::kDataLoss);
  }
}

TEST(RecordReader, RefusesARecordAboveTheLimit) {
  std::string file;
  append_record(file, std::string(1000, 'x'));
  RecordReader reader(make_memory_source(file, "memory"), 999);
  std::string record;
  EXPECT_EQ(reader.next(record).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(RecordWriter, CompressedFilesAreReadBack) {
  auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  for (const Compression compression :
       {Compression::kNone, Compression::kGzip, Compression::kZlib}) {
    const std::string path = join_path(folder->path(), "records");
    auto writer = RecordWriter::create(path, compression);
    ASSERT_TRUE(writer.ok());
    const std::string large(300000, 'a');
    ASSERT_TRUE((*writer)->append("one").ok());
    ASSERT_TRUE((*writer)->flush().ok());
    ASSERT_TRUE((*writer)->append(large).ok());
    ASSERT_TRUE((*writer)->close().ok());
    auto reader = RecordReader::open(path, compression);
    ASSERT_TRUE(reader.ok());
    std::string record;
    ASSERT_TRUE(*reader->next(record));
    EXPECT_EQ(record, "one");
    ASSERT_TRUE(*reader->next(record));
    EXPECT_EQ(record, large);
    EXPECT_FALSE(*reader->next(record));
  }
}

// RFC 1952 and 1950 streams of "hello" made by Python's gzip and zlib modules.
TEST(Inflate, ReadsWhatOthersCompressed) {
  const std::string gzip(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36\x05"
      "\x00\x00\x00",
      25);
  const std::string zlib("\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00\x06\x2c\x02\x15", 13);
  EXPECT_EQ(*inflate(gzip, DeflateFormat::kGzip, 5, "x"), "hello");
  EXPECT_EQ(*inflate(gzip + gzip, DeflateFormat::kGzip, 10, "x"), "hellohello");
  EXPECT_EQ(*inflate(zlib, DeflateFormat::kZlib, 5, "x"), "hello");
  EXPECT_EQ(inflate(gzip, DeflateFormat::kGzip, 4, "x").status().code(),
            absl::StatusCode::kResourceExhausted);
  for (size_t cut = 0; cut < gzip.size(); ++cut) {
    EXPECT_EQ(inflate(gzip.substr(0, cut), DeflateFormat::kGzip, 99, "x").status().code(),
              absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace tenon
