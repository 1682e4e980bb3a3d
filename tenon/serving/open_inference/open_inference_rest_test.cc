// Outside truth: the Open Inference Protocol's document (kserve/open-inference-protocol,
// inference_rest.md) and Triton's of the extension for binary tensors; bytes of IEEE 754.
#include "tenon/serving/open_inference/open_inference_rest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tenon/base/files.h"
#include "tenon/serving/open_inference/test_servable.h"
#include "tenon/serving/rest_api.h"

namespace tenon::serving {
namespace {

using nlohmann::json;
using namespace std::string_literals;

class OpenInferenceRestTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *TemporaryDirectory::create();
    for (const char* version : {"/1", "/2"}) {
      ASSERT_TRUE(create_directories(folder_->path() + version).ok());
    }
    models_ = serve_mirror(metrics_, folder_->path());
    ASSERT_NE(models_, nullptr);
    RestOptions options;
    options.metrics = &metrics_;
    options.model_control = true;
    api_ = std::make_unique<RestApi>(*models_, options);
  }
  HttpResponse ask(std::string_view method, std::string_view target, std::string_view body = {},
                   std::string_view json_bytes = {}) {
    HttpRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    if (!json_bytes.empty()) request.headers.add("Inference-Header-Content-Length", json_bytes);
    return api_->answer(request);
  }
  json get(std::string_view target) { return json::parse(ask("GET", target).body); }
  // JSON with `bytes` behind it.
  HttpResponse infer_binary(const std::string& text, const std::string& bytes) {
    return ask("POST", "/v2/models/mirror/infer", text + bytes, cat(text.size()));
  }
  HttpResponse infer(std::string_view body) { return ask("POST", "/v2/models/mirror/infer", body); }
  std::string error(std::string_view body, int status = 400) {
    const HttpResponse response = infer(body);
    EXPECT_EQ(response.status, status) << response.body;
    return json::parse(response.body).value("error", "");
  }

  MetricRegistry metrics_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<RestApi> api_;
};

TEST_F(OpenInferenceRestTest, HealthAndMetadata) {
  EXPECT_EQ(get("/v2/health/live"), json({{"live", true}}));
  EXPECT_EQ(get("/v2/health/ready"), json({{"live", true}, {"ready", true}}));
  EXPECT_EQ(get("/v2/models/mirror/ready"), json({{"name", "mirror"}, {"ready", true}}));
  EXPECT_EQ(get("/v2/models/mirror/versions/2/ready")["ready"], true);
  EXPECT_EQ(get("/v2")["extensions"], json({"binary_tensor_data", "model_repository"}));
  EXPECT_EQ(get("/v2/models/mirror"), json::parse(R"({"name": "mirror", "versions": ["2"],
                            "platform": "tensorflow_savedmodel",
                            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
                            "outputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]})"));
  EXPECT_EQ(get("/v2/models"), json({{"models", {"mirror"}}}));
  api_->set_draining();
  EXPECT_EQ(ask("GET", "/v2/health/live").status, 200);
  EXPECT_EQ(ask("GET", "/v2/health/ready").status, 503);
}

TEST_F(OpenInferenceRestTest, PathsThatAreNone) {
  EXPECT_EQ(ask("GET", "/v2/models/ghost").status, 404);
  EXPECT_EQ(ask("GET", "/v2/models/ghost/ready").status, 404);
  EXPECT_EQ(ask("GET", "/v2/models/mirror/versions/7").status, 404);
  EXPECT_EQ(ask("GET", "/v2/models/mirror/versions/99999999999999999999").status, 400);
  EXPECT_EQ(ask("GET", "/v2/models/mirror/infer").status, 405);
  EXPECT_EQ(ask("POST", "/v2/models//infer", "{}").status, 404);
  for (const char* path : {"/v2/nothing", "/v2/models/mirror/versions", "/v2/models/a/b/c/d/e"}) {
    const HttpResponse response = ask("GET", path);
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_TRUE(json::parse(response.body).contains("error"));
  }
}

TEST_F(OpenInferenceRestTest, DataIsFlatOrNestedAndTheIdComesBack) {
  const json want = json::parse(
      R"({"model_name": "mirror", "model_version": "2", "id": "42", "outputs": [
          {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 1.5, -2.0, 4.0]}]})");
  for (const char* data : {"[1, 1.5, -2, 4e0]", "[[1, 1.5], [-2, 4]]"}) {
    const HttpResponse response =
        infer(cat(R"({"id": "42", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32",
                     "data": )",
                  data, R"(}], "outputs": [{"name": "x"}]})"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(json::parse(response.body), want) << response.body;
  }
}

