// A session and a client of nghttp2's, without sockets. Outside truth: RFC 9113, gRPC's protocol
// over HTTP/2 (PROTOCOL-HTTP2.md, health-checking.md, server-reflection.md in its doc/).
#include "tenon/serving/grpc/http2_session.h"

#include <gtest/gtest.h>

#include "tenon/base/wire.h"
#include "tenon/io/gzip.h"
#include "tenon/serving/grpc/health.h"
#include "tenon/serving/grpc/http2_client.h"
#include "tenon/serving/grpc/reflection.h"

namespace tenon::serving {
namespace {

const std::string kEcho = "/test.Service/Echo";
const std::string kFail = "/test.Service/Fail";
const std::string kHold = "/test.Service/Hold";

class Http2SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    add(kEcho, [](std::string_view request, const RunLimits&, std::string* response) {
      *response = request;
      return absl::OkStatus();
    });
    add(kFail, [](std::string_view request, const RunLimits&, std::string*) {
      return invalid_argument(request);
    });
    add(kHold,
        [](std::string_view, const RunLimits& limits, std::string*) { return limits.check(); });
    add_health_service({"PredictionService"}, draining_, services_.methods);
    add_reflection_service({"tensorflow.serving.PredictionService"}, services_.methods);
  }
  void add(const std::string& path, decltype(GrpcMethod::call) call) {
    GrpcMethod method;
    method.path = path;
    method.call = std::move(call);
    services_.methods.add(std::move(method));
  }

  void connect() {
    session_ = Http2Session::create(services_);
    client_ = std::make_unique<Http2Client>();
  }
  // Bytes go to and fro, in pieces of at most `piece`, until there are none; requests are answered
  // unless they are held.
  void exchange(size_t piece = SIZE_MAX) {
    if (!session_) connect();
    for (bool more = true; more;) {
      more = false;
      const std::string asked = client_->produce();
      for (size_t at = 0; at < asked.size(); at += std::min(piece, asked.size() - at)) {
        session_->receive(std::string_view(asked).substr(at, piece), ready_);
        if (!hold_) answer_all();
        more = true;
      }
      std::string out;
      session_->produce(out);
      for (size_t at = 0; at < out.size(); at += std::min(piece, out.size() - at)) {
        client_->receive(std::string_view(out).substr(at, piece));
        more = true;
      }
    }
  }
  void answer_all() {
    for (size_t i = 0; i < ready_.size(); ++i) {
      const RequestPtr request = ready_[i];
      request->run();
      session_->answered(*request, ready_);
    }
    ready_.clear();
  }
  const Http2Client::Answer& call(const std::string& path, std::string_view message,
                                  const Http2Fields& more = {}) {
    if (!session_) connect();
    const int32_t id = client_->call(path, message, more);
    exchange();
    return client_->answer(id);
  }
  const Http2Client::Answer& ask(const std::string& path, const std::string& body,
                                 const Http2Fields& more = {}) {
    if (!session_) connect();
    const int32_t id = client_->ask(path, body, more);
    exchange();
    return client_->answer(id);
  }

  std::atomic<bool> draining_{false};
  Http2Services services_;
  std::unique_ptr<Http2Session> session_;
  std::unique_ptr<Http2Client> client_;
  std::vector<RequestPtr> ready_;
  bool hold_ = false;
};

TEST_F(Http2SessionTest, AnswersACall) {
  const auto& answer = call(kEcho, "hello");
  EXPECT_TRUE(answer.closed);
  EXPECT_EQ(answer.error, 0u);
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.headers.at("content-type"), "application/grpc");
  EXPECT_EQ(answer.headers.at("grpc-accept-encoding"), "identity, deflate, gzip");
  EXPECT_EQ(answer.status(), "0");
  EXPECT_EQ(answer.data, std::string("\0\0\0\0\5hello", 10));
  EXPECT_EQ(call(kEcho, "").data, std::string(5, '\0'));
}

TEST_F(Http2SessionTest, BytesMayComeInAnyPieces) {
  for (const size_t piece : {1, 3, 7, 100}) {
    connect();
    const int32_t a = client_->call(kEcho, std::string(300, 'a'));
    const int32_t b = client_->call(kFail, "b");
    exchange(piece);
    EXPECT_EQ(client_->answer(a).message(), std::string(300, 'a'));
    EXPECT_EQ(client_->answer(b).text(), "b");
  }
}

