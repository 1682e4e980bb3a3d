#include "tenon/data/files.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"

namespace tenon::data {
namespace {

class Files : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view text) {
    const std::string path = join_path(folder_.path(), name);
    EXPECT_TRUE(write_file(path, text).ok());
    return path;
  }
  Status csv_error(std::string_view text, const FileOptions& options = {}) {
    return read_csv(write("bad.csv", text), options).status();
  }
  TemporaryDirectory folder_ = *TemporaryDirectory::create();
};

TEST_F(Files, CsvTakesHeaderLabelsAndQuotes) {
  const auto table =
      read_table(write("a.csv", "w,\"h, cm\",label\r\n1,2.5,3\r\n\"4\",+5e-1,0\r\n"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->x.shape(), Shape({2, 2}));
  const float expected[] = {1, 2.5, 4, 0.5};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(table->x.data<float>()[i], expected[i]);
  ASSERT_EQ(table->y.dtype(), DType::kInt64);
  EXPECT_EQ(table->y.data<int64_t>()[0], 3);
  EXPECT_EQ(table->y.data<int64_t>()[1], 0);
}

TEST_F(Files, CsvTextLabelsBecomeClassesInSortedOrder) {
  const auto table = read_csv(write("b.csv", "1,setosa\n2,virginica\n3,setosa\n4,\"ver\"\"si\"\n"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->classes, (std::vector<std::string>{"setosa", "ver\"si", "virginica"}));
  const int64_t expected[] = {0, 2, 0, 1};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(table->y.data<int64_t>()[i], expected[i]);
}

TEST_F(Files, CsvLabelColumnByNameByIndexOrNone) {
  const std::string path = write("c.csv", "a,b,c\n1,2,3\n4,5,6\n");
  EXPECT_EQ(read_csv(path, {.label_column = "a"})->y.data<int64_t>()[1], 4);
  EXPECT_EQ(read_csv(path, {.label_column = "1"})->y.data<int64_t>()[1], 5);
  const auto none = read_csv(path, {.with_labels = false});
  EXPECT_EQ(none->x.shape(), Shape({2, 3}));
  EXPECT_FALSE(none->y.has_value());
  EXPECT_EQ(read_csv(path, {.label_column = "z"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(read_csv(write("d.csv", "1,0.5\n2,1.5\n"))->y.dtype(), DType::kFloat);
}

TEST_F(Files, CsvErrorsNameTheLine) {
  for (const char* text :
       {"1,2,3\n4,5\n", "1,2\n3,4,5\n", "1,2\n,4\n", "1,2\nx,4\n", "1,2\n\"3,4\n"}) {
    const Status status = csv_error(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(message_of(status).find("bad.csv:2"), std::string::npos) << status;
  }
  EXPECT_FALSE(csv_error("").ok());
  EXPECT_FALSE(csv_error("a,b\n").ok());
}

TEST_F(Files, IdxReadsMnist) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/data/mnist10k/";
  if (!path_exists(folder)) GTEST_SKIP() << "no MNIST here";
  const auto table = read_table(folder + "t10k-images-idx3-ubyte.gz",
                                {.labels = folder + "t10k-labels-idx1-ubyte.gz"});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->x.shape(), Shape({10000, 28, 28}));
  const uint8_t first_labels[] = {7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(table->y.data<uint8_t>()[i], first_labels[i]);
}

TEST_F(Files, IdxIsBigEndian) {
  const std::string bytes("\0\0\x0b\x02\0\0\0\x01\0\0\0\x02\x01\x02\xff\xfe", 16);
  const auto tensor = read_idx(write("e", bytes));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), Shape({1, 2}));
  EXPECT_EQ(tensor->data<int16_t>()[0], 0x0102);
  EXPECT_EQ(tensor->data<int16_t>()[1], -2);
}

TEST_F(Files, BrokenIdxIsAnError) {
  EXPECT_FALSE(read_idx(write("f", "")).ok());
  EXPECT_FALSE(read_idx(write("f", "hello world")).ok());
  EXPECT_EQ(read_idx(write("f", std::string("\0\0\x08\x03\0\0", 6))).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(read_idx(write("f", std::string("\0\0\x08\x01\0\0\0\x09x", 9))).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_FALSE(
      read_idx(write("f", std::string("\0\0\x0e\x02\xff\xff\xff\xff\xff\xff\xff\xff", 12))).ok());
}

}  // namespace
}  // namespace tenon::data
