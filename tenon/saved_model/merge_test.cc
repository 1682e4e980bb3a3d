// Which requests may be merged: verdicts beside what merged and single runs give.
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/graph/batch_dimension.h"
#include "tenon/graph/builder.h"
#include "tenon/saved_model/golden.h"
#include "tenon/saved_model/register_ops_test.h"

namespace tenon {
namespace {

const std::string kReferenceModels = TENON_SOURCE_DIR "/../shared/cases/models";

struct MergeCase {
  std::string name;
  PartialShape x;
  bool mergeable;
  std::function<Endpoint(GraphBuilder&, Endpoint)> body;
};

std::vector<MergeCase> merge_cases() {
  using B = GraphBuilder;
  const auto slice = [](B& b, Endpoint x, std::vector<int64_t> begin, std::vector<int64_t> end,
                        std::vector<int64_t> stride, int64_t begin_mask, int64_t end_mask,
                        int64_t shrink) {
    return b.op("StridedSlice", {x, b.integers(begin), b.integers(end), b.integers(stride)},
                {{"begin_mask", begin_mask}, {"end_mask", end_mask}, {"shrink_axis_mask", shrink}});
  };
  return {
      {"sum of columns", {-1, 4}, true, [](B& b, Endpoint x) { return b.sum(x, std::array{1L}); }},
      {"mean, axis from the end",
       {-1, 4},
       true,
       [](B& b, Endpoint x) { return b.mean(x, std::array{-1L}, true); }},
      {"mean of rows",
       {-1, 4},
       false,
       [](B& b, Endpoint x) { return b.sub(x, b.mean(x, std::array{0L}, true)); }},
      {"transpose of the rest",
       {-1, 2, 3},
       true,
       [](B& b, Endpoint x) {
         return b.op("Transpose", {x, b.integers({0, 2, 1})});
       }},
      {"transpose of the batch",
       {-1, 2},
       false,
       [](B& b, Endpoint x) {
         return b.op("Transpose", {x, b.integers({1, 0})});
       }},
      {"concat of columns",
       {-1, 2},
       true,
       [](B& b, Endpoint x) {
         return b.op("ConcatV2", {x, b.neg(x), b.scalar<int32_t>(-1)});
       }},
      {"concat of rows",
       {-1, 2},
       false,
       [](B& b, Endpoint x) {
         return b.op("ConcatV2", {x, b.neg(x), b.scalar<int32_t>(0)});
       }},
      {"last column",
       {-1, 4},
       true,
       [slice](B& b, Endpoint x) {
         return slice(b, x, {0, -1}, {0, 0}, {1, 1}, 1, 1, 2);
       }},
      {"first rows",
       {-1, 4},
       false,
       [slice](B& b, Endpoint x) {
         return slice(b, x, {0, 0}, {1, 2}, {1, 1}, 0, 0, 0);
       }},
      {"rows backwards",
       {-1, 4},
       false,
       [slice](B& b, Endpoint x) { return slice(b, x, {0}, {0}, {-1}, 1, 1, 0); }},
      {"flatten",
       {-1, 2, 3},
       true,
       [](B& b, Endpoint x) {
         return b.reshape(x, std::array{-1L, 6L});
       }},
      {"two rows in one",
       {-1, 2, 3},
       false,
       [](B& b, Endpoint x) {
         return b.reshape(x, std::array{-1L, 3L});
       }},
      {"expand behind",
       {-1, 4},
       true,
       [](B& b, Endpoint x) {
         return b.op("ExpandDims", {x, b.scalar<int32_t>(-1)});
       }},
      {"squeeze of an axis",
       {-1, 1, 4},
       true,
       [](B& b, Endpoint x) {
         return b.op("Squeeze", {x}, {{"squeeze_dims", std::vector<int64_t>{1}}});
       }},
      {"squeeze of any axis",
       {-1, 1, 4},
       false,
       [](B& b, Endpoint x) { return b.op("Squeeze", {x}); }},
      {"arg max of columns",
       {-1, 4},
       true,
       [](B& b, Endpoint x) {
         return b.op("ArgMax", {x, b.scalar<int32_t>(1)});
       }},
      {"arg max of rows",
       {-1, 4},
       false,
       [](B& b, Endpoint x) {
         return b.op("ArgMax", {x, b.scalar<int32_t>(0)});
       }},
      {"times a matrix",
       {-1, 2},
       true,
       [](B& b, Endpoint x) {
         return b.matmul(x, b.constant(Tensor::vector<float>({1, 2, 3, 4}).reshaped({2, 2})));
       }},
      {"times another batch", {-1, -1}, false, [](B& b, Endpoint x) { return b.matmul(x, x); }},
      {"padding of columns",
       {-1, 2},
       true,
       [](B& b, Endpoint x) {
         return b.op("Pad", {x, b.reshape(b.integers({0, 0, 1, 2}), std::array{2L, 2L})});
       }},
  };
}

// What the rows of a batch give, row by row. Empty when the model refuses it.
std::vector<float> row_by_row(Executable& executable, const Tensor& x) {
  std::vector<float> values;
  for (int64_t i = 0; i < x.dim(0); ++i) {
    const Tensor row = x.slice(i, 1);
    std::vector<Tensor> results;
    if (!executable.run({&row, 1}, results).ok()) return {};
    const Tensor result = results[0];
    if (result.dtype() == DType::kInt64) {
      for (int64_t value : result.span<int64_t>()) values.push_back(static_cast<float>(value));
    } else {
      for (float value : result.span<float>()) values.push_back(value);
    }
  }
  return values;
}

TEST(MergeVerdicts, FollowTheAxis) {
  ASSERT_EQ(register_test_ops(), absl::OkStatus());
  for (const MergeCase& c : merge_cases()) {
    Graph graph;
    GraphBuilder build(graph);
    const Endpoint x = build.arg("x", DType::kFloat, c.x);
    graph.results = {c.body(build, x)};
    graph.result_names = {"y"};
    ASSERT_TRUE(build.status().ok()) << c.name << ": " << build.status();
    const auto executable = Executable::create(graph, std::make_shared<ModelState>(), {});
    ASSERT_TRUE(executable.ok()) << c.name << ": " << executable.status();
    const StatusOr<MergeVerdict> verdict = may_merge_rows((*executable)->graph());
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    EXPECT_EQ(verdict->mergeable, c.mergeable) << c.name << ": " << verdict->reason;
    if (!verdict->mergeable) continue;
    Shape shape{3};
    for (int axis = 1; axis < c.x.rank(); ++axis) shape.append(c.x[axis]);
    std::vector<float> values;
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      values.push_back(static_cast<float>((i * 7) % 11) - 4.5f);
    }
    const Tensor batch = Tensor::from<float>(shape, std::span<const float>(values));
    std::vector<Tensor> merged;
    ASSERT_EQ((*executable)->run({&batch, 1}, merged), absl::OkStatus()) << c.name;
    merged[0] = merged[0].keep();
    const std::vector<float> single = row_by_row(**executable, batch);
    ASSERT_EQ(single.size(), static_cast<size_t>(merged[0].num_elements())) << c.name;
    for (size_t i = 0; i < single.size(); ++i) {
      const float whole = merged[0].dtype() == DType::kInt64
                              ? static_cast<float>(merged[0].data<int64_t>()[i])
                              : merged[0].data<float>()[i];
      EXPECT_EQ(whole, single[i]) << c.name << ", element " << i;
    }
  }
}

class MergedReferenceModel : public testing::TestWithParam<const char*> {};

// The rows of TensorFlow's record, together and one by one.
TEST_P(MergedReferenceModel, AnswersEachRowAsAlone) {
  ASSERT_EQ(register_test_ops(), absl::OkStatus());
  const std::string folder = join_path(kReferenceModels, cat(GetParam(), "/1"));
  const auto model = SavedModel::load(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<GoldenRecords> goldens = read_goldens(folder);
  ASSERT_TRUE(goldens.ok() && !goldens->records.empty());
  const Signature* signature = (*model)->find_signature(goldens->records[0].signature);
  ASSERT_TRUE(signature);
  const auto executable = (*model)->executable(*signature);
  ASSERT_TRUE(executable.ok()) << executable.status();
  const StatusOr<MergeVerdict> verdict = may_merge_rows((*executable)->graph());
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_TRUE(verdict->mergeable) << verdict->reason;
  const GoldenRecord& record = goldens->records[0];
  std::vector<Tensor> args;
  for (const SignatureTensor& input : signature->inputs) {
    args.push_back(record.inputs.at(input.name));
  }
  const int64_t rows = args[0].dim(0);
  std::vector<Tensor> merged;
  ASSERT_EQ((*executable)->run(args, merged), absl::OkStatus());
  for (Tensor& result : merged) result = result.keep();
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<Tensor> own, results;
    for (const Tensor& arg : args) own.push_back(arg.slice(row, 1));
    ASSERT_EQ((*executable)->run(own, results), absl::OkStatus());
    for (size_t i = 0; i < results.size(); ++i) {
      const OutputDrift drift = compare_output(results[i], merged[i].slice(row, 1), {});
      EXPECT_TRUE(drift.passed) << "row " << row << ": " << drift.status;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, MergedReferenceModel,
                         testing::Values("mlp_mnist_export", "mlp_mnist_tfsave", "cnn_digits",
                                         "cnn_lenet_mnist"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tenon
