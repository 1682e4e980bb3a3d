#include "tenon/data/files.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/data/named_rows.h"
#include "tenon/data/open_rows.h"
#include "tenon/io/gzip.h"
#include "tenon/io/npy.h"

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
    return read_table(write("bad.csv", text), options).status();
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
  const auto table =
      read_table(write("b.csv", "1,setosa\n2,virginica\n3,setosa\n4,\"ver\"\"si\"\n"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->names.classes, (std::vector<std::string>{"setosa", "ver\"si", "virginica"}));
  const int64_t expected[] = {0, 2, 0, 1};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(table->y.data<int64_t>()[i], expected[i]);
}

// float32 has 24 bits: 16777217 would become 16777216.
TEST_F(Files, IntegersKeepTheirBits) {
  const std::string path =
      write("ids.csv", "user,item,label\n16777217,9223372036854775807,0\n-3, 4.0 ,1\n");
  const FileOptions options{.take = Features::kIntegers};
  const std::vector<int64_t> expected = {16777217, 9223372036854775807, -3, 4};
  const auto table = read_table(path, options);
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->x.dtype(), DType::kInt64);
  EXPECT_EQ(std::vector<int64_t>(table->x.data<int64_t>(), table->x.data<int64_t>() + 4), expected);
  const auto stream = open_rows(path, options);
  ASSERT_TRUE(stream.ok()) << stream.status();
  const auto rows = stream->rows->iterate(0);
  for (size_t row = 0; row < 2; ++row) {
    Element element;
    ASSERT_TRUE(*(*rows)->next(element));
    EXPECT_EQ(element[0].data<int64_t>()[1], expected[2 * row + 1]);
  }
  const auto named = open_named_rows(
      path, {{.name = "user", .row = PartialShape(Shape{}), .is_integer = true}}, {});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ((*named->collect())[0].data<int64_t>()[0], 16777217);
  for (const char* cell : {"2.5", "9223372036854775808", "1e30"}) {
    const Status status = csv_error(cat("a,label\n", cell, ",0\n"), options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << cell;
  }
}

// Latin-1, as old spreadsheets write it: the names could not be kept as they are.
TEST_F(Files, ClassesAreUtf8) {
  const Status status = csv_error("1,caf\xe9\n2,the\n");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(message_of(status).find("caf\\xe9"), std::string::npos) << status;
  const auto table = read_table(write("utf8.csv", "1,caf\xc3\xa9\n2,th\xc3\xa9\n"));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->names.classes, (std::vector<std::string>{"caf\xc3\xa9", "th\xc3\xa9"}));
}

