// Outside truth: the error texts and response bytes of TensorFlow Serving
// (tensorflow_serving/util/json_tensor.cc and its test), and RapidJSON's PrettyWriter.
#include "tenon/serving/json/json_predict.h"

#include <gtest/gtest.h>

// RapidJSON adds offsets to null pointers, which clang's sanitizer of undefined behaviour reports.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace tenon::serving {
namespace {

StatusOr<JsonPredictRequest> parse(std::string_view body, std::vector<TensorSpec> specs) {
  return parse_predict_request(
      body, [&](std::string_view) -> StatusOr<std::span<const TensorSpec>> { return specs; });
}

std::string error_of(std::string_view body, std::vector<TensorSpec> specs) {
  return std::string(message_of(parse(body, std::move(specs)).status()));
}

const TensorSpec kFloatX{"x", DType::kFloat, {}};

template <class T>
std::vector<T> values_of(const Tensor& tensor) {
  return {tensor.span<T>().begin(), tensor.span<T>().end()};
}

TEST(JsonRequestTest, RowsAreStackedAlongANewDimension) {
  const auto request = parse("{\"instances\": [[1, 2.5], [NaN, -Infinity]]}", {kFloatX});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->format, JsonFormat::kRow);
  EXPECT_EQ(request->inputs[0].shape(), (Shape{2, 2}));
  const auto values = values_of<float>(request->inputs[0]);
  EXPECT_EQ(values[1], 2.5F);
  EXPECT_TRUE(std::isnan(values[2]));
  EXPECT_EQ(values[3], -INFINITY);
}

TEST(JsonRequestTest, ColumnsKeepTheirShape) {
  const std::vector<TensorSpec> specs = {{"a", DType::kInt64, {}}, {"b", DType::kString, {}}};
  const auto request = parse(
      "{\"inputs\": {\"b\": [[\"u\", {\"b64\": \"/wA=\"}]], \"extra\": null, \"a\": -7}, "
      "\"signature_name\": \"s\"}",
      specs);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->format, JsonFormat::kColumnar);
  EXPECT_EQ(request->signature_name, "s");
  EXPECT_EQ(request->inputs[0].shape(), Shape());
  EXPECT_EQ(values_of<int64_t>(request->inputs[0]), std::vector<int64_t>{-7});
  EXPECT_EQ(request->inputs[1].shape(), (Shape{1, 2}));
  EXPECT_EQ(request->inputs[1].data<std::string_view>()[1], std::string_view("\xFF\0", 2));
}

TEST(JsonRequestTest, FirstOfDuplicateKeysWins) {
  const auto request = parse("{\"instances\": [1], \"instances\": 5}", {kFloatX});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(values_of<float>(request->inputs[0]), std::vector<float>{1});
}

TEST(JsonRequestTest, EmptyListsMakeEmptyTensors) {
  EXPECT_EQ(parse("{\"inputs\": []}", {kFloatX})->inputs[0].shape(), Shape{0});
  EXPECT_EQ(parse("{\"inputs\": [[],[]]}", {kFloatX})->inputs[0].shape(), (Shape{2, 0}));
  EXPECT_EQ(parse("{\"instances\": [[],[],[]]}", {kFloatX})->inputs[0].shape(), (Shape{3, 0}));
}

TEST(JsonRequestTest, NarrowIntegersTakeAnyInt32) {
  const auto request = parse("{\"instances\": [127, -128, 300]}", {{"x", DType::kInt8, {}}});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(values_of<int8_t>(request->inputs[0]), (std::vector<int8_t>{127, -128, 44}));
}

TEST(JsonRequestTest, FloatOverflowIsInfinity) {
  const auto request = parse("{\"instances\": [1e300, -1e300, 1e-300]}", {kFloatX});
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(values_of<float>(request->inputs[0]), (std::vector<float>{INFINITY, -INFINITY, 0}));
}

struct ErrorCase {
  const char* body;
  const char* message;
};

