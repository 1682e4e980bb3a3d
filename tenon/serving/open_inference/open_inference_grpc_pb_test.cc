// Outside truth: protobuf's own reader and writer of the messages, from the description that the
// server gives to clients, whose field numbers are Triton's.
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/serving/grpc/grpc_server.h"
#include "tenon/serving/grpc/http2_client.h"
#include "tenon/serving/grpc/reflection.h"
#include "tenon/serving/open_inference/test_servable.h"

namespace tenon::serving {
namespace {

namespace pb = google::protobuf;

class OpenInferenceGrpcTest : public testing::Test {
 protected:
  void SetUp() override {
    pb::FileDescriptorSet set;
    ASSERT_TRUE(set.ParseFromString(std::string(service_descriptors())));
    for (const pb::FileDescriptorProto& file : set.file()) pool_.BuildFile(file);
    folder_ = *TemporaryDirectory::create();
    ASSERT_TRUE(create_directories(folder_->path() + "/1").ok());
    models_ = serve_mirror(metrics_, folder_->path());
    ASSERT_NE(models_, nullptr);
    GrpcOptions options;
    options.port = 0;
    options.metrics = &metrics_;
    options.model_control = true;
    auto server = GrpcServer::start(*models_, options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = std::make_unique<Http2SocketClient>(server_->port());
  }

  std::unique_ptr<pb::Message> message(const std::string& type, const std::string& text) {
    const pb::Descriptor* const descriptor = pool_.FindMessageTypeByName("inference." + type);
    std::unique_ptr<pb::Message> made(factory_.GetPrototype(descriptor)->New());
    EXPECT_TRUE(pb::TextFormat::ParseFromString(text, made.get())) << text;
    return made;
  }
  // The response in text format, or "error CODE: MESSAGE".
  std::string call(const std::string& method, const std::string& request) {
    const auto sent = message(method + "Request", request);
    const auto& answer =
        client_->call("/inference.GRPCInferenceService/" + method, sent->SerializeAsString());
    if (answer.status() != "0") return cat("error ", answer.status(), ": ", answer.text());
    const auto got = message(method + "Response", "");
    EXPECT_TRUE(got->ParseFromString(answer.message()));
    pb::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    std::string text;
    printer.PrintToString(*got, &text);
    return text;
  }

  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_{&pool_};
  MetricRegistry metrics_;
  std::optional<TemporaryDirectory> folder_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Http2SocketClient> client_;
};

TEST_F(OpenInferenceGrpcTest, Questions) {
  EXPECT_EQ(call("ServerLive", ""), "live: true ");
  EXPECT_EQ(call("ServerReady", ""), "ready: true ");
  EXPECT_EQ(call("ModelReady", "name: 'mirror'"), "ready: true ");
  EXPECT_EQ(call("ModelReady", "name: 'mirror' version: '1'"), "ready: true ");
  EXPECT_TRUE(call("ModelReady", "name: 'ghost'").starts_with("error 5: "));
  EXPECT_TRUE(call("ServerMetadata", "").starts_with("name: \"tenon\" version: "));
  EXPECT_EQ(call("ModelMetadata", "name: 'mirror'"),
            "name: \"mirror\" versions: \"1\" platform: \"tensorflow_savedmodel\" "
            "inputs { name: \"x\" datatype: \"FP32\" shape: -1 shape: 2 } "
            "outputs { name: \"x\" datatype: \"FP32\" shape: -1 shape: 2 } ");
}

TEST_F(OpenInferenceGrpcTest, EveryDatatypeInContentsAndRaw) {
  struct Row {
    const char* datatype;
    const char* contents;  // nothing: raw only
    const char* raw;       // in C escapes
  };
  const Row rows[] = {
      {"BOOL", "bool_contents: true bool_contents: false ", "\\001\\000"},
      {"UINT8", "uint_contents: 1 uint_contents: 255 ", "\\001\\377"},
      {"UINT16", "uint_contents: 1 uint_contents: 65535 ", "\\001\\000\\377\\377"},
      {"UINT32", "uint_contents: 1 uint_contents: 4294967295 ",
       "\\001\\000\\000\\000\\377\\377\\377\\377"},
      {"UINT64", "uint64_contents: 1 uint64_contents: 2 ",
       "\\001\\000\\000\\000\\000\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000"},
      {"INT8", "int_contents: 1 int_contents: -128 ", "\\001\\200"},
      {"INT16", "int_contents: 1 int_contents: -32768 ", "\\001\\000\\000\\200"},
      {"INT32", "int_contents: 1 int_contents: -2 ", "\\001\\000\\000\\000\\376\\377\\377\\377"},
      {"INT64", "int64_contents: 1 int64_contents: 2 ",
       "\\001\\000\\000\\000\\000\\000\\000\\000\\002\\000\\000\\000\\000\\000\\000\\000"},
      {"FP16", "", "\\000<\\000\\301"},
      {"FP32", "fp32_contents: 1 fp32_contents: -2.5 ", "\\000\\000\\200?\\000\\000 \\300"},
      {"FP64", "fp64_contents: 1 fp64_contents: -2.5 ",
       "\\000\\000\\000\\000\\000\\000\\360?\\000\\000\\000\\000\\000\\000\\004\\300"},
      {"BF16", "", "\\200? \\300"},
      {"BYTES", "bytes_contents: \"a\" bytes_contents: \"bcd\" ",
       "\\001\\000\\000\\000a\\003\\000\\000\\000bcd"},
  };
  for (const Row& row : rows) {
    const std::string contents = row.contents;
    const std::string tensor = cat("name: \"v\" datatype: \"", row.datatype, "\" shape: 2 ");
    const std::string head = cat(
        "model_name: 'mirror' id: '7' parameters { key: 'signature_name' value { string_param: '",
        row.datatype, "' } } inputs { ", tensor);
    const std::string want =
        cat("model_name: \"mirror\" model_version: \"1\" id: \"7\" outputs { ", tensor);
    EXPECT_EQ(call("ModelInfer", cat(head, "} raw_input_contents: \"", row.raw, "\"")),
              cat(want, "} raw_output_contents: \"", row.raw, "\" "));
    const std::string in_contents = call("ModelInfer", cat(head, "contents { ", contents, "} }"));
    if (contents.empty()) {
      EXPECT_NE(in_contents.find("raw_input_contents only"), std::string::npos) << in_contents;
    } else {
      EXPECT_EQ(in_contents, cat(want, "contents { ", contents, "} } "));
    }
  }
}

TEST_F(OpenInferenceGrpcTest, WhatIsWrongIsNamed) {
  const std::string input = "inputs { name: 'x' datatype: 'FP32' shape: 1 shape: 2 ";
  const std::pair<std::string, std::string> rows[] = {
      {"", "error 3: "},
      {"model_name: 'ghost'", "error 5: "},
      {"model_name: 'mirror' model_version: '9'", "error 5: "},
      {"model_name: 'mirror'", "error 3: "},
      {"model_name: 'mirror' " + input + "contents { fp32_contents: 1 } }", "1 values of FP32"},
      {"model_name: 'mirror' " + input + "} raw_input_contents: '1234567'", "7 bytes are given"},
      {"model_name: 'mirror' " + input + "} raw_input_contents: '1' raw_input_contents: ''",
       "2 entries"},
      {"model_name: 'mirror' " + input + "contents { fp32_contents: 1 } } raw_input_contents: ''",
       "although"},
      {"model_name: 'mirror' inputs { name: 'x' datatype: 'FP32' shape: -1 }", "error 3: "},
      {"model_name: 'mirror' inputs { name: 'x' datatype: 'FP32' shape: 9223372036854775807 }",
       "error 3: "},
      {"model_name: 'mirror' inputs { name: 'v' datatype: 'BYTES' shape: 1000000000000 } "
       "raw_input_contents: ''",
       "error 3: "},
      {"model_name: 'mirror' inputs { name: 'v' datatype: 'INT8' shape: 1 contents { int_contents: "
       "300 } }",
       "out of the range of INT8"},
  };
  for (const auto& [request, want] : rows) {
    EXPECT_NE(call("ModelInfer", request).find(want), std::string::npos)
        << request << " -> " << call("ModelInfer", request);
  }
  EXPECT_EQ(client_->call("/inference.GRPCInferenceService/ModelInfer", "\x0a\x05mi").status(),
            "13");
}

TEST_F(OpenInferenceGrpcTest, RepositoryInBothMessages) {
  const std::string path = "/inference.GRPCInferenceService/RepositoryModel";
  const std::string ready = "models { name: \"mirror\" version: \"1\" state: \"READY\" } ";
  EXPECT_EQ(call("RepositoryIndex", "ready: true"), ready);
  EXPECT_EQ(call("RepositoryModelUnload", "model_name: 'mirror'").find("error"), std::string::npos);
  EXPECT_EQ(call("ModelReady", "name: 'mirror'"), "");
  EXPECT_EQ(call("RepositoryIndex", "ready: true"), "");
  // KServe's message: the name of the model is field 1, and the answer tells it.
  EXPECT_EQ(client_->call(path + "Load", "\x0a\x06mirror").message(), "\x0a\x06mirror\x10\x01");
  EXPECT_EQ(call("RepositoryIndex", "ready: true"), ready);
  EXPECT_TRUE(call("RepositoryModelLoad", "model_name: 'ghost'").starts_with("error 5: "));
}

// Each message of a stream is answered, in order; one that fails says so and ends nothing.
TEST_F(OpenInferenceGrpcTest, AStreamAnswersEachMessage) {
  const auto ask = [&](int id, std::string_view model) {
    return message("ModelInferRequest",
                   cat("model_name: \"", model, "\" id: \"", id,
                       "\" inputs { name: \"x\" datatype: \"FP32\" shape: [1, 2] contents { "
                       "fp32_contents: [",
                       id, ", 0.5] } }"))
        ->SerializeAsString();
  };
  constexpr int kCount = 50;
  std::string body;
  for (int i = 0; i < kCount; ++i) {
    const std::string request = ask(i, i % 7 == 3 ? "nobody" : "mirror");
    body += grpc_prefix(request.size(), false) + request;
  }
  const auto& answer = client_->wait(
      client_->client().ask("/inference.GRPCInferenceService/ModelStreamInfer", body));
  EXPECT_EQ(answer.status(), "0") << answer.text();
  GrpcMessageReader reader(1 << 20);
  std::string_view bytes = answer.data;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(reader.read(bytes).ok());
    ASSERT_TRUE(reader.complete()) << i;
    bool compressed = false;
    const auto got = message("ModelStreamInferResponse", "");
    ASSERT_TRUE(got->ParseFromString(reader.take(compressed)));
    const std::string text = got->ShortDebugString();
    EXPECT_NE(text.find(cat("id: \"", i, "\"")), std::string::npos) << text;
    EXPECT_EQ(text.find("error_message") != std::string::npos, i % 7 == 3) << text;
    EXPECT_EQ(text.find("fp32_contents") != std::string::npos, i % 7 != 3) << text;
  }
  EXPECT_TRUE(bytes.empty());
}

// What is malformed ends it, and so does a client that goes.
TEST_F(OpenInferenceGrpcTest, AStreamEndsWithItsClient) {
  const std::string path = "/inference.GRPCInferenceService/ModelStreamInfer";
  const auto& none = client_->wait(client_->client().ask(path, ""));
  EXPECT_EQ(none.status(), "0");
  const auto& half = client_->wait(client_->client().ask(path, std::string(3, '\0')));
  EXPECT_EQ(half.status(), "13");
  const int32_t open = client_->client().ask(path, "", {}, false);
  client_->send();
  client_->client().cancel(open);
  EXPECT_EQ(client_->call("/inference.GRPCInferenceService/ServerLive", "").status(), "0");
}

}  // namespace
}  // namespace tenon::serving
