#include "tenon/data/sources.h"

#include <algorithm>
#include <set>

#include "tenon/base/files.h"
#include "tenon/data/pipeline_test.h"
#include "tenon/data/transforms.h"
#include "tenon/io/gzip.h"
#include "tenon/io/npy.h"
#include "tenon/io/record_io.h"

namespace tenon::data {
namespace {

// testdata/ holds what TensorFlow and Keras wrote. examples.tfrecord (and .gz): five tf.Examples,
// of i = 0 ... 4: label = [i % 3], x = [i, i + 0.5], name = ["n<i>"], tags = ["t0", ...] of i % 3,
// and of i = 2 rare = [7]. images/: uint8 noise in files of all sizes. images_rgb.npy:
//   keras.utils.image_dataset_from_directory(images, image_size=(4, 5), shuffle=False)
const std::string kFolder = TENON_SOURCE_DIR "/tenon/data/testdata/";
const std::string kExamples = kFolder + "examples.tfrecord";

class Sources : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view bytes) {
    const std::string path = join_path(folder_.path(), name);
    EXPECT_TRUE(write_file(path, bytes).ok());
    return path;
  }
  TemporaryDirectory folder_ = *TemporaryDirectory::create();
};

void expect_error(const Status& status, absl::StatusCode code,
                  std::initializer_list<std::string> parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(message_of(status).find(part), std::string_view::npos) << status;
  }
}

TEST_F(Sources, LinesAreTensorFlows) {
  // tf.data.TextLineDataset gives b'one', b'two', b'', b'fourfive', b'last', and b'' of "\n".
  const std::string text = "one\r\ntwo\n\nfour\rfive\nlast";
  const std::string expected = "one|two||fourfive|last";
  const std::string plain = write("a.txt", text), blank = write("b.txt", "\n"),
                    empty = write("e.txt", ""),
                    packed = write("a.txt.gz", deflate(text, DeflateFormat::kGzip));
  EXPECT_EQ(text_of(text_lines({plain})), expected);
  EXPECT_EQ(text_of(text_lines({packed})), expected);
  EXPECT_EQ(text_of(batch(text_lines({blank}), 2)), "[]");
  EXPECT_EQ(text_of(text_lines({empty})), "");
  EXPECT_EQ(text_of(text_lines({empty, plain, empty, plain})), cat(expected, "|", expected));
  EXPECT_EQ(text_of(skip(text_lines({plain, plain}), 6)), "two||fourfive|last");
  // Lines and ends of lines across the blocks in which files are read.
  std::string longer;
  for (int i = 0; i < 3; ++i) longer += std::string(65535 + static_cast<size_t>(i), 'x') + "\n";
  auto lines = *text_lines({write("long.txt", longer)})->iterate(0);
  Element element;
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(*lines->next(element));
    EXPECT_EQ(element[0].data<std::string_view>()->size(), 65535 + i);
  }
  EXPECT_FALSE(*lines->next(element));
  EXPECT_EQ(text_of(text_lines({join_path(folder_.path(), "none")})), "NOT_FOUND");
}

TEST_F(Sources, RecordsOfAllCompressions) {
  std::string bytes;
  append_record(bytes, "one");
  append_record(bytes, "");
  const std::string plain = write("p", bytes),
                    gzip = write("g", deflate(bytes, DeflateFormat::kGzip)),
                    zlib = write("z", deflate(bytes, DeflateFormat::kZlib)), empty = write("e", "");
  EXPECT_EQ(text_of(tf_records({plain, empty, gzip, zlib})), "one||one||one|");
  EXPECT_EQ(text_of(skip(tf_records({plain, empty, gzip, zlib}), 4)), "one|");
}

TEST_F(Sources, ExamplesBySchema) {
  // tf.io.parse_single_example with FixedLenFeature, a default for `rare`, RaggedFeature for tags.
  const Schema schema = {{"label", DType::kInt64, Shape()},
                         {"x", DType::kFloat, PartialShape{2}},
                         {"rare", DType::kInt64, Shape(), Tensor::scalar<int64_t>(-1)},
                         {"tags", DType::kString, PartialShape{-1}}};
  const std::string expected =
      "0 [0,0.5] -1 []|1 [1,1.5] -1 [t0]|2 [2,2.5] 7 [t0,t1]|0 [3,3.5] -1 []|1 [4,4.5] -1 [t0]";
  EXPECT_EQ(text_of(tf_examples({kExamples}, schema)), expected);
  EXPECT_EQ(text_of(tf_examples({kExamples + ".gz"}, schema)), expected);
  // FixedLenSequenceFeature([2], tf.float32, allow_missing=True)
  EXPECT_EQ(text_of(take(tf_examples({kExamples}, {{"x", DType::kFloat, PartialShape{-1, 2}}}), 1)),
            "[[0,0.5]]");
  for (const FeatureSpec& wrong :
       {FeatureSpec{"zz", DType::kInt64, Shape()}, FeatureSpec{"x", DType::kFloat, Shape{3}},
        FeatureSpec{"x", DType::kInt64, Shape{2}}, FeatureSpec{"x", DType::kFloat, {-1, 3}},
        FeatureSpec{"x", DType::kFloat, PartialShape()},
        FeatureSpec{"x", DType::kFloat, {2, -1}}}) {
    auto iterator = *tf_examples({kExamples}, {wrong})->iterate(0);
    Element element;
    expect_error(iterator->next(element).status(), absl::StatusCode::kInvalidArgument,
                 {kExamples, "byte 0", cat("'", wrong.name, "'")});
  }
}