TEST(JsonRequestTest, ErrorsHaveTensorFlowServingsTexts) {
  const ErrorCase cases[] = {
      {"", "JSON Parse error: The document is empty"},
      {"[1, 2]", "JSON Value: [1,2] Is not object"},
      {"{\"signature_name\":5}",
       "JSON Value: {\"signature_name\":5} not formatted correctly. 'signature_name' key must be a "
       "string value."},
      {"{\"instances\":[1],\"inputs\":[1]}",
       "JSON Value: {\"instances\":[1],\"inputs\":[1]} Not formatted correctly expecting only one "
       "of 'inputs' or 'instances' keys to exist "},
      {"{\"x\": 1}", "Missing 'inputs' or 'instances' key"},
      {"{\"instances\":{}}",
       "JSON Value: {\"instances\":{}} Expecting 'instances' to be an list/array"},
      {"{\"instances\":[]}", "JSON Value: {\"instances\":[]} No values in 'instances' array"},
      {"{\"inputs\":null}", "JSON Value: null Type: Null is not of expected type: float"},
      {"{\"inputs\":[1,\"x\"]}", "JSON Value: \"x\" Type: String is not of expected type: float"},
      {"{\"inputs\":[[1,2],[3]]}",
       "Encountered list at unexpected size: 1 at level: 1 expected size: 2"},
      {"{\"inputs\":[[1],2]}",
       "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"},
      {"{\"inputs\":[1,[2]]}", "Encountered list at unexpected level: 1 expected < 1"},
      {"{\"inputs\":{\"y\":[1.0]}}", "Missing named input: x in 'inputs' object."},
      {"{\"instances\":[\"x\"]}",
       "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: "
       "\"x\" Type: String is not of expected type: float"},
      {"{\"instances\":[[1,2],[3,4],[5,6,7]]}",
       "Failed to process element: 2 of 'instances' list. Error: INVALID_ARGUMENT: Expecting "
       "tensor size: 2 but got: 3"},
      {"{\"instances\":[[[1,2]],[[1],[2]]]}",
       "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape "
       "[1,2] but got: [2,1]"},
      {"{\"instances\":[{\"x\":1},[1]]}", "Expecting object but got list at item 1 of input list"},
      {"{\"instances\":[1,{\"x\":1}]}",
       "Expecting value/list but got object at item 1 of input list"},
      {"{\"instances\":[{\"z\":1}]}",
       "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON "
       "object: does not have named input: z"},
      {"{\"instances\":[{}]}",
       "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: "
       "x"},
      {"{\"inputs\":{\"b64\":\"AAAA\"}}",
       "JSON Value: {\"b64\":\"AAAA\"} Type: Object is not of expected type: float"},
  };
  for (const ErrorCase& c : cases) EXPECT_EQ(error_of(c.body, {kFloatX}), c.message) << c.body;
}