// One row a datatype: two values as JSON and as the bytes that the extension describes.
struct Row {
  const char* datatype;
  const char* values;
  std::string bytes;
};
const Row kRows[] = {
    {"BOOL", "[true, false]", "\x01\x00"s},
    {"UINT8", "[1, 255]", "\x01\xff"s},
    {"UINT16", "[1, 65535]", "\x01\x00\xff\xff"s},
    {"UINT32", "[1, 4294967295]", "\x01\x00\x00\x00\xff\xff\xff\xff"s},
    {"UINT64", "[1, 18446744073709551615]",
     "\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"s},
    {"INT8", "[1, -128]", "\x01\x80"s},
    {"INT16", "[1, -32768]", "\x01\x00\x00\x80"s},
    {"INT32", "[1, -2]", "\x01\x00\x00\x00\xfe\xff\xff\xff"s},
    {"INT64", "[1, -2]", "\x01\x00\x00\x00\x00\x00\x00\x00\xfe\xff\xff\xff\xff\xff\xff\xff"s},
    {"FP16", "[1.0, -2.5]", "\x00\x3c\x00\xc1"s},
    {"FP32", "[1.0, -2.5]", "\x00\x00\x80\x3f\x00\x00\x20\xc0"s},
    {"FP64", "[1.0, -2.5]", "\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x04\xc0"s},
    {"BF16", "[1.0, -2.5]", "\x80\x3f\x20\xc0"s},
    {"BYTES", R"(["a", "bcd"])", "\x01\x00\x00\x00\x61\x03\x00\x00\x00\x62\x63\x64"s},
};

TEST_F(OpenInferenceRestTest, EveryDatatypeInJsonAndInBytesBothWays) {
  for (const Row& row : kRows) {
    const std::string head =
        cat(R"({"parameters": {"signature_name": ")", row.datatype,
            R"("}, "inputs": [{"name": "v", "shape": [2], "datatype": ")", row.datatype, "\", ");
    const std::string as_bytes =
        cat(R"("parameters": {"binary_data_size": )", row.bytes.size(), "}}]");
    const std::string as_json = cat(R"("data": )", row.values, "}]");
    const std::string binary_output =
        R"(, "outputs": [{"name": "v", "parameters": {"binary_data": true}}]})";
    for (const bool bytes_in : {false, true}) {
      for (const bool bytes_out : {false, true}) {
        const std::string text =
            cat(head, bytes_in ? as_bytes : as_json, bytes_out ? binary_output : "}");
        const HttpResponse response = infer_binary(text, bytes_in ? row.bytes : "");
        ASSERT_EQ(response.status, 200) << row.datatype << response.body;
        if (!bytes_out) {
          const json output = json::parse(response.body)["outputs"][0];
          EXPECT_EQ(output["data"], json::parse(row.values)) << response.body;
          EXPECT_EQ(output["datatype"], row.datatype);
          continue;
        }
        EXPECT_EQ(response.content_type, "application/octet-stream");
        ASSERT_EQ(response.headers.size(), 1U);
        EXPECT_EQ(response.headers[0].first, "Inference-Header-Content-Length");
        const size_t length = std::stoul(response.headers[0].second);
        const json output = json::parse(response.body.substr(0, length))["outputs"][0];
        EXPECT_EQ(output["parameters"]["binary_data_size"], row.bytes.size());
        EXPECT_FALSE(output.contains("data"));
        EXPECT_EQ(response.body.substr(length), row.bytes) << row.datatype;
      }
    }
  }
}

TEST_F(OpenInferenceRestTest, ABodyOfBytesAlone) {
  const std::string floats = "\x00\x00\x80\x3f\x00\x00\x20\xc0"s;
  const HttpResponse response = ask("POST", "/v2/models/mirror/infer", floats, "0");
  ASSERT_EQ(response.status, 200) << response.body;
  const size_t length = std::stoul(response.headers.at(0).second);
  EXPECT_EQ(json::parse(response.body.substr(0, length))["outputs"][0]["shape"], json({1, 2}));
  EXPECT_EQ(response.body.substr(length), floats);
  EXPECT_EQ(ask("POST", "/v2/models/mirror/infer", floats.substr(1), "0").status, 400);
}

