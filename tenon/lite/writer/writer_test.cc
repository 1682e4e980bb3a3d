// Models written: what TensorFlow's converter made (testdata) goes through the reader, the writer
// and the reader again, and still answers as TensorFlow Lite's reference kernels did.
#include "tenon/base/files.h"
#include "tenon/io/npy.h"
#include "tenon/lite/lite_test.h"
#include "tenon/lite/model_file.h"
#include "tenon/lite/writer/lite_writer.h"

namespace tenon::lite {
namespace {

const std::string kWrittenData = TENON_SOURCE_DIR "/tenon/lite/testdata/";

std::shared_ptr<SavedModel> load_bytes(const std::string& bytes) {
  const auto folder = TemporaryDirectory::create();
  EXPECT_TRUE(folder.ok());
  EXPECT_TRUE(write_file(join_path(folder->path(), "model.tflite"), bytes).ok());
  auto model = SavedModel::load(folder->path());
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

std::shared_ptr<SavedModel> load_stored(const std::string& name) {
  register_lite();
  auto model = SavedModel::load(kWrittenData + name + ".tflite");
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

// The stored inputs and the answers of `model` to them and of TensorFlow Lite, in order.
struct Answers {
  std::vector<std::pair<std::string, Tensor>> inputs;
  std::vector<Tensor> got, want;
};

Answers answers_of(const SavedModel& model, const std::string& name) {
  Answers answers;
  const auto arrays = NpzReader::open(kWrittenData + name + ".npz");
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  const Signature& signature = model.signatures().at(0);
  std::vector<Tensor> args;
  for (const SignatureTensor& input : signature.inputs) {
    auto value = arrays->read("in:" + input.name);
    EXPECT_TRUE(value.ok()) << value.status();
    args.push_back(*value);
    answers.inputs.emplace_back(input.name, *std::move(value));
  }
  for (const SignatureTensor& output : signature.outputs) {
    auto value = arrays->read("out:" + output.name);
    EXPECT_TRUE(value.ok()) << value.status();
    answers.want.push_back(*std::move(value));
  }
  const auto executable = model.executable(signature);
  EXPECT_TRUE(executable.ok()) << executable.status();
  const Status status = (*executable)->run(args, answers.got);
  EXPECT_TRUE(status.ok()) << status;
  return answers;
}

void expect_near(const Answers& answers, float of_largest, const std::string& what) {
  ASSERT_EQ(answers.got.size(), answers.want.size()) << what;
  for (size_t r = 0; r < answers.got.size(); ++r) {
    const Tensor &got = answers.got[r], &want = answers.want[r];
    ASSERT_EQ(got.dtype(), want.dtype()) << what;
    ASSERT_EQ(got.shape(), want.shape()) << what;
    if (got.dtype() != DType::kFloat) {
      ASSERT_EQ(std::memcmp(got.raw(), want.raw(), got.num_bytes()), 0) << what;
      continue;
    }
    float largest = 0;
    for (float value : want.span<float>()) largest = std::max(largest, std::abs(value));
    for (int64_t i = 0; i < got.num_elements(); ++i) {
      ASSERT_NEAR(got.data<float>()[i], want.data<float>()[i], of_largest * largest + 1e-7F)
          << what << " at " << i;
    }
  }
}

constexpr const char* kRewritten[] = {
    "net_mlp",       "unary_gelu",      "fused_add_relu6",        "conv_SAME_2",
    "conv_grouped",  "binary_floormod", "depthwise_dilated_SAME", "bilinear_True_False_18",
    "array_strided", "array_split_v",   "array_gather_batch",     "array_mirror_reflect",
    "array_one_hot", "array_top_k",     "dynamic_mean",           "dynamic_reshape",
    "matmul_3d",     "cast_int",        "transpose_conv_VALID_2", "while"};

TEST(LiteWriter, WhatIsWrittenAnswersAsTensorFlowLite) {
  for (const char* name : kRewritten) {
    const auto model = load_stored(name);
    ASSERT_TRUE(model);
    const auto file = write_lite(*model, {});
    ASSERT_TRUE(file.ok()) << name << ": " << file.status();
    const auto written = load_bytes(file->bytes);
    ASSERT_TRUE(written) << name;
    EXPECT_EQ(written->signatures().at(0).name, model->signatures().at(0).name);
    expect_near(answers_of(*written, name), 1e-5F, name);
  }
}

std::map<std::string, int> operators_of(const std::string& bytes) {
  std::map<std::string, int> count;
  const auto file = ModelFile::parse(bytes);
  EXPECT_TRUE(file.ok()) << file.status();
  for (const auto* op : *(*file)->subgraph(0).operators()) {
    ++count[operator_name((*file)->code(*op))];
  }
  return count;
}

TEST(LiteWriter, BiasAndActivationArePartOfTheirOperator) {
  using Count = std::map<std::string, int>;
  const auto mlp = write_lite(*load_stored("net_mlp"), {});
  ASSERT_TRUE(mlp.ok()) << mlp.status();
  EXPECT_EQ(operators_of(mlp->bytes), (Count{{"FULLY_CONNECTED", 2}, {"SOFTMAX", 1}}));
  const auto conv = write_lite(*load_stored("conv_SAME_2"), {});
  ASSERT_TRUE(conv.ok()) << conv.status();
  EXPECT_EQ(operators_of(conv->bytes), (Count{{"CONV_2D", 1}}));
  const auto gelu = write_lite(*load_stored("unary_gelu"), {});
  ASSERT_TRUE(gelu.ok()) << gelu.status();
  EXPECT_EQ(operators_of(gelu->bytes), (Count{{"GELU", 1}}));
}

TEST(LiteWriter, WeightsInFewerBitsAnswerNearly) {
  const auto model = load_stored("net_mlp");
  const auto floats = write_lite(*model, {});
  ASSERT_TRUE(floats.ok());
  for (const auto& [weights, tolerance] :
       {std::pair(Weights::kFloat16, 1e-3F), std::pair(Weights::kDynamic, 0.03F)}) {
    LiteOptions options;
    options.weights = weights;
    const auto file = write_lite(*model, options);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_LT(file->bytes.size(), floats->bytes.size() + 600);
    expect_near(answers_of(*load_bytes(file->bytes), "net_mlp"), tolerance, "net_mlp");
  }
}

TEST(LiteWriter, IntegersAnswerNearlyAndSayWhatTheyLose) {
  for (const auto& [weights, tolerance] :
       {std::pair(Weights::kInt8, 0.05F), std::pair(Weights::kInt16x8, 0.02F)}) {
    const auto model = load_stored("net_mlp");
    const auto inputs = answers_of(*model, "net_mlp").inputs;
    LiteOptions options;
    options.weights = weights;
    options.representative = inputs;
    const auto file = write_lite(*model, options);
    ASSERT_TRUE(file.ok()) << file.status();
    const auto count = operators_of(file->bytes);
    EXPECT_EQ(count.at("QUANTIZE"), 1);
    EXPECT_EQ(count.at("DEQUANTIZE"), 1);
    expect_near(answers_of(*load_bytes(file->bytes), "net_mlp"), tolerance, "net_mlp");
    ASSERT_EQ(file->layers.size(), 3U);
    EXPECT_EQ(file->layers[0].op, "FULLY_CONNECTED");
    for (const LayerLoss& layer : file->layers) {
      EXPECT_GT(layer.range, 0);
      EXPECT_GT(layer.error, 0);
      EXPECT_LT(layer.error, 0.05);
    }
  }
}

TEST(LiteWriter, WhatTensorFlowLiteLacksIsOneSentence) {
  const auto file = write_lite(*load_stored("nms_v5"), {});
  EXPECT_TRUE(absl::IsUnimplemented(file.status())) << file.status();
  EXPECT_NE(file.status().message().find("op _LiteNonMaxSuppression"), std::string::npos)
      << file.status();
  LiteOptions integers;
  integers.weights = Weights::kInt8;
  const auto loop = write_lite(*load_stored("while"), integers);
  EXPECT_TRUE(absl::IsUnimplemented(loop.status())) << loop.status();
}

TEST(LiteWriter, RepresentativeDataMustFit) {
  const auto model = load_stored("net_mlp");
  LiteOptions options;
  options.weights = Weights::kInt8;
  const std::pair<std::string, Tensor> other[] = {{"y", Tensor::vector<float>({1, 2})}};
  options.representative = other;
  const auto missing = write_lite(*model, options);
  EXPECT_TRUE(absl::IsInvalidArgument(missing.status())) << missing.status();
  EXPECT_NE(missing.status().message().find("no array"), std::string::npos) << missing.status();
}

}  // namespace
}  // namespace tenon::lite