TEST_F(Sources, SchemasAreInferred) {
  const auto schema = infer_schema({kExamples});
  ASSERT_TRUE(schema.ok()) << schema.status();
  std::string text;
  for (const FeatureSpec& spec : *schema) text += cat(spec.name, " ", spec.dtype, spec.shape, ";");
  EXPECT_EQ(text, "label int64[];name string[];rare int64[?];tags string[?];x float[2];");
  expect_error(infer_schema({write("e", "")}).status(), absl::StatusCode::kInvalidArgument,
               {"no tf.Example"});
}

TEST_F(Sources, DamagedRecordsAreNamedWithFileAndByte) {
  std::string bytes = *read_file(kExamples);
  uint64_t second = 0;
  std::memcpy(&second, bytes.data(), 8);
  second += 16;
  const Schema schema = {{"label", DType::kInt64, Shape()}};
  const auto error_of = [&](const std::string& content) {
    auto iterator = *tf_examples({write("bad", content)}, schema)->iterate(0);
    Element element;
    EXPECT_TRUE(*iterator->next(element));
    return iterator->next(element).status();
  };
  const std::string place = cat("byte ", second), path = join_path(folder_.path(), "bad");
  std::string changed = bytes;
  changed[second + 20] ^= 1;
  expect_error(error_of(changed), absl::StatusCode::kDataLoss, {path, place});
  expect_error(error_of(bytes.substr(0, second + 30)), absl::StatusCode::kDataLoss, {path, place});
  // A whole record of something else.
  std::string other = bytes.substr(0, second);
  append_record(other, "\x0a\xff\xff");
  expect_error(error_of(other), absl::StatusCode::kInvalidArgument, {path, place});
}

