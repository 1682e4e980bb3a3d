// A convolution of a SavedModel, one row and batches of it, for teams of any size: TensorFlow's
// values, and the same bits each time.
#include <gtest/gtest.h>

#include <cstring>

#include "tenon/base/files.h"
#include "tenon/base/parallel.h"
#include "tenon/io/npy.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"

namespace tenon {
namespace {

const std::string kAnyTeamCase = TENON_SOURCE_DIR "/../shared/cases/reports/conv_any_team";

Tensor rows_of(const Tensor& row, int64_t count) {
  Dims dims(row.shape().dims());
  dims[0] = count;
  Tensor rows = Tensor::allocate(row.dtype(), Shape(dims)).value();
  const size_t bytes = static_cast<size_t>(row.num_elements()) * sizeof(float);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(rows.mutable_data<float>() + i * row.num_elements(), row.raw(), bytes);
  }
  return rows;
}

TEST(ConvAnyTeam, AnswersAsTensorFlowForEveryTeamAndBatch) {
  if (!is_directory(kAnyTeamCase)) GTEST_SKIP() << "no reference cases here";
  ASSERT_TRUE(register_test_ops().ok());
  const auto row = read_npy(kAnyTeamCase + "/x.npy");
  const auto want = read_npy(kAnyTeamCase + "/want.npy");
  ASSERT_TRUE(row.ok() && want.ok());
  const int64_t values = want->num_elements();
  std::vector<float> first;
  for (int team : {1, 2, 4, 8, 32}) {
    set_team_size(team);
    for (int64_t batch : {1, 2, 5, 33}) {
      const auto model = SavedModel::load(kAnyTeamCase + "/1");
      ASSERT_TRUE(model.ok()) << model.status();
      const Signature* signature = (*model)->find_signature("serving_default");
      ASSERT_NE(signature, nullptr);
      const auto executable = (*model)->executable(*signature);
      ASSERT_TRUE(executable.ok()) << executable.status();
      std::vector<Tensor> outputs;
      const Status status = (*executable)->run(std::vector<Tensor>{rows_of(*row, batch)}, outputs);
      ASSERT_TRUE(status.ok()) << status;
      const float* got = outputs[0].data<float>();
      if (first.empty()) {
        first.assign(got, got + values);
        for (int64_t i = 0; i < values; ++i) {
          ASSERT_NEAR(got[i], want->data<float>()[i], 1e-4f) << i;
        }
      }
      for (int64_t i = 0; i < batch; ++i) {
        EXPECT_EQ(std::memcmp(got + i * values, first.data(), first.size() * sizeof(float)), 0)
            << "team " << team << ", row " << i << " of " << batch;
      }
    }
  }
  set_team_size(1);
}

}  // namespace
}  // namespace tenon
