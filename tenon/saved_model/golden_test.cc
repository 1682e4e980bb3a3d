#include "tenon/saved_model/golden.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tenon/base/files.h"
#include "tenon/graph/builder.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/writer.h"

namespace tenon {
namespace {

const std::string kModels = TENON_SOURCE_DIR "/../shared/cases/models";

// Records made by TensorFlow; the ops of these models are the ones that the first models need.
class TensorFlowGolden : public testing::TestWithParam<const char*> {};

TEST_P(TensorFlowGolden, IsMet) {
  ASSERT_TRUE(register_test_ops().ok());
  const std::string folder = join_path(kModels, cat(GetParam(), "/1"));
  const StatusOr<std::shared_ptr<SavedModel>> model = SavedModel::load(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<GoldenReport> report =
      replay_goldens(**model, Precision::kFloat32, GoldenBatches::kOthersToo);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_GT(report->replayed, 0u);
  for (const OutputDrift& output : report->outputs) {
    EXPECT_TRUE(output.passed) << output.signature << "/" << output.output << ": " << output.status;
  }
  EXPECT_TRUE(report->passed());
}

INSTANTIATE_TEST_SUITE_P(Models, TensorFlowGolden,
                         testing::Values("mlp_mnist_export", "mlp_mnist_tfsave", "cnn_digits",
                                         "cnn_lenet_mnist", "multi_signature", "default_inputs",
                                         "structured_outputs"),
                         [](const auto& info) { return info.param; });

// What TensorFlow exported, exported again by us, still meets TensorFlow's records: functions that
// call functions, variables handed on, several signatures.
TEST_P(TensorFlowGolden, IsMetByTheModelWrittenAgain) {
  ASSERT_TRUE(register_test_ops().ok());
  const std::string folder = join_path(kModels, cat(GetParam(), "/1"));
  const auto model = SavedModel::load(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<GoldenRecords> records = read_goldens(folder);
  ASSERT_TRUE(records.ok()) << records.status();
  const StatusOr<TemporaryDirectory> place = TemporaryDirectory::create();
  ASSERT_TRUE(place.ok());
  SavedModelSpec spec;
  spec.folder = join_path(place->path(), "1");
  spec.state = (*model)->state().get();
  for (const Signature& signature : (*model)->signatures()) {
    StatusOr<Graph> function = (*model)->function(signature);
    ASSERT_TRUE(function.ok()) << function.status();
    SavedModelEndpoint endpoint{.name = signature.name, .function = *std::move(function)};
    for (const SignatureTensor& input : signature.inputs) {
      if (input.default_value.has_value()) endpoint.defaults[input.name] = input.default_value;
    }
    spec.endpoints.push_back(std::move(endpoint));
  }
  spec.assets_extra.emplace(kGoldenFile, goldens_to_file(records->records));
  ASSERT_EQ(write_saved_model(spec), absl::OkStatus());
  const auto again = SavedModel::load(spec.folder);
  ASSERT_TRUE(again.ok()) << again.status();
  const StatusOr<GoldenReport> report = replay_goldens(**again);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->replayed, records->records.size());
  for (const OutputDrift& output : report->outputs) {
    EXPECT_TRUE(output.passed) << output.signature << "/" << output.output << ": " << output.status;
  }
}

TEST(GoldenReplay, ExemptsSignaturesThatChangeState) {
  ASSERT_TRUE(register_test_ops().ok());
  const auto model = SavedModel::load(join_path(kModels, "trainable_sgd/1"));
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<GoldenReport> report = replay_goldens(**model);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->exempt.contains("train"));
  EXPECT_FALSE(report->exempt.contains("predict"));
}

TEST(GoldenCompare, HoldsFloatsToTheLargestOfTheRecord) {
  const Tensor want = Tensor::vector<float>({100.0f, 0.5f});
  EXPECT_TRUE(compare_output(Tensor::vector<float>({100.0f, 0.509f}), want, {}).passed);
  EXPECT_FALSE(compare_output(Tensor::vector<float>({100.0f, 0.511f}), want, {}).passed);
  EXPECT_NEAR(compare_output(Tensor::vector<float>({100.0f, 0.509f}), want, {}).drift, 0.009, 1e-6);
  EXPECT_NEAR(compare_output(want, want, {}).allowed, 0.010001, 1e-9);
}

TEST(GoldenCompare, NotANumberEqualsItselfOnly) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const Tensor want = Tensor::vector<float>({nan, inf});
  EXPECT_TRUE(compare_output(Tensor::vector<float>({nan, inf}), want, {}).passed);
  EXPECT_FALSE(compare_output(Tensor::vector<float>({1.0f, inf}), want, {}).passed);
  EXPECT_FALSE(compare_output(Tensor::vector<float>({nan, -inf}), want, {}).passed);
}

TEST(GoldenCompare, WantsIntegersStringsAndShapesEqual) {
  const Tensor numbers = Tensor::vector<int64_t>({1, 2});
  EXPECT_TRUE(compare_output(numbers, Tensor::vector<int64_t>({1, 2}), {}).passed);
  EXPECT_FALSE(compare_output(numbers, Tensor::vector<int64_t>({1, 3}), {}).passed);
  EXPECT_FALSE(compare_output(numbers, Tensor::vector<int32_t>({1, 2}), {}).passed);
  EXPECT_FALSE(compare_output(numbers, numbers.reshaped({2, 1}), {}).passed);
  EXPECT_FALSE(compare_output(Tensor::string("a"), Tensor::string("b"), {}).passed);
}

TEST(GoldenManifest, SurvivesWritingAndReading) {
  const StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  GoldenManifest manifest{"tenon 0.1.0", "AVX2", "bf16", Tolerance{0.02, 0.0}, {}};
  manifest.outputs["serve/output_0"] = {0.5, 0.25};
  ASSERT_TRUE(create_directories(join_path(folder->path(), "assets.extra")).ok());
  const std::string path = join_path(folder->path(), "assets.extra/tenon.json");
  ASSERT_TRUE(write_file(path, manifest_to_json(manifest)).ok());
  const StatusOr<GoldenManifest> read = read_manifest(folder->path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->isa, "AVX2");
  EXPECT_EQ(read->tolerance->relative, 0.02);
  EXPECT_EQ(read->outputs.at("serve/output_0").absolute, 0.25);
  ASSERT_TRUE(write_file(path, R"({"golden": {"tolerance": {"relative": -1}}})").ok());
  EXPECT_EQ(read_manifest(folder->path()).status().code(), absl::StatusCode::kInvalidArgument);
}

// y = x - mean over all rows: no row has its answer alone, so that records are replayed whole only;
// and z = 2 x, whose rows do.
TEST(GoldenReplay, ReplaysRowsAloneOnlyWhereTheyAreComputedAlone) {
  ASSERT_TRUE(register_test_ops().ok());
  for (const bool mixes_rows : {true, false}) {
    Graph graph;
    GraphBuilder build(graph);
    const Endpoint x = build.arg("x", DType::kFloat, {-1, 2});
    const int64_t rows[] = {0};
    graph.results = {mixes_rows ? build.sub(x, build.mean(x, rows))
                                : build.mul(x, build.scalar<float>(2.0f))};
    graph.result_names = {"y"};
    ASSERT_TRUE(build.status().ok()) << build.status();
    StatusOr<GoldenRecord> record =
        make_golden("serving_default", graph, std::make_shared<ModelState>(),
                    {{"x", Tensor::vector<float>({1, 2, 5, 9, 7, 7}).reshaped({3, 2})}});
    ASSERT_TRUE(record.ok()) << record.status();
    const StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    SavedModelSpec spec;
    spec.folder = join_path(folder->path(), "1");
    spec.endpoints.push_back({.name = "serve", .function = graph});
    spec.assets_extra[std::string(kGoldenFile)] = goldens_to_file({&*record, 1});
    ASSERT_EQ(write_saved_model(spec), absl::OkStatus());
    const auto model = SavedModel::load(spec.folder);
    ASSERT_TRUE(model.ok()) << model.status();
    const StatusOr<GoldenReport> report =
        replay_goldens(**model, Precision::kFloat32, GoldenBatches::kOthersToo);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->replayed, 1u);
    EXPECT_TRUE(report->passed()) << report->outputs[0].status;
  }
}