TEST_F(Files, CsvLabelColumnByNameByIndexOrNone) {
  const std::string path = write("c.csv", "a,b,c\n1,2,3\n4,5,6\n");
  EXPECT_EQ(read_table(path, {.label_column = "a"})->y.data<int64_t>()[1], 4);
  EXPECT_EQ(read_table(path, {.label_column = "1"})->y.data<int64_t>()[1], 5);
  const auto none = read_table(path, {.use_labels = Labels::kNone});
  EXPECT_EQ(none->x.shape(), Shape({2, 3}));
  EXPECT_FALSE(none->y.has_value());
  EXPECT_EQ(read_table(path, {.label_column = "z"}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(read_table(write("d.csv", "1,0.5\n2,1.5\n"))->y.dtype(), DType::kFloat);
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

// Rows and columns of x, and the labels.
void expect_table(const StatusOr<Table>& table, const Shape& x, std::vector<int64_t> y) {
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->x.shape(), x);
  ASSERT_EQ(table->y.dtype(), DType::kInt64);
  EXPECT_EQ(integers_of(table->y), y);
}

TEST_F(Files, CsvByteOrderMarkIsNoPartOfTheFirstName) {
  const auto table = read_table(write("bom.csv", "\xef\xbb\xbflabel,a,b\n0,1,2\n1,3,4\n"));
  expect_table(table, {2, 2}, {0, 1});
  EXPECT_EQ(table->x.data<float>()[0], 1);
}

TEST_F(Files, CsvSeparatorsAndLineEndsAreFound) {
  for (const char* text : {"a;b;label\n1,5;2;0\n1;2;1\n", "a;b;label\n1;2;0\n3;4;1\n",
                           "a\tb\tlabel\n1\t2\t0\n3\t4\t1\n", "a|b|label\r\n1|2|0\r\n3|4|1\r\n",
                           "a,b,label\r1,2,0\r3,4,1\r", "\"a;a;a\",b,label\n1,2,0\n3,4,1\n"}) {
    const auto table = read_table(write("s.txt", text));
    if (std::string_view(text).find("1,5;") != std::string_view::npos) {
      EXPECT_NE(message_of(table.status()).find("decimal point"), std::string_view::npos)
          << table.status();
    } else {
      expect_table(table, {2, 2}, {0, 1});
    }
  }
  expect_table(read_table(write("t.csv", "1:2:0\n3:4:1\n"), {.separator = ':'}), {2, 2}, {0, 1});
  EXPECT_NE(message_of(read_table(write("t.csv", "1:2:0\n3:4:1\n")).status()).find("--separator"),
            std::string_view::npos);
}

TEST_F(Files, CsvHeaderIsFoundOrSaid) {
  // What pandas' to_csv(index=False) writes of an array, alone and with a column of names.
  expect_table(read_table(write("h.csv", "0,1,2\n1,2,0\n3,4,1\n")), {2, 2}, {0, 1});
  expect_table(read_table(write("h.csv", "0,1,2\n1,2,0\n3,4,1\n"), {.header = CsvHeader::kNo}),
               {3, 2}, {2, 0, 1});
  expect_table(read_table(write("h.csv", "1,2,0\n3,4,1\n"), {.header = CsvHeader::kYes}), {1, 2},
               {1});
  expect_table(read_table(write("h.csv", "0,1,2\n5.1,3.5,setosa\n4.9,3,virginica\n")), {2, 2},
               {0, 1});
  expect_table(read_table(write("h.csv", "0,1,kind\n5.1,3.5,setosa\n4.9,3,virginica\n")), {2, 2},
               {0, 1});
  expect_table(read_table(write("h.csv", "2019,2020,label\n5,3,1\n4,3,0\n")), {2, 2}, {1, 0});
  expect_table(read_table(write("h.csv", "1,setosa\n2,virginica\n")), {2, 1}, {0, 1});
  expect_table(read_table(write("h.csv", "0,cat\n0,cat\n10,dog\n")), {3, 1}, {0, 0, 1});
  // A slip of the pen in the first row is no header.
  EXPECT_FALSE(read_table(write("h.csv", "1x,2,3,0\n1,2,3,1\n1,2,3,0\n")).ok());
}

TEST_F(Files, CsvColumnsAreChosenByName) {
  const std::string path = write("n.csv", "id,b,city,a,kind\n7,1,Oslo,2,cat\n8,3,,4,dog\n");
  const auto table = read_table(path, {.label_column = "kind", .features = {"a", "b"}});
  expect_table(table, {2, 2}, {0, 1});
  const float expected[] = {2, 1, 4, 3};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(table->x.data<float>()[i], expected[i]);
  expect_table(read_table(path, {.label_column = "4", .features = {"3"}}), {2, 1}, {0, 1});
  const auto refused = [&](FileOptions options, std::string_view what) {
    const Status status = read_table(path, options).status();
    EXPECT_NE(message_of(status).find(what), std::string_view::npos) << status;
  };
  refused({.features = {"a", "c"}}, "'c'");
  refused({.label_column = "a", .features = {"a"}}, "label");
  // Texts and missing values: which column, and what to do.
  refused({.features = {"a", "city"}}, "column 3 ('city')");
  refused({.features = {"a", "city"}}, "--features");
  for (const char* missing : {"", "NA", "nan", "null", "?"}) {
    const Status status =
        read_table(write("m.csv", cat("a,b,label\n1,2,0\n1,", missing, ",1\n"))).status();
    EXPECT_NE(message_of(status).find("m.csv:3: column 2 ('b'): a missing value"),
              std::string_view::npos)
        << status;
  }
}

TEST_F(Files, ClassesOfTheModelDecide) {
  const std::string path = write("c.csv", "a,label\n10,dog\n20,zebra\n");
  const std::vector<std::string> classes = {"cat", "dog", "zebra"};
  expect_table(read_table(path, {.use_labels = Labels::kKnown, .names = {.classes = classes}}),
               {2, 1}, {1, 2});
  expect_table(read_table(path, {.names = {.classes = classes}}), {2, 1}, {1, 2});
  const auto unknown = read_table(write("u.csv", "a,label\n1,dog\n2,cow\n"),
                                  {.use_labels = Labels::kKnown, .names = {.classes = classes}});
  EXPECT_NE(message_of(unknown.status()).find("u.csv:3"), std::string_view::npos);
  EXPECT_NE(message_of(unknown.status()).find("'cow'"), std::string_view::npos);
  // Numbers are texts to a model of texts; texts are nothing to a model of numbers.
  EXPECT_FALSE(read_table(write("u.csv", "a,label\n1,1\n2,0\n"),
                          {.use_labels = Labels::kKnown, .names = {.classes = classes}})
                   .ok());
  EXPECT_FALSE(read_table(path, {.use_labels = Labels::kKnown}).ok());
}

TEST_F(Files, ArraysOfTextsAreLabelsToo) {
  const std::string path = join_path(folder_.path(), "t.npz");
  const std::string texts[] = {"dog", "cat", "dog"};
  const std::pair<std::string, Tensor> arrays[] = {{"x", Tensor(DType::kFloat, {3, 2})},
                                                   {"y", Tensor::strings({3}, texts)}};
  ASSERT_TRUE(write_npz(path, arrays).ok());
  const auto table = read_table(path);
  expect_table(table, {3, 2}, {1, 0, 1});
  EXPECT_EQ(table->names.classes, (std::vector<std::string>{"cat", "dog"}));
}

TEST_F(Files, KindsAreFoundByContent) {
  const std::string text = "a,label\n1,0\n2,1\n";
  for (const char* name : {"DATA.CSV", "data.txt", "data", "data.npz", "data.npy"}) {
    expect_table(read_table(write(name, text)), {2, 1}, {0, 1});
  }
  expect_table(read_table(write("data.csv.gz", deflate(text, DeflateFormat::kGzip))), {2, 1},
               {0, 1});
  const auto npy = encode_npy(Tensor::vector<float>({1, 2, 3}));
  ASSERT_TRUE(npy.ok());
  EXPECT_EQ(read_table(write("array.csv", *npy))->x.shape(), Shape({3}));
  for (std::string_view other :
       {std::string_view("Dear diary, no numbers today.\n"), std::string_view("just a note\n"),
        std::string_view("PAR1\x15\x04"), std::string_view("PK\x03\x04 no archive"),
        std::string_view(""), std::string_view("\x01\x02\x03\x04", 4)}) {
    const Status status = read_table(write("note.txt", other)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << other;
    EXPECT_NE(message_of(status).find("note.txt"), std::string_view::npos) << status;
  }
  for (std::string_view other : {"just a note\n", "PAR1\x15\x04", "PK\x03\x04 no archive"}) {
    const Status status = read_table(write("note.txt", other)).status();
    EXPECT_NE(message_of(status).find("NPZ"), std::string_view::npos) << status;
  }
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
  const auto tensor = decode_idx(bytes, "e");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape(), Shape({1, 2}));
  EXPECT_EQ(tensor->data<int16_t>()[0], 0x0102);
  EXPECT_EQ(tensor->data<int16_t>()[1], -2);
}

TEST_F(Files, BrokenIdxIsAnError) {
  EXPECT_FALSE(decode_idx("", "f").ok());
  EXPECT_FALSE(decode_idx("hello world", "f").ok());
  EXPECT_EQ(decode_idx(std::string("\0\0\x08\x03\0\0", 6), "f").status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(decode_idx(std::string("\0\0\x08\x01\0\0\0\x09x", 9), "f").status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_FALSE(
      decode_idx(std::string("\0\0\x0e\x02\xff\xff\xff\xff\xff\xff\xff\xff", 12), "f").ok());
}

}  // namespace
}  // namespace tenon::data