TEST_F(OpenInferenceRestTest, WhatIsWrongIsNamed) {
  const auto input = [](std::string_view rest) {
    return cat(R"({"inputs": [{"name": "x", )", rest, "}]}");
  };
  const std::string ok = R"("shape": [1, 2], "datatype": "FP32")";
  const std::pair<std::string, std::string> rows[] = {
      {"[", "JSON Parse error"},
      {"[]", "not an object"},
      {"{}", "lacks its \"inputs\""},
      {R"({"inputs": [3]})", "not an object"},
      {input(R"("shape": [1, 2], "datatype": "FP8", "data": [1, 2])"), "unknown \"datatype\""},
      {input(R"("shape": [1, -2], "datatype": "FP32", "data": [1, 2])"), "dimension 1"},
      {input(R"("shape": [4294967296, 4294967296], "datatype": "FP32", "data": [])"), "overflow"},
      {input(R"("datatype": "FP32", "data": [1, 2])"), "lacks its \"shape\""},
      {input(ok), "either \"data\" or"},
      {input(ok + R"(, "data": [1, 2, 3])"), "has shape [3]"},
      {input(ok + R"(, "data": [[1], [2]])"), "has shape [2,1]"},
      {input(ok + R"(, "data": [1, "a"])"), "not of expected type"},
      {input(ok + R"(, "data": {"a": 1})"), "not of expected type"},
      {input(ok + R"(, "parameters": {"binary_data_size": 8})"), "Inference-Header-Content-Length"},
      {input(R"("shape": [2], "datatype": "INT32", "data": [1, 2])"), "expected FP32"},
      {R"({"inputs": [{"name": "z", "shape": [1], "datatype": "FP32", "data": [1]}]})",
       "unexpected input z"},
      {R"({"inputs": []})", "Missing but required: {x}"},
      {R"({"inputs": [], "parameters": {"signature_name": "none"}})", "has no signature none"},
      {R"({"inputs": [{"name": "v", "shape": [1], "datatype": "INT8", "data": [300]}],
           "parameters": {"signature_name": "INT8"}})",
       "300"},
  };
  for (const auto& [body, want] : rows) {
    EXPECT_NE(error(body).find(want), std::string::npos) << body << " -> " << error(body);
  }
  const std::string text = input(ok + R"(, "parameters": {"binary_data_size": 8})");
  EXPECT_EQ(infer_binary(text, std::string(7, '\0')).status, 400);
  EXPECT_EQ(infer_binary(text, std::string(9, '\0')).status, 400);
  EXPECT_EQ(infer_binary(text, std::string(8, '\0')).status, 200);
  EXPECT_EQ(ask("POST", "/v2/models/mirror/infer", text, "100000").status, 400);
  EXPECT_EQ(ask("POST", "/v2/models/mirror/infer", text, "-1").status, 400);
  EXPECT_EQ(ask("POST", "/v2/models/ghost/infer", R"({"inputs": []})").status, 404);
}

TEST_F(OpenInferenceRestTest, BytesThatAreNoTextNeedTheBinaryForm) {
  const std::string element = "\x02\x00\x00\x00\xff\x00"s;
  const std::string text =
      R"({"parameters": {"signature_name": "BYTES"}, "inputs": [{"name": "v", "shape": [1],
          "datatype": "BYTES", "parameters": {"binary_data_size": 6}}])";
  EXPECT_EQ(infer_binary(text + "}", element).status, 400);
  const std::string all =
      R"({"parameters": {"signature_name": "BYTES", "binary_data_output": true}, "inputs": [
          {"name": "v", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}]})";
  const HttpResponse response = infer_binary(all, element);
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(response.body.ends_with(element));
  // A length that goes beyond the bytes, and bytes that no element has.
  for (const std::string& wrong : {"\x03\x00\x00\x00\xff\x00"s, "\x01\x00\x00\x00\xff\x00"s}) {
    EXPECT_EQ(infer_binary(all, wrong).status, 400);
  }
}

TEST_F(OpenInferenceRestTest, ModelsAreUnloadedAndLoaded) {
  const auto index = [&](std::string_view body = {}) {
    return json::parse(ask("POST", "/v2/repository/index", body).body);
  };
  EXPECT_EQ(index(), json::parse(R"([{"name": "mirror", "version": "2", "state": "READY",
                                      "reason": ""}])"));
  EXPECT_EQ(ask("POST", "/v2/repository/models/mirror/unload").status, 200);
  EXPECT_EQ(ask("GET", "/v2/models/mirror/ready").status, 503);
  EXPECT_EQ(ask("GET", "/v2/health/ready").status, 200);
  EXPECT_EQ(index(R"({"ready": true})"), json::array());
  EXPECT_EQ(index()[0]["reason"], "unloaded");
  EXPECT_EQ(ask("POST", "/v2/models/mirror/infer", R"({"inputs": []})").status, 404);
  EXPECT_EQ(ask("POST", "/v2/repository/models/mirror/load", "{}").status, 200);
  EXPECT_EQ(ask("GET", "/v2/models/mirror/ready").status, 200);
  ASSERT_TRUE(create_directories(folder_->path() + "/3").ok());
  EXPECT_EQ(ask("POST", "/v2/repository/models/mirror/load").status, 200);
  EXPECT_EQ(get("/v2/models/mirror/versions/3/ready")["ready"], true);
  EXPECT_EQ(ask("POST", "/v2/repository/models/ghost/load").status, 404);
  EXPECT_EQ(ask("POST", "/v2/repository/models/ghost/unload").status, 404);
  RestOptions fixed;
  fixed.metrics = &metrics_;
  api_ = std::make_unique<RestApi>(*models_, fixed);
  EXPECT_EQ(ask("POST", "/v2/repository/models/mirror/unload").status, 403);
  EXPECT_EQ(ask("POST", "/v2/repository/models/mirror/load").status, 403);
}

}  // namespace
}  // namespace tenon::serving