TEST(JsonRequestTest, SeveralInputsNeedNames) {
  const std::vector<TensorSpec> two = {{"a", DType::kFloat, {}}, {"b", DType::kFloat, {}}};
  EXPECT_EQ(error_of("{\"instances\":[1]}", two),
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map");
  EXPECT_EQ(error_of("{\"inputs\":[1]}", two),
            "inputs is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map");
  EXPECT_EQ(error_of("{\"instances\":[{\"b\":1}]}", two),
            "Failed to process element: 0 of 'instances' list. JSON object: {\"b\":1} keys must be "
            "equal to: a,b");
}

TEST(JsonRequestTest, Base64Errors) {
  const std::vector<TensorSpec> specs = {{"s", DType::kString, {}}};
  EXPECT_EQ(error_of("{\"inputs\":[{\"b64\":\"####\"}]}", specs), "Unable to base64 decode");
  EXPECT_EQ(error_of("{\"inputs\":[{\"b64\":1}]}", specs),
            "JSON Value: {\"b64\":1} not formatted correctly for base64 data");
}

TEST(JsonRequestTest, TypesWithoutJsonFormAreUnimplementedInColumnsOnly) {
  const std::vector<TensorSpec> specs = {{"x", DType::kComplex64, {}}};
  const auto columns = parse("{\"inputs\":[1.0]}", specs).status();
  EXPECT_EQ(columns.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(message_of(columns), "Conversion of JSON Value: 1.0 to type: complex64");
  const auto rows = parse("{\"instances\":[1.0]}", specs).status();
  EXPECT_EQ(rows.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(message_of(rows),
            "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of "
            "JSON Value: 1.0 to type: complex64");
}

// Bits as IEEE 754 and NumPy have them: np.float16(x).view(np.uint16), ml_dtypes.bfloat16(x).
TEST(JsonRequestTest, HalvesAreRoundedOnce) {
  const std::string body =
      R"({"inputs": [1.1, 2.0004882812500001, -65520, 5.9604644775390625e-8]})";
  const std::vector<TensorSpec> half = {{"x", DType::kHalf, {}}};
  const auto halves = parse(body, half);
  ASSERT_TRUE(halves.ok()) << halves.status();
  const uint16_t want[] = {0x3c66, 0x4000, 0xfc00, 0x0001};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(halves->inputs[0].data<float16>()[i].bits, want[i]) << i;
  // Above the middle of 1 and the next half by less than a float can tell.
  const auto above = parse(R"({"instances": [1.00048828125000001, 1.0004882812500002]})", half);
  ASSERT_TRUE(above.ok());
  EXPECT_EQ(above->inputs[0].data<float16>()[0].bits, 0x3c00);
  EXPECT_EQ(above->inputs[0].data<float16>()[1].bits, 0x3c01);
  const std::vector<TensorSpec> brain = {{"x", DType::kBfloat16, {}}};
  const auto brains = parse(R"({"inputs": [1.1, -2, NaN]})", brain);
  ASSERT_TRUE(brains.ok()) << brains.status();
  EXPECT_EQ(brains->inputs[0].data<bfloat16>()[0].bits, 0x3f8d);
  EXPECT_EQ(brains->inputs[0].data<bfloat16>()[1].bits, 0xc000);
  EXPECT_NE(brains->inputs[0].data<bfloat16>()[2], brains->inputs[0].data<bfloat16>()[2]);
}

TEST(JsonRequestTest, SignatureWithoutInputs) {
  EXPECT_EQ(error_of("{\"inputs\":1}", {}), "Failed to get input map for signature: DEFAULT");
  EXPECT_EQ(error_of("{\"inputs\":1,\"signature_name\":\"s\"}", {}),
            "Failed to get input map for signature: s");
}

TEST(JsonRequestTest, RaggedListsCannotAskForMoreMemoryThanTheyHold) {
  // Read off the first elements, the shape would be [1000, 100000]: 400 MB of zeros.
  std::string body = "{\"inputs\":[[";
  for (int i = 0; i < 100000; ++i) body += i ? ",1" : "1";
  body += "]";
  for (int i = 0; i < 999; ++i) body += ",[]";
  EXPECT_EQ(error_of(body + "]}", {kFloatX}),
            "Encountered list at unexpected size: 0 at level: 1 expected size: 100000");
}

TEST(JsonRequestTest, RankAboveTensorFlowsLimitIsAnError) {
  const std::string body = cat("{\"inputs\":", std::string(300, '['), std::string(300, ']'), "}");
  EXPECT_EQ(parse(body, {kFloatX}).status().code(), absl::StatusCode::kInvalidArgument);
}

std::string written(JsonFormat format, std::vector<std::pair<std::string, Tensor>> outputs) {
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : outputs) named.push_back({name, &tensor});
  const auto text = write_predict_response(format, named);
  return text.ok() ? *text : cat(message_of(text.status()));
}

Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor::from<float>(std::move(shape), values);
}

TEST(JsonResponseTest, RowBytes) {
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", floats({3}, {2.5, 3, 4.5})}}),
            "{\n    \"predictions\": [2.5, 3.0, 4.5\n    ]\n}");
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", floats({2, 2}, {2.5, 3, 2.5, 3})}}),
            "{\n    \"predictions\": [[2.5, 3.0], [2.5, 3.0]\n    ]\n}");
  EXPECT_EQ(
      written(JsonFormat::kRow,
              {{"a", floats({2}, {2.5, 1})}, {"b", floats({2, 2}, {3, 1, 0, 2})}}),
      "{\n    \"predictions\": [\n        {\n            \"a\": 2.5,\n            \"b\": [3.0, "
      "1.0]\n        },\n        {\n            \"a\": 1.0,\n            \"b\": [0.0, 2.0]\n       "
      " "
      "}\n    ]\n}");
}

