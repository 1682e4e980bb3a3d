#include "tenon/saved_model/checkpoint.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/io/checkpoint_state.h"
#include "tenon/io/tensor_bundle.h"

namespace tenon {
namespace {

class TrainingCheckpoint : public testing::Test {
 protected:
  void SetUp() override {
    StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    base_.emplace(*std::move(folder));
  }
  std::string folder() const { return join_path(base_->path(), "run"); }

  Status save(int64_t epoch, float weight, int keep = 5) {
    const NamedTensor variables[] = {
        {"dense/kernel", Tensor::vector<float>({weight, 2.0f})},
        {"optimizer/dense/kernel.x/momentum", Tensor::vector<float>({0.5f, -weight})},
        {"optimizer/iterations", Tensor::scalar<int64_t>(epoch * 10)}};
    const TrainingProgress progress{.epoch = epoch,
                                    .step = epoch * 10,
                                    .seed = ~uint64_t{0},
                                    .isa = "AVX2",
                                    .threads = 2,
                                    .details = {}};
    return save_checkpoint(folder(), progress, variables, keep).status();
  }

  std::optional<TemporaryDirectory> base_;
};

TEST_F(TrainingCheckpoint, GivesBackWhatWasSaved) {
  ASSERT_EQ(save(3, 1.5f), absl::OkStatus());
  const StatusOr<Checkpoint> loaded = load_latest_checkpoint(folder());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->progress.epoch, 3);
  EXPECT_EQ(loaded->progress.step, 30);
  EXPECT_EQ(loaded->progress.seed, ~uint64_t{0});
  EXPECT_EQ(loaded->progress.isa, "AVX2");
  EXPECT_EQ(loaded->progress.threads, 2);
  ASSERT_EQ(loaded->variables.size(), 3u);
  const Tensor* kernel = loaded->find("dense/kernel");
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->data<float>()[0], 1.5f);
  EXPECT_TRUE(loaded->find("optimizer/dense/kernel.x/momentum"));
  EXPECT_FALSE(loaded->find("dense/bias"));
}

// The keys and the escape of '.' are tf.train.Checkpoint's.
TEST_F(TrainingCheckpoint, HasTensorFlowsKeys) {
  ASSERT_EQ(save(1, 1.5f), absl::OkStatus());
  const auto bundle = BundleReader::open(join_path(folder(), "ckpt-1"));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  EXPECT_TRUE((*bundle)->contains("_CHECKPOINTABLE_OBJECT_GRAPH"));
  EXPECT_TRUE((*bundle)->contains("model/dense/kernel/.ATTRIBUTES/VARIABLE_VALUE"));
  EXPECT_TRUE(
      (*bundle)->contains("model/optimizer/dense/kernel..x/momentum/.ATTRIBUTES/VARIABLE_VALUE"));
  EXPECT_TRUE((*bundle)->contains("save_counter/.ATTRIBUTES/VARIABLE_VALUE"));
}

TEST_F(TrainingCheckpoint, KeepsTheNewest) {
  for (int64_t epoch = 1; epoch <= 4; ++epoch) ASSERT_EQ(save(epoch, 1.0f, 2), absl::OkStatus());
  const StatusOr<CheckpointState> state = read_checkpoint_state(folder());
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->model_checkpoint_path, "ckpt-4");
  EXPECT_EQ(state->all_model_checkpoint_paths, (std::vector<std::string>{"ckpt-3", "ckpt-4"}));
  EXPECT_FALSE(path_exists(join_path(folder(), "ckpt-2.index")));
  EXPECT_FALSE(path_exists(join_path(folder(), "ckpt-2.data-00000-of-00001")));
  EXPECT_TRUE(load_checkpoint(join_path(folder(), "ckpt-3")).ok());
}

TEST_F(TrainingCheckpoint, StaysTheNewestWhenTheNextCannotBeWritten) {
  ASSERT_EQ(save(1, 1.5f), absl::OkStatus());
  // A folder where the next one's data should go: the rename fails, as a full disk would earlier.
  ASSERT_TRUE(create_directories(join_path(folder(), "ckpt-2.data-00000-of-00001/x")).ok());
  EXPECT_FALSE(save(2, 9.0f).ok());
  const StatusOr<Checkpoint> loaded = load_latest_checkpoint(folder());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->progress.epoch, 1);
}

TEST_F(TrainingCheckpoint, OfTensorFlowIsReadToo) {
  const StatusOr<Checkpoint> loaded =
      load_latest_checkpoint(TENON_SOURCE_DIR "/../shared/cases/models/cnn_digits/ckpt");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Tensor* mean = loaded->find("_functional/_operations/2/moving_mean");
  ASSERT_TRUE(mean);
  EXPECT_EQ(mean->shape(), Shape{16});
  EXPECT_TRUE(loaded->find("optimizer/_iterations"));
}

TEST_F(TrainingCheckpoint, WithAFlippedByteIsDataLoss) {
  ASSERT_EQ(save(1, 1.5f), absl::OkStatus());
  const std::string path = join_path(folder(), "ckpt-1.data-00000-of-00001");
  StatusOr<std::string> bytes = read_file(path);
  ASSERT_TRUE(bytes.ok());
  bytes->at(2) ^= 1;
  ASSERT_TRUE(write_file(path, *bytes).ok());
  EXPECT_EQ(load_latest_checkpoint(folder()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tenon
