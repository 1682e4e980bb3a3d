#include "tenon/io/tensor_bundle.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "tenon/io/checkpoint_state.h"
#include "tenon/io/npy.h"
#include "tenon/io/table.h"

namespace tenon {
namespace {

const std::string kBundleCases = TENON_SOURCE_DIR "/../shared/cases/models/";

void expect_same_bytes(const Tensor& got, const Tensor& want, std::string_view name) {
  EXPECT_EQ(got.shape(), want.shape()) << name;
  if (got.shape() != want.shape()) return;
  if (got.dtype() == DType::kString) {
    ASSERT_EQ(want.dtype(), DType::kString) << name;
    for (int64_t i = 0; i < got.num_elements(); ++i) {
      EXPECT_EQ(got.data<std::string_view>()[i], want.data<std::string_view>()[i]) << name;
    }
    return;
  }
  ASSERT_EQ(got.num_bytes(), want.num_bytes()) << name;
  EXPECT_EQ(std::memcmp(got.raw(), want.raw(), got.num_bytes()), 0) << name;
}

// Changes one byte of a file in place.
void poke(const std::string& path, uint64_t offset, char byte) {
  std::FILE* file = std::fopen(path.c_str(), "r+b");
  ASSERT_NE(file, nullptr);
  std::fseek(file, static_cast<long>(offset), SEEK_SET);
  std::fputc(byte, file);
  std::fclose(file);
}

// Every variable of every case, its checksum verified.
TEST(BundleReader, ReadsEveryTensorOfEverySavedModel) {
  int bundles = 0, tensors = 0;
  const std::vector<std::string> cases = *list_directory(kBundleCases);
  for (const std::string& name : cases) {
    const std::string prefix = cat(kBundleCases, name, "/1/variables/variables");
    if (!path_exists(prefix + ".index")) continue;
    auto reader = BundleReader::open(prefix);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ++bundles;
    for (const auto& [key, entry] : (*reader)->entries()) {
      auto tensor = (*reader)->read(key);
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_EQ(tensor->shape(), entry.shape);
      ++tensors;
    }
  }
  EXPECT_GT(bundles, 50);
  EXPECT_GT(tensors, 500);
}

// ckpt.npz holds what tf.train.load_checkpoint read from the same files.
TEST(BundleReader, GivesTheValuesThatTensorFlowReads) {
  int compared = 0;
  for (const char* name :
       {"checkpoint_dtypes/ckpt/ckpt-1", "cnn_digits/ckpt/ckpt-1", "lstm_nomask_legacy/ckpt/ckpt-1",
        "tf1_mlp_session/ckpt_v2/model.ckpt-100"}) {
    const std::string folder = cat(kBundleCases, split(name, '/').front());
    auto reader = BundleReader::open(cat(kBundleCases, name));
    ASSERT_TRUE(reader.ok()) << reader.status();
    auto golden = NpzReader::open(folder + "/ckpt.npz");
    ASSERT_TRUE(golden.ok()) << golden.status();
    for (const std::string& key : golden->names()) {
      auto want = golden->read(key);
      ASSERT_TRUE(want.ok()) << want.status();
      auto got = (*reader)->read(key);
      ASSERT_TRUE(got.ok()) << got.status();
      expect_same_bytes(*got, *want, key);
      ++compared;
    }
  }
  EXPECT_GT(compared, 60);
}

class DamagedBundle : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* suffix : {".index", ".data-00000-of-00001"}) {
      ASSERT_TRUE(write_file(prefix_ + suffix, *read_file(source_ + suffix)).ok());
    }
  }
  StatusOr<TemporaryDirectory> folder_ = TemporaryDirectory::create();
  const std::string source_ = kBundleCases + "checkpoint_dtypes/ckpt/ckpt-1";
  const std::string prefix_ = join_path(folder_->path(), "copy");
};

TEST_F(DamagedBundle, EveryFlippedByteOfTheIndexIsFoundWhenItIsOpened) {
  const std::string path = prefix_ + ".index", bytes = *read_file(path);
  ASSERT_TRUE(BundleReader::open(prefix_).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    poke(path, i, static_cast<char>(bytes[i] ^ (1 << (i % 8))));
    EXPECT_FALSE(BundleReader::open(prefix_).ok()) << "byte " << i;
    poke(path, i, bytes[i]);
  }
  ASSERT_TRUE(BundleReader::open(prefix_).ok());
  for (size_t cut = bytes.size(); cut >= 30; cut -= 30) {
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(cut - 1)), 0);
    EXPECT_FALSE(BundleReader::open(prefix_).ok()) << "cut at " << cut;
  }
}