TEST(JsonResponseTest, ColumnBytes) {
  EXPECT_EQ(written(JsonFormat::kColumnar, {{"y", floats({2}, {2.5, 3})}}),
            "{\n    \"outputs\": [\n        2.5,\n        3.0\n    ]\n}");
  EXPECT_EQ(written(JsonFormat::kColumnar, {{"y", floats({0}, {})}}), "{\n    \"outputs\": []\n}");
}

// What json_tensor.cc does with RapidJSON's PrettyWriter, for a bytes output of rank 2.
TEST(JsonResponseTest, BytesLayoutIsPrettyWriters) {
  const std::vector<std::string> texts = {"hello", std::string("\xFF\0", 2)};
  const Tensor tensor = Tensor::strings({2, 1}, texts);
  for (const bool row : {true, false}) {
    rapidjson::StringBuffer buffer;
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
    writer.StartObject();
    writer.Key(row ? "predictions" : "outputs");
    writer.StartArray();
    for (const char* text : {"aGVsbG8=", "/wA="}) {
      if (row) writer.SetFormatOptions(rapidjson::kFormatSingleLineArray);
      writer.StartArray();
      writer.StartObject();
      writer.Key("b64");
      writer.String(text);
      writer.EndObject();
      writer.EndArray();
      if (row) writer.SetFormatOptions(rapidjson::kFormatDefault);
    }
    writer.EndArray();
    writer.EndObject();
    EXPECT_EQ(written(row ? JsonFormat::kRow : JsonFormat::kColumnar, {{"y_bytes", tensor}}),
              buffer.GetString());
  }
}

TEST(JsonResponseTest, StringsAreEscapedAsRapidJsonDoes) {
  std::string text;
  for (int c = 0; c < 256; ++c) text += static_cast<char>(c);
  rapidjson::StringBuffer buffer;
  rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
  writer.StartObject();
  writer.Key("error");
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  writer.EndObject();
  EXPECT_EQ(write_json_error(text), std::string_view(buffer.GetString(), buffer.GetSize()));
}

TEST(JsonResponseTest, IntegersAndBools) {
  EXPECT_EQ(
      written(JsonFormat::kRow, {{"y", Tensor::vector<uint64_t>({18446744073709551615U, 1})}}),
      "{\n    \"predictions\": [18446744073709551615, 1\n    ]\n}");
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", Tensor::vector<int8_t>({-128, 127})}}),
            "{\n    \"predictions\": [-128, 127\n    ]\n}");
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", Tensor::vector<bool>({true, false})}}),
            "{\n    \"predictions\": [true, false\n    ]\n}");
}

TEST(JsonResponseTest, Errors) {
  EXPECT_EQ(written(JsonFormat::kRow, {}), "Cannot convert empty tensor map to JSON");
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", Tensor::scalar(1.0F)}}),
            "Tensor name: y has no shape information ");
  EXPECT_EQ(written(JsonFormat::kRow, {{"a", floats({2}, {1, 2})}, {"b", floats({1}, {1})}}),
            "Tensor name: b has inconsistent batch size: 1 expecting: 2");
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", Tensor::vector<std::complex<float>>({{1.0F, 0.0F}})}}),
            "Failed to write JSON value for tensor type: complex64");
}

TEST(JsonResponseTest, HalvesAreTheirValues) {
  const Tensor half = Tensor::vector<float16>({float16(1.1F), float16(-2.0F)});
  EXPECT_EQ(written(JsonFormat::kRow, {{"y", half}}),
            "{\n    \"predictions\": [1.09960938, -2.0\n    ]\n}");
}

TEST(JsonResponseTest, ErrorBody) {
  EXPECT_EQ(write_json_error("no"), "{\n    \"error\": \"no\"\n}");
}

}  // namespace
}  // namespace tenon::serving