TEST_F(Http2SessionTest, ErrorsTravelInTrailersPercentEncoded) {
  const auto& answer = call(kFail, "100% \xC3\xA9\n~");
  EXPECT_TRUE(answer.closed);
  EXPECT_EQ(answer.headers.at(":status"), "200");
  EXPECT_EQ(answer.status(), "3");
  EXPECT_EQ(answer.text(), "100%25 %C3%A9%0A~");
  EXPECT_EQ(answer.data, "");
  EXPECT_EQ(call(kFail, std::string(5000, 'x')).text(), std::string(1024, 'x') + "...TRUNCATED");
}

TEST_F(Http2SessionTest, RefusesWhatIsNoCall) {
  EXPECT_EQ(call("/test.Service/Nothing", "").status(), "12");
  EXPECT_EQ(call(kEcho, "", {{"content-type", "text/plain"}}).headers.at(":status"), "415");
  EXPECT_EQ(call(kEcho, "", {{":method", "PUT"}}).headers.at(":status"), "405");
  EXPECT_EQ(call(kEcho, "", {{"grpc-encoding", "snappy"}}).status(), "12");
  EXPECT_EQ(ask(kEcho, "").status(), "13");
  EXPECT_EQ(ask(kEcho, std::string("\0\0", 2)).status(), "13");
  EXPECT_EQ(ask(kEcho, std::string("\2\0\0\0\0", 5)).status(), "13");
  EXPECT_EQ(ask(kEcho, std::string("\0\0\0\0\2a", 6)).status(), "13");
  EXPECT_EQ(ask(kEcho, std::string("\0\0\0\0\1a\0\0\0\0\1b", 12)).status(), "13");
  EXPECT_EQ(call(kEcho, "", {{"x-big", std::string(17 << 10, 'v')}}).status(), "8");
  EXPECT_EQ(call(kEcho, "alive").message(), "alive");
}

TEST_F(Http2SessionTest, ALongMessageIsRefusedBeforeItHasCome) {
  services_.limits.max_message_bytes = 1000;
  EXPECT_EQ(call(kEcho, std::string(1000, 'x')).status(), "0");
  const auto& answer =
      ask(kEcho, std::string("\0\0\0\3\xE9", 5) + std::string(200, 'x'), {{"x", "y"}});
  EXPECT_EQ(answer.status(), "8");
  EXPECT_EQ(answer.text(), "Received message larger than max (1001 vs. 1000)");
}