TEST_F(DamagedBundle, EveryFlippedByteOfTheDataIsFoundWhenItsTensorIsRead) {
  const std::string path = bundle_shard_path(prefix_, 0, 1), bytes = *read_file(path);
  auto reader = BundleReader::open(prefix_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  uint64_t covered = 0;
  for (const auto& [key, entry] : (*reader)->entries()) {
    covered += entry.size;
    for (uint64_t i = entry.offset; i < entry.offset + entry.size; ++i) {
      poke(path, i, static_cast<char>(bytes[i] ^ (1 << (i % 8))));
      EXPECT_EQ((*reader)->read(key).status().code(), absl::StatusCode::kDataLoss) << key;
      poke(path, i, bytes[i]);
    }
    EXPECT_TRUE((*reader)->read(key).ok());
  }
  EXPECT_EQ(covered, bytes.size());
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(bytes.size() - 1)), 0);
  EXPECT_TRUE(BundleReader::open(prefix_).ok());
  int lost = 0;
  for (const auto& [key, entry] : (*reader)->entries()) lost += !(*reader)->read(key).ok();
  EXPECT_EQ(lost, 1);
}

// Given the tensors in the same order, both files are TensorFlow's byte for byte.
TEST(BundleWriter, WritesTheFilesThatTensorFlowWrote) {
  const std::string source = kBundleCases + "tf1_mlp_session/ckpt_v2/model.ckpt-100";
  auto reader = BundleReader::open(source);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::map<uint64_t, std::string> by_offset;
  for (const auto& [key, entry] : (*reader)->entries()) by_offset.emplace(entry.offset, key);
  auto folder = TemporaryDirectory::create();
  const std::string prefix = join_path(folder->path(), "copy");
  auto writer = BundleWriter::create(prefix);
  ASSERT_TRUE(writer.ok());
  for (const auto& [offset, key] : by_offset) {
    ASSERT_TRUE((*writer)->add(key, *(*reader)->read(key)).ok());
  }
  ASSERT_TRUE((*writer)->finish().ok());
  EXPECT_EQ(*read_file(bundle_shard_path(prefix, 0, 1)),
            *read_file(bundle_shard_path(source, 0, 1)));
  EXPECT_EQ(*read_file(prefix + ".index"), *read_file(source + ".index"));
}

TEST(BundleWriter, StringsComeBack) {
  auto folder = TemporaryDirectory::create();
  const std::string prefix = join_path(folder->path(), "b");
  auto writer = BundleWriter::create(prefix);
  const std::vector<std::string> texts = {"", std::string(300, 'x'), std::string("a\0b", 3),
                                          "last"};
  ASSERT_TRUE((*writer)->add("texts", Tensor::strings(Shape{2, 2}, texts)).ok());
  ASSERT_TRUE((*writer)->add("empty", Tensor(DType::kString, Shape{0})).ok());
  ASSERT_TRUE(absl::IsAlreadyExists((*writer)->add("texts", Tensor::scalar(1.0f))));
  ASSERT_TRUE((*writer)->finish().ok());
  auto reader = BundleReader::open(prefix);
  ASSERT_TRUE(reader.ok()) << reader.status();
  expect_same_bytes(*(*reader)->read("texts"), Tensor::strings(Shape{2, 2}, texts), "texts");
  EXPECT_EQ((*reader)->read("empty")->num_elements(), 0);
  EXPECT_TRUE(absl::IsNotFound((*reader)->read("missing").status()));
}

