// Rows that are streamed are those that are read into memory, which other tests compare with
// TensorFlow's.
#include "tenon/data/open_rows.h"

#include "tenon/base/files.h"
#include "tenon/data/pipeline_test.h"
#include "tenon/data/transforms.h"
#include "tenon/io/gzip.h"
#include "tenon/io/record_io.h"

namespace tenon::data {
namespace {

const std::string kTestdata = TENON_SOURCE_DIR "/tenon/data/testdata/";

class OpenRows : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view bytes) {
    const std::string path = join_path(folder_.path(), name);
    EXPECT_TRUE(write_file(path, bytes).ok());
    return path;
  }
  TemporaryDirectory folder_ = *TemporaryDirectory::create();
};

std::string rows_of(const Table& table) {
  Element columns = {table.x};
  if (table.y.has_value()) columns.push_back(table.y);
  return text_of(*from_tensors(columns));
}

// Streamed twice as read, labels alone too.
void expect_same(const std::string& path, const FileOptions& options) {
  const auto table = read_table(path, options);
  ASSERT_TRUE(table.ok()) << table.status();
  const auto stream = open_rows(path, options);
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(Shape(table->x.shape().dims().subspan(1)), stream->shape) << path;
  EXPECT_EQ(table->names.classes, stream->names.classes) << path;
  EXPECT_EQ(table->names.features, stream->names.features) << path;
  const std::string expected = rows_of(*table);
  EXPECT_EQ(text_of(stream->rows, 0), expected) << path;
  EXPECT_EQ(text_of(stream->rows, 1), expected) << path;
  EXPECT_EQ(text_of(skip(stream->rows, 1)), expected.substr(expected.find('|') + 1)) << path;
  ASSERT_EQ(stream->labels != nullptr, table->y.has_value()) << path;
  if (stream->labels) {
    EXPECT_EQ(text_of(stream->labels), text_of(*from_tensors({table->y})));
  }
}

TEST_F(OpenRows, AreThoseOfTables) {
  const std::string csv =
      "\xef\xbb\xbfheight,\"the\nkind\",width\n1,cat,2\n3,\"d\"\"og\",4\r\n\n5,cat,6";
  for (const std::string& path :
       {write("a.csv", csv), write("a.csv.gz", deflate(csv, DeflateFormat::kGzip))}) {
    expect_same(path, {.label_column = "the\nkind"});
    expect_same(path, {.features = {"width"}, .use_labels = Labels::kNone});
    expect_same(path, {.label_column = "1", .names = {.classes = {"d\"og", "cat"}}});
  }
  expect_same(write("n.csv", "1,2,0\n3,4,1\n5,6,7\n"), {});
  expect_same(write("f.csv", "1;2;0\n3;4;1\n"), {.use_labels = Labels::kPassed});
  expect_same(write("r.csv", "1|2|0.5\n3|4|1\n"), {});
  expect_same(kTestdata + "images", {.images = {.height = 4, .width = 5}});
  for (const char* file : {"examples.tfrecord", "examples.tfrecord.gz"}) {
    expect_same(kTestdata + file, {.features = {"x"}});
    expect_same(kTestdata + file, {.label_column = "name", .features = {"label", "x"}});
    expect_same(kTestdata + file, {.features = {"x"}, .use_labels = Labels::kNone});
  }
}

// Records of all lengths, some with quoted ends of lines, across the blocks in which a file is
// read.
TEST_F(OpenRows, OfACsvDoNotDependOnBlocks) {
  std::string text = "a,note,label\n";
  for (int i = 0; text.size() < (size_t{5} << 20) / 2; ++i) {
    const std::string note(static_cast<size_t>(i * 7919 % 300), i % 2 ? '\n' : '"');
    text += cat(i, ",\"", note, i % 2 ? "" : note, "\",", i % 3, i % 5 ? "\n" : "\r\n");
  }
  const std::string path = write("blocks.csv", text);
  const FileOptions options{.features = {"a"}};
  const Table table = *read_table(path, options);
  const auto rows = *open_rows(path, options)->rows->iterate(0);
  Element row;
  int64_t count = 0;
  for (; *rows->next(row); ++count) {
    ASSERT_EQ(*row[0].data<float>(), table.x.data<float>()[count]);
    ASSERT_EQ(integer_at(row[1], 0), integer_at(table.y, count));
  }
  EXPECT_EQ(count, table.x.dim(0));
}