TEST_F(Http2SessionTest, MessagesMayBeCompressedEitherWay) {
  const std::string plain(10'000, 'z');
  for (const auto& [name, format] :
       {std::pair{"gzip", DeflateFormat::kGzip}, std::pair{"deflate", DeflateFormat::kZlib}}) {
    const std::string packed = deflate(plain, format);
    const auto& answer =
        ask(kEcho, grpc_prefix(packed.size(), true) + packed, {{"grpc-encoding", name}});
    EXPECT_EQ(answer.message(), plain) << name;
    EXPECT_EQ(answer.data[0], 0);
  }
  EXPECT_EQ(ask(kEcho, grpc_prefix(3, true) + "abc", {{"grpc-encoding", "gzip"}}).status(), "13");
  EXPECT_EQ(ask(kEcho, grpc_prefix(3, true) + "abc").status(), "13");
  // What comes out is bounded as well.
  services_.limits.max_message_bytes = 1 << 20;
  const std::string bomb = deflate(std::string(2 << 20, '0'), DeflateFormat::kGzip);
  EXPECT_EQ(ask(kEcho, grpc_prefix(bomb.size(), true) + bomb, {{"grpc-encoding", "gzip"}}).status(),
            "8");
}

TEST_F(Http2SessionTest, AnswersAreCompressedWhereBothSidesWantIt) {
  services_.limits.compression = GrpcEncoding::kGzip;
  const std::string plain(10'000, 'z');
  EXPECT_EQ(call(kEcho, plain).message(), plain);
  const auto& answer = call(kEcho, plain, {{"grpc-accept-encoding", "identity,gzip"}});
  EXPECT_EQ(answer.headers.at("grpc-encoding"), "gzip");
  EXPECT_EQ(answer.data[0], 1);
  EXPECT_EQ(inflate(answer.message(), DeflateFormat::kGzip, 1 << 20, "answer").value(), plain);
}

TEST_F(Http2SessionTest, CallsKeepTheirDeadline) {
  EXPECT_EQ(call(kHold, "", {{"grpc-timeout", "1n"}}).status(), "4");
  for (const char* timeout : {"1H", "99999999H", "100000000S", "1x", "S", "-1S", ""}) {
    EXPECT_EQ(call(kHold, "", {{"grpc-timeout", timeout}}).status(), "0") << timeout;
  }
  EXPECT_EQ(parse_grpc_timeout("5H"), 18'000'000'000);
  EXPECT_EQ(parse_grpc_timeout("5M"), 300'000'000);
  EXPECT_EQ(parse_grpc_timeout("5S"), 5'000'000);
  EXPECT_EQ(parse_grpc_timeout("5m"), 5'000);
  EXPECT_EQ(parse_grpc_timeout("5u"), 5);
  EXPECT_EQ(parse_grpc_timeout("5000n"), 5);
}

TEST_F(Http2SessionTest, ACallThatIsCancelledIsTold) {
  hold_ = true;
  connect();
  const int32_t id = client_->call(kHold, "");
  exchange();
  ASSERT_EQ(ready_.size(), 1u);
  client_->cancel(id);
  exchange();
  const auto& held = dynamic_cast<GrpcCall&>(*ready_[0]);
  EXPECT_TRUE(held.cancelled);
  answer_all();  // nobody waits for it
  hold_ = false;
  EXPECT_EQ(call(kEcho, "next").message(), "next");
}

TEST_F(Http2SessionTest, ConnectionsThatFloodAreEnded) {
  const std::pair<const char*, std::function<void()>> floods[] = {
      {"ping", [&] { client_->ping(); }},
      {"settings", [&] { client_->settings(); }},
      {"reset", [&] {
         const int32_t id = client_->call(kEcho, "", {}, false);
         exchange();
         client_->cancel(id);
       }}};
  for (const auto& [name, flood] : floods) {
    connect();
    for (int i = 0; i < 100; ++i) {
      flood();
      exchange();
    }
    EXPECT_EQ(client_->goaway(), -1) << name;
    for (int i = 0; i < 20'000 && client_->goaway() < 0; ++i) {
      flood();
      exchange();
    }
    EXPECT_GE(client_->goaway(), 0) << name;
    EXPECT_NE(session_->end(), Session::End::kOpen) << name;
  }
}

TEST_F(Http2SessionTest, EndsWhatIsNoHttp2) {
  connect();
  session_->receive("GET / HTTP/1.1\r\nHost: h\r\n\r\n", ready_);
  EXPECT_EQ(session_->end(), Session::End::kClose);
  // A frame larger than was agreed on, after a preface.
  connect();
  exchange();
  session_->receive(std::string("\xFF\xFF\xFF\0\0\0\0\0\1", 9), ready_);
  exchange();
  EXPECT_NE(session_->end(), Session::End::kOpen);
}

TEST_F(Http2SessionTest, StalledClientsHaveADeadlineIdleOnesHaveNone) {
  connect();
  const int64_t now = steady_milliseconds();
  EXPECT_LE(session_->deadline(), now + services_.timeouts.head + 1000);  // for the preface
  exchange();
  EXPECT_EQ(session_->deadline(), kNever);
  const int32_t half = client_->ask(kEcho, std::string("\0\0\0\0\5he", 7), {}, false);
  exchange();
  EXPECT_LE(session_->deadline(), now + services_.timeouts.idle + 1000);
  client_->cancel(half);
  exchange();
  EXPECT_EQ(session_->deadline(), kNever);
  const int32_t watch = client_->call("/grpc.health.v1.Health/Watch", "", {}, false);
  exchange();
  EXPECT_EQ(client_->answer(watch).message(), "\x08\1");
  EXPECT_EQ(session_->deadline(), kNever);
  // An answer that is not taken: the client's bytes are not fed back.
  client_->call(kEcho, std::string(1 << 20, 'x'));
  for (std::string out; !(out = client_->produce()).empty();) session_->receive(out, ready_);
  answer_all();
  std::string out;
  session_->produce(out);
  EXPECT_LE(session_->deadline(), steady_milliseconds() + services_.timeouts.idle);
  services_.limits.max_idle_ms = 5000;
  connect();
  exchange();
  EXPECT_LE(session_->deadline(), steady_milliseconds() + 5000);
}

TEST_F(Http2SessionTest, DrainingAnswersWhatHasBegun) {
  hold_ = true;
  connect();
  const int32_t first = client_->call(kEcho, "first");
  exchange();
  session_->drain();
  EXPECT_EQ(session_->end(), Session::End::kOpen);
  // On its way when the client was told.
  const int32_t second = client_->call(kEcho, "second");
  exchange();
  EXPECT_EQ(client_->goaway(), 0);
  session_->drain();
  exchange();
  EXPECT_EQ(session_->end(), Session::End::kOpen);
  hold_ = false;
  answer_all();
  exchange();
  EXPECT_EQ(client_->answer(first).message(), "first");
  EXPECT_EQ(client_->answer(second).message(), "second");
  EXPECT_NE(session_->end(), Session::End::kOpen);
}

TEST_F(Http2SessionTest, LargeMessagesPassTheWindows) {
  const std::string big(24 << 20, 'b');  // the connection's window has 16 MiB
  EXPECT_EQ(call(kEcho, big).message(), big);
}

std::string health_request(std::string_view service) {
  std::string request;
  append_string_field(request, 1, service);
  return request;
}

TEST_F(Http2SessionTest, HealthIsCheckedAndWatched) {
  const std::string check = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(call(check, "").message(), "\x08\1");
  EXPECT_EQ(call(check, health_request("PredictionService")).message(), "\x08\1");
  EXPECT_EQ(call(check, health_request("nobody")).status(), "5");
  EXPECT_EQ(call(check, "\xFF").status(), "13");

  const std::string watch = "/grpc.health.v1.Health/Watch";
  const int32_t unknown = client_->call(watch, health_request("nobody"));
  const int32_t known = client_->call(watch, "");
  exchange();
  EXPECT_EQ(client_->answer(unknown).message(), "\x08\3");
  EXPECT_EQ(client_->answer(known).message(), "\x08\1");
  EXPECT_FALSE(client_->answer(known).closed);
  draining_ = true;
  EXPECT_EQ(call(check, "").message(), "\x08\2");
  session_->drain();
  exchange();
  EXPECT_EQ(client_->answer(known).data, std::string("\0\0\0\0\2\x08\1\0\0\0\0\2\x08\2", 14));
  EXPECT_EQ(client_->answer(known).status(), "14");
}

// The field `number` of the answer to a ServerReflectionRequest that has only `field`.
std::vector<std::string> reflected(const Http2Client::Answer& answer, uint32_t number) {
  const std::string message = answer.message();
  std::vector<std::string> parts;
  WireReader reader(message);
  WireField field, part;
  while (reader.next(field)) {
    if (!field.is_bytes(number)) continue;
    WireReader inner(field.bytes);
    while (inner.next(part)) parts.emplace_back(part.bytes);
  }
  return parts;
}

TEST_F(Http2SessionTest, DescribesItsServices) {
  for (const std::string version : {"v1", "v1alpha"}) {
    const std::string path =
        cat("/grpc.reflection.", version, ".ServerReflection/ServerReflectionInfo");
    const auto request = [](uint32_t field, std::string_view value) {
      std::string bytes;
      append_bytes_field(bytes, field, value);
      return bytes;
    };
    const auto listed = reflected(call(path, request(7, "")), 6);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_NE(listed[0].find("tensorflow.serving.PredictionService"), std::string::npos);
    for (const std::string_view symbol :
         {"tensorflow.serving.PredictionService", "tensorflow.serving.PredictionService.Predict",
          "tensorflow.serving.PredictRequest", "tensorflow.serving.PredictRequest.InputsEntry",
          "grpc.health.v1.Health"}) {
      const auto files = reflected(call(path, request(4, symbol)), 4);
      EXPECT_FALSE(files.empty()) << symbol;
    }
    const auto files =
        reflected(call(path, request(3, "tensorflow_serving/apis/prediction_service.proto")), 4);
    EXPECT_GT(files.size(), 10u);  // with what it imports
    EXPECT_TRUE(files[0].starts_with("\n\x30tensorflow_serving/apis/prediction_service.proto"));
    EXPECT_EQ(reflected(call(path, request(4, "no.Such")), 7).back(), "Symbol not found.");
    EXPECT_EQ(call(path, request(7, "")).status(), "0");
  }
}

}  // namespace
}  // namespace tenon::serving