// RLIMIT_FSIZE makes write(2) fail as a full disk does.
TEST(BundleWriter, AFullDiskLeavesTheOldCheckpoint) {
  auto folder = TemporaryDirectory::create();
  const std::string prefix = join_path(folder->path(), "b");
  const auto save = [&](float value) -> Status {
    TENON_ASSIGN_OR_RETURN(auto writer, BundleWriter::create(prefix));
    Tensor tensor(DType::kFloat, Shape{50000});
    std::fill_n(tensor.mutable_data<float>(), 50000, value);
    TENON_RETURN_IF_ERROR(writer->add("w", tensor));
    return writer->finish();
  };
  ASSERT_TRUE(save(1).ok());
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {100000, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const Status status = save(2);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ((*BundleReader::open(prefix))->read("w")->data<float>()[49999], 1);
  EXPECT_EQ(list_directory(folder->path())->size(), 2u);
}

TEST(BundleReader, JoinsThePartsOfAPartitionedVariable) {
  // Rows 0-1 and 2-4 of a 5x3 variable; entries as TensorFlow's BundleWriter::AddSlice makes them.
  auto folder = TemporaryDirectory::create();
  const std::string prefix = join_path(folder->path(), "p");
  const float values[15] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  const TensorSlice top{{0, 0}, {2, -1}}, bottom{{2, 0}, {3, -1}};
  auto writer = BundleWriter::create(prefix);
  ASSERT_TRUE(
      (*writer)
          ->add(slice_key("v", top), Tensor::from(Shape{2, 3}, std::span<const float>(values, 6)))
          .ok());
  ASSERT_TRUE((*writer)
                  ->add(slice_key("v", bottom),
                        Tensor::from(Shape{3, 3}, std::span<const float>(values + 6, 9)))
                  .ok());
  ASSERT_TRUE((*writer)->finish().ok());
  // The entry of the whole: dtype 1, shape [5,3], two slices whose first extents are given.
  const std::string whole(
      "\x08\x01\x12\x08\x12\x02\x08\x05\x12\x02\x08\x03"
      "\x3a\x06\x0a\x02\x10\x02\x0a\x00"
      "\x3a\x08\x0a\x04\x08\x02\x10\x03\x0a\x00",
      30);
  TableBuilder table;
  bool added = false;
  ASSERT_TRUE(TableReader::open(prefix + ".index")
                  ->scan([&](std::string_view key, std::string_view value) {
                    return table.add(key, value);
                  })
                  .ok());
  added = table.add("v", whole).ok();
  ASSERT_TRUE(added);
  ASSERT_TRUE(write_file(prefix + ".index", std::move(table).finish()).ok());
  auto reader = BundleReader::open(prefix);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->entries().size(), 1u);
  auto tensor = (*reader)->read("v");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  expect_same_bytes(*tensor, Tensor::from(Shape{5, 3}, std::span<const float>(values)), "v");
  auto part = (*reader)->read("v", TensorSlice{{1, 1}, {2, 2}});
  ASSERT_TRUE(part.ok()) << part.status();
  const float middle[4] = {4, 5, 7, 8};
  expect_same_bytes(*part, Tensor::from(Shape{2, 2}, std::span<const float>(middle)), "part");
  EXPECT_TRUE(absl::IsInvalidArgument((*reader)->read("v", TensorSlice{{4, 0}, {2, 3}}).status()));
}

TEST(TensorSlice, ParsesWhatTensorFlowPrints) {
  Shape full;
  TensorSlice slice;
  ASSERT_TRUE(*parse_shape_and_slice("4 6 0,2:-", full, slice));
  EXPECT_EQ(full, (Shape{4, 6}));
  EXPECT_EQ(slice.shape(), (Shape{2, 6}));
  EXPECT_FALSE(*parse_shape_and_slice("", full, slice));
  for (const char* broken : {"x", "4 6 0,2", "4 6 3,2:-", "4 -1,2", "4 0,", "4 "}) {
    EXPECT_FALSE(parse_shape_and_slice(broken, full, slice).ok()) << broken;
  }
}

TEST(CheckpointState, ReadsTensorFlowsFile) {
  auto state = read_checkpoint_state(kBundleCases + "tf1_mlp_session/ckpt_v2");
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->model_checkpoint_path, "model.ckpt-100");
  EXPECT_EQ(*latest_checkpoint(kBundleCases + "cnn_digits/ckpt"),
            kBundleCases + "cnn_digits/ckpt/ckpt-1");
}

TEST(CheckpointState, EscapedNamesComeBack) {
  auto folder = TemporaryDirectory::create();
  CheckpointState state;
  state.model_checkpoint_path = "a \"quoted\"\\\n\x01 name";
  state.all_model_checkpoint_paths = {"x", state.model_checkpoint_path};
  state.all_model_checkpoint_timestamps = {1.5, 1732490000.123456};
  state.last_preserved_timestamp = 1.25;
  ASSERT_TRUE(write_checkpoint_state(folder->path(), state).ok());
  auto read = read_checkpoint_state(folder->path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->model_checkpoint_path, state.model_checkpoint_path);
  EXPECT_EQ(read->all_model_checkpoint_paths, state.all_model_checkpoint_paths);
  EXPECT_EQ(read->all_model_checkpoint_timestamps, state.all_model_checkpoint_timestamps);
  EXPECT_EQ(read->last_preserved_timestamp, 1.25);
}

}  // namespace
}  // namespace tenon
