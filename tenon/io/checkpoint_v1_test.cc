#include "tenon/io/checkpoint_v1.h"

#include "tenon/io/npy.h"

namespace tenon {
namespace {

// ckpt.npz holds what TensorFlow read from the same checkpoint.
TEST(CheckpointV1, GivesTheValuesThatTensorFlowReads) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/cases/models/tf1_mlp_session/";
  auto reader = CheckpointV1Reader::open(folder + "ckpt_v1/model.ckpt-100");
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto golden = NpzReader::open(folder + "ckpt.npz");
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_EQ((*reader)->entries().size(), golden->names().size());
  for (const std::string& name : golden->names()) {
    const Tensor want = *golden->read(name);
    auto got = (*reader)->read(name);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->dtype(), want.dtype());
    ASSERT_EQ(got->shape(), want.shape());
    EXPECT_EQ(std::memcmp(got->raw(), want.raw(), want.num_bytes()), 0) << name;
  }
  EXPECT_TRUE(absl::IsNotFound((*reader)->read("missing").status()));
}

}  // namespace
}  // namespace tenon