Status first_error(const StatusOr<RowStream>& stream) {
  if (!stream.ok()) return stream.status();
  const auto iterator = stream->rows->iterate(0);
  Element element;
  for (;;) {
    const StatusOr<bool> more = (*iterator)->next(element);
    if (!more.ok() || !*more) return more.status();
  }
}

void expect_message(const Status& status, absl::StatusCode code,
                    std::initializer_list<std::string> parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(message_of(status).find(part), std::string_view::npos) << part << ": " << status;
  }
}

TEST_F(OpenRows, NameWhatIsDamagedByFileAndPlace) {
  const std::string good = *read_file(kTestdata + "examples.tfrecord");
  std::vector<size_t> begins = {0};
  for (size_t at = 0; at < good.size();) {
    uint64_t length = 0;
    std::memcpy(&length, good.data() + at, sizeof(length));
    begins.push_back(at += length + 16);
  }
  // More than the 1000 examples that tell the schema, then one with a flipped bit.
  std::string many;
  while (many.size() < 300 * good.size()) many += good;
  std::string bad = many + good;
  bad[many.size() + begins[2] + 20] ^= 1;
  const FileOptions x{.features = {"x"}};
  const std::string damaged = write("b.tfrecord", bad);
  write("a.tfrecord", good);
  for (const std::string& path : {damaged, folder_.path()}) {
    expect_message(first_error(open_rows(path, x)), absl::StatusCode::kDataLoss,
                   {"b.tfrecord", cat("byte ", many.size() + begins[2])});
  }
  const std::string csv = write("c.csv", "a,label\n1,cat\n2,dog\n3,cow\nx,cat\n");
  const FileOptions known{.use_labels = Labels::kKnown, .names = {.classes = {"cat", "dog"}}};
  expect_message(first_error(open_rows(csv, known)), absl::StatusCode::kInvalidArgument,
                 {"c.csv:4", "'cow'", "cat, dog"});
  expect_message(first_error(open_rows(csv)), absl::StatusCode::kInvalidArgument,
                 {"c.csv:5", "'x'"});
  expect_message(first_error(open_rows(write("e.csv", "1,2\n3,4,5\n"))),
                 absl::StatusCode::kInvalidArgument, {"e.csv:2", "3 columns"});
  expect_message(first_error(open_rows(write("q.csv", "1,2\n3,\"4"))),
                 absl::StatusCode::kInvalidArgument, {"q.csv:2", "quote"});
  expect_message(first_error(open_rows(kTestdata + "images")), absl::StatusCode::kInvalidArgument,
                 {"--image_size"});
}

TEST_F(OpenRows, LargestLabelsAreFound) {
  EXPECT_EQ(*largest_label(*open_rows(write("n.csv", "1,2,0\n3,4,11\n5,6,7\n"))), 11);
  EXPECT_EQ(*largest_label(*open_rows(kTestdata + "examples.tfrecord", {.features = {"x"}})), 2);
  EXPECT_FALSE(largest_label(*open_rows(write("r.csv", "1,2,0.5\n3,4,11\n"))).ok());
  EXPECT_EQ(*largest_label(Tensor::vector<float>({0, 2, 1})), 2);
  EXPECT_EQ(*largest_label(Tensor::vector<bool>({false, true, false})), 1);
  EXPECT_EQ(*largest_label(Tensor::vector<uint8_t>({7, 255})), 255);
  // A column for each class.
  EXPECT_EQ(*largest_label(Tensor::vector<float>({0, 1, 0, 1, 0, 0}).reshaped({2, 3})), 2);
  EXPECT_EQ(*largest_label(Tensor::vector<float>({0, 4}).reshaped({2, 1})), 4);
  for (const float wrong : {0.5f, std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    EXPECT_EQ(largest_label(Tensor::vector<float>({1, wrong})).status().code(),
              absl::StatusCode::kInvalidArgument)
        << wrong;
  }
}

}  // namespace
}  // namespace tenon::data
