// Outside truth: shared/cases/serving/rest_cases.json, what TensorFlow Serving answers. The
// models are those of case_models.h.
#include "tenon/serving/rest_api.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "tenon/serving/case_models.h"

namespace tenon::serving {
namespace {

using nlohmann::json;

class RestApiTest : public testing::Test {
 protected:
  void SetUp() override {
    models_ = serve_case_models(metrics_);
    ASSERT_NE(models_, nullptr);
    RestOptions rest;
    rest.metrics = &metrics_;
    rest.monitoring.enable = true;
    api_ = std::make_unique<RestApi>(*models_, rest);
  }

  HttpResponse ask(std::string_view method, std::string_view target, std::string_view body = {}) {
    HttpRequest request;
    request.method = method;
    request.target = target;
    request.body = body;
    return api_->answer(request);
  }
  HttpResponse predict(std::string_view model, std::string_view body) {
    return ask("POST", cat("/v1/models/", model, ":predict"), body);
  }

  MetricRegistry metrics_;
  std::unique_ptr<ServedModels> models_;
  std::unique_ptr<RestApi> api_;
};

std::string body_of(const json& test) {
  if (test.contains("gen")) {
    std::string body = test["gen"][0];
    for (const int at : {1, 3}) {
      const std::string unit = test["gen"][at];
      for (int i = 0; i < test["gen"][at + 1]; ++i) body += unit;
    }
    return body + test["gen"][5].get<std::string>();
  }
  return test.value("body", "");
}

std::vector<std::string> numbers_of(const std::string& text) {
  static const std::regex number("-?(?:NaN|Infinity|\\d[\\d.]*(?:[eE][-+]?\\d+)?)");
  return {std::sregex_token_iterator(text.begin(), text.end(), number), {}};
}

// As cases_lib.differ: object order is free, 3 and 3.0 differ, floats are equal as float32.
bool same(const json& want, const json& got, const std::set<std::string>& ignored) {
  if (want.is_object() && got.is_object()) {
    for (const auto& [key, value] : want.items()) {
      if (ignored.contains(key)) continue;
      if (!got.contains(key) || !same(value, got[key], ignored)) return false;
    }
    for (const auto& [key, value] : got.items()) {
      if (!ignored.contains(key) && !want.contains(key)) return false;
    }
    return true;
  }
  if (want.is_array() && got.is_array()) {
    return std::equal(want.begin(), want.end(), got.begin(), got.end(),
                      [&](const json& a, const json& b) { return same(a, b, ignored); });
  }
  if (want.is_number_float() && got.is_number_float()) {
    return want.get<float>() == got.get<float>();
  }
  return want.is_number_float() == got.is_number_float() && want == got;
}

void expect_as_case(const json& test, const HttpResponse& response) {
  const std::string name = test["name"];
  if (test.contains("status_in")) {
    const auto statuses = test["status_in"].get<std::set<int>>();
    EXPECT_TRUE(statuses.contains(response.status)) << name << ": " << response.status;
    return;
  }
  EXPECT_EQ(response.status, test["status"].get<int>()) << name << ": " << response.body;
  if (test.contains("content_type")) {
    EXPECT_TRUE(response.content_type.starts_with(test["content_type"].get<std::string>())) << name;
  }
  if (test.contains("error")) {
    const json body = json::parse(response.body, nullptr, false);
    ASSERT_TRUE(body.is_object() && body.contains("error")) << name << ": " << response.body;
    EXPECT_NE(body["error"].get<std::string>().find(test["error"].get<std::string>()),
              std::string::npos)
        << name << ": " << response.body;
  }
  for (const json& part : test.value("contains", json::array())) {
    EXPECT_NE(response.body.find(part.get<std::string>()), std::string::npos) << name;
  }
  if (test.contains("numbers")) {
    EXPECT_EQ(numbers_of(response.body), test["numbers"].get<std::vector<std::string>>()) << name;
  }
  if (test.contains("json")) {
    const auto ignored = test.value("ignore_keys", std::set<std::string>());
    EXPECT_TRUE(same(test["json"], json::parse(response.body, nullptr, false), ignored))
        << name << ": " << response.body;
  }
}

TEST_F(RestApiTest, AnswersTheCasesAsTensorFlowServingDoes) {
  std::ifstream file(cases_folder() + "/rest_cases.json");
  int checked = 0;
  const json cases = json::parse(file);
  for (const json& test : cases["cases"]) {
    const std::string path = test["path"];
    if (test.value("tag", "") == "gap") continue;  // of TensorFlow Serving's, which is none here
    const bool needs_examples = path.ends_with(":classify") || path.ends_with(":regress");
    if (needs_examples && test["status"] != 404 && path.find("/models/foo") == std::string::npos) {
      continue;
    }
    const std::string body = body_of(test);
    expect_as_case(test, ask(test["method"].get<std::string>(), path, body));
    ++checked;
  }
  EXPECT_GE(checked, 90);
}

TEST_F(RestApiTest, StatusBytes) {
  EXPECT_EQ(ask("GET", "/v1/models/half_plus_three").body,
            "{\n \"model_version_status\": [\n  {\n   \"version\": \"123\",\n   \"state\": "
            "\"AVAILABLE\",\n   \"status\": {\n    \"error_code\": \"OK\",\n    "
            "\"error_message\": \"\"\n   }\n  }\n ]\n}\n");
}

TEST_F(RestApiTest, RoutesIgnoreCaseAndQueriesMatchNone) {
  EXPECT_EQ(ask("GET", "/V1/MODELS/half_plus_two/METADATA").status, 200);
  EXPECT_EQ(predict("half%5fplus_two", "{\"instances\":[1]}").status, 200);
  EXPECT_EQ(ask("POST", "/v1/models/half_plus_two:predict?x=1", "{\"instances\":[1]}").status, 400);
  EXPECT_EQ(ask("PUT", "/v1/models/half_plus_two").status, 400);
  EXPECT_EQ(ask("GET", "/v1/models/versions/1").status, 400);
  EXPECT_EQ(ask("GET", "/v1/models/scale/versions/1/metadata").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models/scale/labels/canary/metadata").status, 200);
}

TEST_F(RestApiTest, PreflightNeedsAnOrigin) {
  HttpRequest request;
  request.method = "OPTIONS";
  request.target = "/v1/models/m:predict";
  EXPECT_EQ(api_->answer(request).status, 400);
  EXPECT_EQ(api_->answer(request).body, "");
  request.headers.add("Origin", "https://example.com");
  EXPECT_EQ(api_->answer(request).status, 200);
}

TEST_F(RestApiTest, HealthAndReadiness) {
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/readyz?x").status, 200);
  api_->set_draining();
  EXPECT_EQ(ask("GET", "/healthz").status, 200);
  EXPECT_EQ(ask("GET", "/readyz").status, 503);
}

TEST_F(RestApiTest, ListsModelsAndShowsThemWhereThatIsAsked) {
  for (const char* path : {"/", "/status.json"}) EXPECT_EQ(ask("GET", path).status, 404);
  EXPECT_EQ(ask("GET", "/v1/models").status, 400);
  RestOptions options;
  options.metrics = &metrics_;
  options.status_page = true;
  options.model_list = true;
  api_ = std::make_unique<RestApi>(*models_, options);
  const json list = json::parse(ask("GET", "/v1/models").body);
  ASSERT_EQ(list["models"].size(), 6U);
  const json scale = list["models"][5];
  EXPECT_EQ(scale["name"], "scale");
  EXPECT_EQ(scale["labels"], json({{"stable", "1"}, {"canary", "3"}}));
  EXPECT_EQ(scale["versions"][0],
            json::parse(ask("GET", "/v1/models/scale/versions/3").body)["model_version_status"][0]);
  EXPECT_EQ(ask("GET", "/v1/models/").status, 400);
  predict("half_plus_two", "{\"instances\":[1]}");
  predict("half_plus_two", "{");
  const json status = json::parse(ask("GET", "/status.json").body);
  EXPECT_EQ(status["models"], list["models"]);
  EXPECT_GT(status["resident_bytes"], 1 << 20);
  const json counts = status["metrics"]["/tensorflow/serving/request_count"];
  const json failed = json::parse(R"({"labels": {"model_name": "half_plus_two",
                                      "status": "INVALID_ARGUMENT"}, "value": 1})");
  EXPECT_NE(std::find(counts.begin(), counts.end(), failed), counts.end()) << counts;
  const HttpResponse page = ask("GET", "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.body.starts_with("<!DOCTYPE html>"));
  // Nothing is asked for from elsewhere.
  for (const char* word : {"http://", "https://", "src=", "@import", "<link"}) {
    EXPECT_EQ(page.body.find(word), std::string::npos) << word;
  }
}

TEST_F(RestApiTest, LogsNameTheTrace) {
  RestOptions options;
  options.metrics = &metrics_;
  options.access_log = true;
  api_ = std::make_unique<RestApi>(*models_, options);
  HttpRequest request;
  request.method = "POST";
  request.target = "/v1/models/half_plus_two:predict";
  request.body = "{";
  request.headers.add("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  testing::internal::CaptureStderr();
  api_->answer(request);
  const std::string log = testing::internal::GetCapturedStderr();
  const std::string trace = " trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7\n";
  EXPECT_TRUE(log.ends_with(trace)) << log;
  EXPECT_NE(log.find("info: access: REST POST /v1/models/half_plus_two:predict 400 in=1 out="),
            std::string::npos)
      << log;
  EXPECT_LT(log.find(trace), log.find("access: ")) << log;
}

TEST_F(RestApiTest, RequestsAreCountedByModelAndStatus) {
  predict("half_plus_two", "{\"instances\":[1]}");
  predict("half_plus_two", "{");
  ask("GET", "/v1/models/half_plus_two");
  const std::string page = ask("GET", "/monitoring/prometheus/metrics").body;
  for (const char* line :
       {":tensorflow:serving:request_count{model_name=\"half_plus_two\",status=\"OK\"} 2\n",
        ":tensorflow:serving:request_count{model_name=\"half_plus_two\",status=\"INVALID_"
        "ARGUMENT\"} "
        "1\n",
        ":tensorflow:serving:request_latency_count{model_name=\"half_plus_two\",API=\"predict\","
        "entrypoint=\"REST\"} 1\n",
        ":tensorflow:serving:request_latency_count{model_name=\"half_plus_two\",API=\"\","
        "entrypoint="
        "\"REST\"} 1\n",
        ":tensorflow:serving:runtime_latency_count{model_name=\"half_plus_two\",API=\"Predict\","
        "runtime=\"TF1\"} 1\n",
        "# TYPE :tensorflow:cc:saved_model:load_attempt_count counter\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page.substr(0, 600);
  }
}

// What clients make up (models, signatures) has no series; what fails in a signature has its code.
TEST_F(RestApiTest, PredictionsAreCountedByVersionAndSignatureWhileTheVersionIsLoaded) {
  predict("half_plus_two", R"({"instances": [1.0, 2.0]})");
  predict("half_plus_two", R"({"instances": [1.0]})");
  predict("half_plus_two", R"({"instances": [1.0], "signature_name": "made_up"})");
  predict("half_plus_two", R"({"inputs": {"x": [[1.0], [2.0]]}, "signature_name": "nope"})");
  // The engine's ops for it are not registered here.
  ask("POST", "/v1/models/half_plus_two:regress",
      R"({"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]})");
  const auto lines = [&] {
    std::vector<std::string> found;
    const std::string page = ask("GET", "/monitoring/prometheus/metrics", {}).body;
    for (const std::string_view line : split(page, '\n')) {
      const bool count = line.starts_with(":tensorflow:serving:signature_request_count{") ||
                         line.starts_with(":tensorflow:serving:signature_runtime_latency_count{");
      if (count) found.emplace_back(line.substr(line.find('{')));
    }
    return join(found, "\n");
  };
  const std::string labels = R"({model_name="half_plus_two",version="123",signature_name=)";
  EXPECT_EQ(lines(),
            cat(labels, R"("regress_x_to_y",status="UNIMPLEMENTED"} 1)", "\n", labels,
                R"("serving_default",status="OK"} 2)", "\n", labels, R"("serving_default"} 2)"));
  ASSERT_TRUE(models_->unload("half_plus_two").ok());
  EXPECT_EQ(lines(), "");
}

TEST_F(RestApiTest, FailuresAreLoggedOnOneLineEachAndNotWithoutEnd) {
  testing::internal::CaptureStderr();
  predict("half_plus_two", "{\"instances\":[\"a\\nb\"]}");
  for (int i = 0; i < 200; ++i) predict("half_plus_two", "{");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(
      log.find("warning: REST POST /v1/models/half_plus_two:predict failed: INVALID_ARGUMENT: "
               "Failed to process element: 0"),
      std::string::npos)
      << log;
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 100);
}

TEST_F(RestApiTest, NamesThatNoModelHasShareOneCell) {
  for (int i = 0; i < 10; ++i) {
    predict(cat("invented", i), "{\"instances\":[1]}");
    ask("GET", cat("/v1/models/invented", i));
  }
  const std::string page = ask("GET", "/monitoring/prometheus/metrics").body;
  EXPECT_EQ(page.find("invented"), std::string::npos);
  EXPECT_NE(
      page.find(":tensorflow:serving:request_count{model_name=\"\",status=\"NOT_FOUND\"} 20\n"),
      std::string::npos);
}

TEST(RestRouteTest, CodesMapAsInTensorFlowServing) {
  const std::pair<absl::StatusCode, int> rows[] = {
      {absl::StatusCode::kOk, 200},
      {absl::StatusCode::kCancelled, 499},
      {absl::StatusCode::kUnknown, 500},
      {absl::StatusCode::kInvalidArgument, 400},
      {absl::StatusCode::kDeadlineExceeded, 504},
      {absl::StatusCode::kNotFound, 404},
      {absl::StatusCode::kAlreadyExists, 409},
      {absl::StatusCode::kPermissionDenied, 403},
      {absl::StatusCode::kResourceExhausted, 429},
      {absl::StatusCode::kFailedPrecondition, 400},
      {absl::StatusCode::kAborted, 409},
      {absl::StatusCode::kOutOfRange, 400},
      {absl::StatusCode::kUnimplemented, 501},
      {absl::StatusCode::kInternal, 500},
      {absl::StatusCode::kUnavailable, 503},
      {absl::StatusCode::kDataLoss, 500},
      {absl::StatusCode::kUnauthenticated, 401},
  };
  for (const auto& [code, status] : rows) EXPECT_EQ(http_status_of(code), status);
}

}  // namespace
}  // namespace tenon::serving