TEST_F(Sources, FoldersOfImagesAreKeras) {
  const auto files = list_images(kFolder + "images");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(files->labels, (std::vector<int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(files->paths[0], kFolder + "images/cat/a.PNG");
  EXPECT_EQ(files->paths[3], kFolder + "images/dog/two.bmp");
  const Tensor expected = *read_npy(kFolder + "images_rgb.npy");
  for (int threads : {1, 3}) {
    auto all = *batch(images(*files, {.height = 4, .width = 5}, threads), 4)->iterate(0);
    Element element;
    ASSERT_TRUE(*all->next(element));
    ASSERT_EQ(element[0].shape(), expected.shape());
    for (int64_t i = 0; i < expected.num_elements(); ++i) {
      EXPECT_NEAR(element[0].data<float>()[i], expected.data<float>()[i], 1e-4) << i;
    }
  }
  // A model's classes number the folders.
  const std::vector<std::string> known = {"bird", "cat", "dog"};
  EXPECT_EQ(list_images(kFolder + "images", known)->labels, (std::vector<int64_t>{1, 1, 2, 2}));
  expect_error(list_images(kFolder + "images", std::vector<std::string>{"cat"}).status(),
               absl::StatusCode::kInvalidArgument, {"'dog'"});
  EXPECT_TRUE(list_images(kFolder + "images/cat")->labels.empty());
  expect_error(list_images(folder_.path()).status(), absl::StatusCode::kInvalidArgument,
               {"no images"});
}

// What --validation_split takes, the last rows, has some of each class; an image keeps its label.
TEST_F(Sources, TrainingDrawsTheImagesOfAFolder) {
  for (const char level : {'\1', '\2', '\3'}) {
    ASSERT_TRUE(create_directories(join_path(folder_.path(), cat("f/", int{level}))).ok());
    // BMP: a file header, a BITMAPINFOHEADER of 1 x 1 pixels of 24 bits, and a row of 4 bytes.
    std::string bmp("BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0", 30);
    bmp.append(24, '\0');
    bmp.append(3, level).push_back('\0');
    for (int i = 0; i < 20; ++i) write(cat("f/", int{level}, "/", i, ".bmp"), bmp);
  }
  const auto table = read_table(join_path(folder_.path(), "f"));
  ASSERT_TRUE(table.ok()) << table.status();
  const std::vector<int64_t> labels = integers_of(table->y);
  ASSERT_EQ(labels.size(), 60U);
  for (size_t i = 0; i < labels.size(); ++i) {
    EXPECT_EQ(table->x.data<uint8_t>()[3 * i], labels[i] + 1) << i;
  }
  EXPECT_EQ(std::set<int64_t>(labels.end() - 15, labels.end()).size(), 3U);
  EXPECT_EQ(integers_of(read_table(join_path(folder_.path(), "f"))->y), labels);
}

TEST_F(Sources, TablesOfFolders) {
  const FileOptions resized{.images = {.height = 4, .width = 5}};
  const auto table = read_table(kFolder + "images", resized);
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->x.shape(), Shape({4, 4, 5, 3}));
  std::vector<int64_t> classes = integers_of(table->y);
  std::ranges::sort(classes);
  EXPECT_EQ(classes, (std::vector<int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(table->names.classes, (std::vector<std::string>{"cat", "dog"}));
  expect_error(read_table(kFolder + "images", {.use_labels = Labels::kNone}).status(),
               absl::StatusCode::kInvalidArgument, {"b.png", "--image_size"});
  const auto one = read_table(kFolder + "images/cat",
                              {.use_labels = Labels::kNone, .images = {.height = 4, .width = 5}});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->x.dim(0), 2);
  write("x.png", "no image");
  expect_error(read_table(folder_.path(), {.use_labels = Labels::kNone}).status(),
               absl::StatusCode::kInvalidArgument, {"x.png"});
}

TEST_F(Sources, TablesOfRecords) {
  const FileOptions x{.features = {"x"}};
  const std::vector<int64_t> labels = {0, 1, 2, 0, 1};
  for (const std::string& path : {kExamples, kExamples + ".gz"}) {
    const auto table = read_table(path, x);
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ(text_of_values(table->x), "[[0,0.5],[1,1.5],[2,2.5],[3,3.5],[4,4.5]]");
    EXPECT_EQ(integers_of(table->y), labels);
  }
  // Several features become columns; texts are labels, numbered in their order.
  const auto named = read_table(kExamples, {.label_column = "name", .features = {"label", "x"}});
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_EQ(text_of_values(named->x), "[[0,0,0.5],[1,1,1.5],[2,2,2.5],[0,3,3.5],[1,4,4.5]]");
  EXPECT_EQ(integers_of(named->y), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(named->names.classes[4], "n4");
  const auto bare = read_table(kExamples, {.features = {"x"}, .use_labels = Labels::kNone});
  EXPECT_FALSE(bare->y.has_value());
  // All but the label, which do not go together.
  expect_error(read_table(kExamples).status(), absl::StatusCode::kInvalidArgument,
               {kExamples, "'name'", "--features"});
  expect_error(read_table(kExamples, {.features = {"tags"}}).status(),
               absl::StatusCode::kInvalidArgument, {"'tags'", "--features"});
  expect_error(read_table(kExamples, {.features = {"name"}}).status(),
               absl::StatusCode::kInvalidArgument, {"a text"});
  expect_error(read_table(kExamples, {.features = {"w"}}).status(), absl::StatusCode::kNotFound,
               {"'w'", "rare, tags, x"});
  expect_error(read_table(kExamples, {.label_column = "w"}).status(), absl::StatusCode::kNotFound,
               {"'w'"});
  // A folder of such files is their examples, file after file.
  write("b.tfrecord", *read_file(kExamples));
  write("a.tfrecord", *read_file(kExamples + ".gz"));
  write("README", "about these files\n");
  EXPECT_EQ(read_table(folder_.path(), x)->x.dim(0), 10);
}

TEST_F(Sources, TablesOfEncodedImages) {
  // As TensorFlow Datasets writes them: features {"image": {1: {1: bytes}}, "label": {3: {1: 1}}}.
  const std::string image = *read_file(kFolder + "images/cat/b.png");
  const auto with_length = [](std::string tag, const std::string& text) {
    tag += static_cast<char>(0x80 | (text.size() & 0x7f));
    tag += static_cast<char>(text.size() >> 7);
    return tag + text;
  };
  const auto feature = [&](const std::string& name, const std::string& value) {
    return with_length("\x0a", with_length("\x0a", name) + with_length("\x12", value));
  };
  const std::string example =
      with_length("\x0a", feature("image", with_length("\x0a", with_length("\x0a", image))) +
                              feature("label", with_length("\x1a", with_length("\x0a", "\x05"))));
  std::string bytes;
  for (int i = 0; i < 3; ++i) append_record(bytes, example);
  const auto table = read_table(write("images.tfrecord", bytes));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->x.shape(), Shape({3, 5, 4, 3}));
  EXPECT_EQ(table->x.dtype(), DType::kUint8);
  EXPECT_EQ(integers_of(table->y), (std::vector<int64_t>{5, 5, 5}));
}

}  // namespace
}  // namespace tenon::data
