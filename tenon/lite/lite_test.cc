// Models of TensorFlow Lite, run as `tenon run` does: what TensorFlow's converter made and its
// reference kernels answered (testdata, by tests/interop/lite_models.py), and files that nobody
// made in good faith.
#include "tenon/lite/lite_test.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tenon/base/files.h"
#include "tenon/io/npy.h"
#include "tenon/lite/schema_generated.h"
#include "tenon/saved_model/saved_model.h"
#include "tests/fuzz/run_signatures.h"

namespace tenon::lite {
namespace {

const std::string kLiteData = TENON_SOURCE_DIR "/tenon/lite/testdata/";

std::vector<std::string> stored_models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kLiteData)) {
    if (entry.path().extension() == ".tflite") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

void expect_close(const Tensor& got, const Tensor& want, const std::string& what) {
  ASSERT_EQ(got.dtype(), want.dtype()) << what;
  ASSERT_EQ(got.shape(), want.shape()) << what;
  if (got.dtype() == DType::kFloat) {
    float largest = 0;
    for (float value : want.span<float>()) largest = std::max(largest, std::abs(value));
    for (int64_t i = 0; i < got.num_elements(); ++i) {
      ASSERT_NEAR(got.data<float>()[i], want.data<float>()[i], 1e-5F * largest + 1e-7F)
          << what << " at " << i;
    }
  } else if (got.dtype() == DType::kString) {
    for (int64_t i = 0; i < got.num_elements(); ++i) {
      ASSERT_EQ(got.data<std::string_view>()[i], want.data<std::string_view>()[i]) << what;
    }
  } else {
    ASSERT_EQ(std::memcmp(got.raw(), want.raw(), got.num_bytes()), 0) << what;
  }
}

void run_stored(const std::string& model_path, const std::string& name, int team = 0) {
  LoadOptions options;
  options.executable.team = team;
  auto model = SavedModel::load(model_path, options);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ((*model)->signatures().size(), 1U);
  const Signature& signature = (*model)->signatures()[0];
  auto arrays = NpzReader::open(kLiteData + name + ".npz");
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  std::vector<Tensor> args, results;
  for (const SignatureTensor& input : signature.inputs) {
    auto value = arrays->read("in:" + input.name);
    ASSERT_TRUE(value.ok()) << value.status();
    args.push_back(*std::move(value));
  }
  const auto executable = (*model)->executable(signature);
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Status status = (*executable)->run(args, results);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(results.size(), signature.outputs.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const auto want = arrays->read("out:" + signature.outputs[i].name);
    ASSERT_TRUE(want.ok()) << want.status();
    expect_close(results[i], *want, name + " " + signature.outputs[i].name);
  }
}

class StoredModel : public testing::TestWithParam<std::string> {};

TEST_P(StoredModel, AnswersAsTensorFlowLiteForAnyTeam) {
  register_lite();
  for (int team : {0, 1, 2, 3, 8, 32}) {
    SCOPED_TRACE(team);
    run_stored(kLiteData + GetParam() + ".tflite", GetParam(), team);
  }
}

INSTANTIATE_TEST_SUITE_P(Lite, StoredModel, testing::ValuesIn(stored_models()),
                         [](const auto& info) { return info.param; });

TEST(LiteFile, InAVersionFolder) {
  register_lite();
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const auto bytes = read_file(kLiteData + "net_mlp.tflite");
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(write_file(join_path(folder->path(), "model.tflite"), *bytes).ok());
  run_stored(folder->path(), "net_mlp");
}

// --- files that are wrong ---

TEST(LiteFile, CutAnywhereIsOneSentence) {
  register_lite();
  for (const char* name : {"net_lstm", "while_if", "int8_net_cnn", "hashtable"}) {
    const auto bytes = read_file(kLiteData + name + ".tflite");
    ASSERT_TRUE(bytes.ok());
    for (size_t size = 0; size < bytes->size(); size += 1 + bytes->size() / 200) {
      const auto message = saved_model_of(bytes->substr(0, size));
      if (message.ok()) continue;  // what was cut off may be a name that nobody needs
      EXPECT_TRUE(absl::IsInvalidArgument(message.status())) << name << message.status();
      EXPECT_EQ(message_of(message.status()).find('\n'), std::string_view::npos);
    }
  }
}

// To the end of a run. TENON_LITE_TRIALS says how often for each model, TENON_LITE_SEED from where.
TEST(LiteFile, DamagedBytesAreAnErrorOrAModel) {
  register_lite();
  const auto number = [](const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  uint64_t state = number("TENON_LITE_SEED", 1);
  const auto draw = [&](uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % below;
  };
  // In memory: a file on a disk is synced each time.
  const std::string path = cat("/dev/shm/tenon-lite-test-", getpid(), ".tflite");
  const uint64_t trials = number("TENON_LITE_TRIALS", 20);
  for (const std::string& name : stored_models()) {
    const auto bytes = read_file(kLiteData + name + ".tflite");
    ASSERT_TRUE(bytes.ok());
    for (uint64_t trial = 0; trial < trials; ++trial) {
      std::string damaged = *bytes;
      const uint64_t places = 1 + draw(3);
      for (uint64_t i = 0; i < places; ++i) {
        damaged[draw(damaged.size())] = static_cast<char>(draw(3) == 0 ? 255 : draw(256));
      }
      ASSERT_TRUE(write_file(path, damaged).ok());
      const auto model = SavedModel::load(path, {.executable = {}, .warn = false});
      if (!model.ok()) continue;
      for (const Signature& signature : (*model)->signatures()) {
        run_signature(**model, signature, state);
      }
    }
  }
  EXPECT_TRUE(remove_tree(path).ok());
}

// A model of one subgraph with one operator and `tensors` float tensors [1], made by hand.
class LiteBuilder {
 public:
  int32_t builtin = 0;
  std::string custom{};
  int tensors = 2;
  std::vector<int32_t> inputs = {0}, outputs = {1}, graph_inputs = {0}, graph_outputs = {1};
  schema::BuiltinOptions options_type = schema::BuiltinOptions_NONE;
  int32_t subgraph = 0;  // of IF, WHILE
  uint32_t buffer = 0, opcode = 0;
  uint32_t version = 3;

  std::string finish() {
    flatbuffers::FlatBufferBuilder b;
    std::vector<flatbuffers::Offset<schema::Tensor>> all;
    for (int i = 0; i < tensors; ++i) {
      const std::vector<int32_t> shape = {1};
      all.push_back(schema::CreateTensorDirect(b, &shape, 0, buffer, "t"));
    }
    flatbuffers::Offset<void> options;
    if (options_type == schema::BuiltinOptions_IfOptions) {
      options = schema::CreateIfOptions(b, subgraph, subgraph).Union();
    } else if (options_type == schema::BuiltinOptions_CallOptions) {
      options = schema::CreateCallOptions(b, static_cast<uint32_t>(subgraph)).Union();
    }
    const std::vector<flatbuffers::Offset<schema::Operator>> operators = {
        schema::CreateOperatorDirect(b, opcode, &inputs, &outputs, options_type, options)};
    const std::vector<flatbuffers::Offset<schema::SubGraph>> graphs = {
        schema::CreateSubGraphDirect(b, &all, &graph_inputs, &graph_outputs, &operators, "main")};
    const std::vector<flatbuffers::Offset<schema::OperatorCode>> codes = {
        schema::CreateOperatorCodeDirect(b, static_cast<int8_t>(std::min(builtin, 127)),
                                         custom.empty() ? nullptr : custom.c_str(), 1, builtin)};
    const std::vector<flatbuffers::Offset<schema::Buffer>> buffers = {
        schema::CreateBufferDirect(b)};
    schema::FinishModelBuffer(
        b, schema::CreateModelDirect(b, version, &codes, &graphs, "made by hand", &buffers));
    return std::string(reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize());
  }
};

void expect_refused(LiteBuilder builder, absl::StatusCode code, std::string_view part) {
  register_lite();
  const auto message = saved_model_of(builder.finish());
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.status().code(), code) << message.status();
  EXPECT_NE(message_of(message.status()).find(part), std::string_view::npos) << message.status();
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(LiteFile, IndicesOutOfRange) {
  expect_refused({.inputs = {7}}, kInvalid, "is tensor 7, the subgraph has 2 tensors");
  expect_refused({.inputs = {-2}}, kInvalid, "is tensor -2");
  expect_refused({.graph_outputs = {2}}, kInvalid, "an output of subgraph 0 is tensor 2");
  expect_refused({.buffer = 9}, kInvalid, "has buffer 9");
  expect_refused({.opcode = 3}, kInvalid, "has code 3");
  expect_refused({.version = 2}, kInvalid, "version 2, expected 3");
}

TEST(LiteFile, WhatNobodyComputes) {
  // NEG (59) of a tensor that has no value.
  expect_refused({.builtin = 59, .graph_inputs = {}}, kInvalid, "read before anything computes it");
  expect_refused({.builtin = 59, .inputs = {}}, kInvalid, "input 0 is missing");
  expect_refused({.builtin = 59, .outputs = {}}, kInvalid, "output 0 is missing");
}

constexpr int8_t kInt16Type = 7, kInt8Type = 9;

// Operators of one type that read tensor 0, whose scales stand in the file once.
std::string many_operators(int count, int builtin, int8_t type, int scales) {
  flatbuffers::FlatBufferBuilder b;
  const std::vector<float> scale(static_cast<size_t>(scales), 0.5F);
  const auto quantization = schema::CreateQuantizationParametersDirect(
      b, nullptr, nullptr, &scale, nullptr, schema::QuantizationDetails_NONE, 0, 0);
  std::vector<flatbuffers::Offset<schema::Tensor>> tensors;
  const std::vector<int32_t> shape = {scales};
  for (int i = 0; i <= count; ++i) {
    tensors.push_back(schema::CreateTensorDirect(b, &shape, type, 0, "t", quantization));
  }
  std::vector<flatbuffers::Offset<schema::Operator>> operators;
  const std::vector<int32_t> inputs = {0};
  for (int i = 1; i <= count; ++i) {
    const std::vector<int32_t> outputs = {i};
    operators.push_back(schema::CreateOperatorDirect(b, 0, &inputs, &outputs));
  }
  const std::vector<int32_t> results = {count};
  const std::vector<flatbuffers::Offset<schema::SubGraph>> graphs = {
      schema::CreateSubGraphDirect(b, &tensors, &inputs, &results, &operators, "main")};
  const std::vector<flatbuffers::Offset<schema::OperatorCode>> codes = {
      schema::CreateOperatorCodeDirect(b, static_cast<int8_t>(builtin), nullptr, 1, builtin)};
  const std::vector<flatbuffers::Offset<schema::Buffer>> buffers = {schema::CreateBufferDirect(b)};
  schema::FinishModelBuffer(
      b, schema::CreateModelDirect(b, 3, &codes, &graphs, "made by hand", &buffers));
  return std::string(reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize());
}

TEST(LiteFile, WhatOperatorsShareOrBringIsBoundedByTheSizeOfTheFile) {
  register_lite();
  const auto translated = [](int count, int builtin, int8_t type, int scales) {
    return saved_model_of(many_operators(count, builtin, type, scales)).status();
  };
  // LOGISTIC (14) of 16 bits brings a table of 128 KiB.
  EXPECT_TRUE(translated(3, 14, kInt16Type, 1).ok());
  EXPECT_EQ(translated(2000, 14, kInt16Type, 1).code(), absl::StatusCode::kResourceExhausted);
  // NEG (59) with a scale for each of 100,000 channels.
  EXPECT_TRUE(translated(3, 59, kInt8Type, 100'000).ok());
  EXPECT_EQ(translated(2000, 59, kInt8Type, 100'000).code(), absl::StatusCode::kResourceExhausted);
}

TEST(LiteFile, OperatorsThatAreNotThere) {
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  expect_refused({.builtin = 32, .custom = "MyOp"}, kUnimplemented, "custom operator 'MyOp'");
  expect_refused({.builtin = 9999}, kUnimplemented, "operator 9999");
}

// Loaded or not, it gives no answer, and ends.
void expect_no_answer(LiteBuilder builder) {
  register_lite();
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const std::string path = join_path(folder->path(), "model.tflite");
  ASSERT_TRUE(write_file(path, builder.finish()).ok());
  const auto model = SavedModel::load(path, {.executable = {}, .warn = false});
  if (!model.ok()) return;
  const auto executable = (*model)->executable((*model)->signatures()[0]);
  if (!executable.ok()) return;
  std::vector<Tensor> args, results;
  for (size_t i = 0; i < builder.graph_inputs.size(); ++i) {
    args.push_back(Tensor::vector<float>({1.0F}));
  }
  EXPECT_FALSE((*executable)->run(args, results).ok());
}

TEST(LiteFile, ASubgraphThatCallsItself) {
  expect_no_answer({.builtin = 118,  // IF
                    .inputs = {0, 0, 1},
                    .outputs = {1},
                    .graph_inputs = {0, 1},
                    .options_type = schema::BuiltinOptions_IfOptions});
  expect_no_answer({.builtin = 31,  // CALL
                    .options_type = schema::BuiltinOptions_CallOptions});
  expect_refused({.builtin = 31, .options_type = schema::BuiltinOptions_CallOptions, .subgraph = 5},
                 kInvalid, "names subgraph 5, the file has 1");
}

}  // namespace
}  // namespace tenon::lite