// y = 2 x, exported with a golden record whose answer says 3 x.
TEST(GoldenReplay, ReportsTheDriftOfAWrongAnswer) {
  ASSERT_TRUE(register_test_ops().ok());
  Graph graph;
  GraphBuilder build(graph);
  const Endpoint x = build.arg("x", DType::kFloat, {-1});
  graph.results = {build.mul(x, build.scalar<float>(2.0f))};
  graph.result_names = {"y"};
  ASSERT_TRUE(build.status().ok());
  StatusOr<GoldenRecord> record =
      make_golden("serving_default", graph, std::make_shared<ModelState>(),
                  {{"x", Tensor::vector<float>({1.0f, 4.0f})}});
  ASSERT_TRUE(record.ok()) << record.status();
  std::vector<GoldenRecord> records = {*record, *record};
  records[1].outputs["y"] = Tensor::vector<float>({3.0f, 12.0f});
  const StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  SavedModelSpec spec;
  spec.folder = join_path(folder->path(), "1");
  spec.endpoints.push_back({.name = "serve", .function = graph});
  spec.assets_extra[std::string(kGoldenFile)] = goldens_to_file(records);
  ASSERT_EQ(write_saved_model(spec), absl::OkStatus());
  const auto model = SavedModel::load(spec.folder);
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<GoldenReport> report = replay_goldens(**model);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->outputs.size(), 2u);
  EXPECT_TRUE(report->outputs[0].passed);
  EXPECT_FALSE(report->outputs[1].passed);
  EXPECT_EQ(report->outputs[1].drift, 4.0);  // 12 against 8
  EXPECT_EQ(report->outputs[1].output, "y");
  EXPECT_FALSE(report->passed());
}

}  // namespace
}  // namespace tenon
