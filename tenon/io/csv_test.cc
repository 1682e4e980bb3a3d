#include "tenon/io/csv.h"

#include "tenon/io/gzip.h"
#include "tenon/io/idx.h"

namespace tenon {
namespace {

using Rows = std::vector<std::vector<std::string>>;

class Csv : public testing::Test {
 protected:
  StatusOr<Rows> read(const std::string& text, const CsvOptions& options = {}) {
    path_ = join_path(folder_->path(), "data.csv");
    TENON_RETURN_IF_ERROR(write_file(path_, text));
    TENON_ASSIGN_OR_RETURN(CsvReader reader, CsvReader::open(path_, options));
    columns_ = reader.columns();
    Rows rows;
    std::vector<std::string_view> fields;
    for (;;) {
      TENON_ASSIGN_OR_RETURN(const bool more, reader.next(fields));
      if (!more) return rows;
      rows.emplace_back(fields.begin(), fields.end());
      last_line_ = reader.line();
    }
  }
  StatusOr<TemporaryDirectory> folder_ = TemporaryDirectory::create();
  std::string path_;
  std::vector<std::string> columns_;
  int64_t last_line_ = 0;
};

// The examples of RFC 4180, section 2.
TEST_F(Csv, ReadsTheExamplesOfRfc4180) {
  const CsvOptions plain{.header = CsvHeader::kAbsent};
  EXPECT_EQ(*read("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", plain),
            (Rows{{"aaa", "bbb", "ccc"}, {"zzz", "yyy", "xxx"}}));
  EXPECT_EQ(*read("aaa,bbb,ccc\r\nzzz,yyy,xxx", plain),
            (Rows{{"aaa", "bbb", "ccc"}, {"zzz", "yyy", "xxx"}}));
  EXPECT_EQ(*read("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nzzz,yyy,xxx", plain),
            (Rows{{"aaa", "b\r\nbb", "ccc"}, {"zzz", "yyy", "xxx"}}));
  EXPECT_EQ(last_line_, 3);
  EXPECT_EQ(*read("\"aaa\",\"b\"\"bb\",\"ccc\"", plain), (Rows{{"aaa", "b\"bb", "ccc"}}));
  EXPECT_EQ(*read("field_name,field_name2\r\naaa,\r\n", {.header = CsvHeader::kPresent}),
            (Rows{{"aaa", ""}}));
  EXPECT_EQ(columns_, (std::vector<std::string>{"field_name", "field_name2"}));
}

TEST_F(Csv, DetectsAHeader) {
  EXPECT_EQ(read("\xef\xbb\xbfx,y\n1,2\n\n3,4\n")->size(), 2u);
  EXPECT_EQ(columns_, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(read("1,2\n3,4\n")->size(), 2u);
  EXPECT_EQ(columns_, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(read("a,b\nc,d\n")->size(), 2u);
  EXPECT_EQ(read("a;b\n1;d\n", {.separator = ';'})->size(), 1u);
}

TEST_F(Csv, NamesFileLineAndColumnsOfARaggedRow) {
  const auto rows = read("x,y\n1,2\n3\n");
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(message_of(rows.status()), cat("'", path_, "' line 3 has 1 columns, expected 2"));
  EXPECT_EQ(read("1,2\n3,4,5\n").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read("1,\"2\n3,4\n").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(read(std::string(100, 'x'), {.row_limit = 50}).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(Csv, ReadsGzippedFilesOfManyBuffers) {
  std::string text = "a,b\n";
  for (int i = 0; i < 50000; ++i) text += cat(i, ",", i * 2, "\n");
  const auto rows = read(deflate(text, DeflateFormat::kGzip));
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 50000u);
  for (int i = 0; i < 50000; ++i) ASSERT_EQ((*rows)[size_t(i)][1], cat(i * 2));
}

// MNIST's test set as it is distributed: 10,000 images, the first ten labels are known.
TEST(Idx, ReadsMnist) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/data/mnist10k/";
  auto images = read_idx(folder + "t10k-images-idx3-ubyte.gz");
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->dtype(), DType::kUint8);
  EXPECT_EQ(images->shape(), (Shape{10000, 28, 28}));
  auto labels = read_idx(folder + "t10k-labels-idx1-ubyte.gz");
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->shape(), (Shape{10000}));
  const int first[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(labels->data<uint8_t>()[i], first[i]);
}

TEST(Idx, ReadsBigEndianNumbersAndRefusesBrokenFiles) {
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "x");
  const std::string good("\0\0\x0b\x01\0\0\0\x02\x01\x02\xff\xfe", 12);
  ASSERT_TRUE(write_file(path, good).ok());
  auto tensor = read_idx(path);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data<int16_t>()[0], 0x0102);
  EXPECT_EQ(tensor->data<int16_t>()[1], -2);
  for (const std::string& broken :
       {good.substr(0, 3), good.substr(0, 7), good.substr(0, 11), good + "x",
        std::string("\0\0\x0a\x01\0\0\0\x02", 8),
        std::string("\0\0\x0b\x04", 4) + std::string(16, '\xff'), std::string("\0\0\x0b\xff", 4)}) {
    ASSERT_TRUE(write_file(path, broken).ok());
    EXPECT_FALSE(read_idx(path).ok());
  }
}

}  // namespace
}  // namespace tenon
