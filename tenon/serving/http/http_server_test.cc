// Real sockets on loopback. Outside truth: RFC 9110 and 9112.
#include "tenon/serving/http/http_server.h"

#include <gtest/gtest.h>

#include <future>

#include "tenon/base/gate.h"
#include "tenon/io/gzip.h"
#include "tenon/serving/grpc/http2_client.h"
#include "tenon/serving/http/http_client.h"

namespace tenon::serving {
namespace {

HttpResponse echo(const HttpRequest& request) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body =
      cat(request.method, " ", request.target, " ",
          request.body.size() > 100 ? cat(request.body.size(), " bytes") : request.body, "<end>");
  return response;
}

std::unique_ptr<HttpServer> serve(HttpHandler handler = echo, HttpServerOptions options = {}) {
  auto server = HttpServer::start(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::string ask(const HttpServer& server, std::string_view request) {
  HttpClient client(server.port());
  client.send(request);
  return client.receive();
}

TEST(HttpServerTest, AnswersAGet) {
  const auto server = serve();
  EXPECT_EQ(ask(*server, "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 16\r\n\r\nGET /a?b=c "
            "<end>");
}

TEST(HttpServerTest, AnswersWhatIsNotPostedWhileEveryOtherWorkerIsBusy) {
  for (const int threads : {1, 2, 3}) {
    std::promise<void> release;
    const std::shared_future<void> released = release.get_future().share();
    std::atomic<int> inside{0}, most{0};
    HttpServerOptions options;
    options.threads = threads;
    const auto server = serve(
        [&](const HttpRequest& request) {
          if (request.method != "POST") return echo(request);
          const int now = ++inside;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
          released.wait();
          --inside;
          return echo(request);
        },
        options);
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < 7; ++i) {
      clients.push_back(std::make_unique<HttpClient>(server->port()));
      clients.back()->send("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy");
    }
    for (int i = 0; i < 20; ++i) {
      EXPECT_NE(ask(*server, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").find("GET /healthz"),
                std::string::npos);
    }
    release.set_value();
    for (const auto& client : clients) {
      EXPECT_NE(client->receive().find("POST /slow xy<end>"), std::string::npos);
      client->send("POST /again HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy");
      EXPECT_NE(client->receive().find("POST /again xy<end>"), std::string::npos);
    }
    EXPECT_EQ(most, std::max(threads - 1, 1));
  }
}

TEST(HttpServerTest, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  const auto server = serve();
  HttpClient client(server->port());
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += cat("POST /", i, " HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy");
  }
  client.send(requests);
  const std::string answers = client.receive(50);
  size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find(cat("POST /", i, " xy<end>"), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  client.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string last = client.receive_all();
  EXPECT_NE(last.find("GET /last "), std::string::npos);
  EXPECT_NE(last.find("Connection: close\r\n"), std::string::npos);
}

TEST(HttpServerTest, ReadsARequestThatComesByteByByte) {
  const auto server = serve();
  HttpClient client(server->port());
  for (const char c :
       std::string_view("\r\nPOST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")) {
    client.send({&c, 1});
  }
  EXPECT_NE(client.receive().find("POST /x abc<end>"), std::string::npos);
}

TEST(HttpServerTest, ReadsChunkedBodies) {
  const auto server = serve();
  const std::string head = "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_NE(ask(*server, head + "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
                .find("POST /c abc0123456789<end>"),
            std::string::npos);
  std::string big = head;
  for (int i = 0; i < 200; ++i) big += "1000\r\n" + std::string(4096, 'x') + "\r\n";
  EXPECT_NE(ask(*server, big + "0\r\n\r\n").find("819200 bytes<end>"), std::string::npos);
}

TEST(HttpServerTest, ReadsALargeBody) {
  const auto server = serve();
  const std::string body(8 << 20, 'x');
  EXPECT_NE(ask(*server, cat("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: ", body.size(),
                             "\r\n\r\n", body))
                .find("8388608 bytes<end>"),
            std::string::npos);
}

std::string gzip_post(std::string_view plain) {
  const std::string body = deflate(plain, DeflateFormat::kGzip);
  return cat("POST /z HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: ",
             body.size(), "\r\n\r\n", body);
}

TEST(HttpServerTest, InflatesGzipBodiesUpToALimit) {
  HttpServerOptions options;
  options.limits.inflated_bytes = 10000;
  const auto server = serve(echo, options);
  EXPECT_NE(ask(*server, gzip_post("plain text")).find("POST /z plain text<end>"),
            std::string::npos);
  HttpClient bomb(server->port());
  bomb.send(gzip_post(std::string(5'000'000, '0')));
  bomb.send("GET /after HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string answers = bomb.receive();
  EXPECT_TRUE(answers.starts_with("HTTP/1.1 413 ")) << answers;
  EXPECT_NE(answers.find("GET /after"), std::string::npos);
  EXPECT_NE(ask(*server,
                "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: "
                "gzip\r\nContent-Length: 3\r\n\r\nabc")
                .find("HTTP/1.1 400 "),
            std::string::npos);
}

std::string get_with(std::string_view accept) {
  return cat("GET /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", accept, "\r\n");
}

TEST(HttpServerTest, CompressesLongAnswersForWhoTakesThat) {
  HttpServerOptions options;
  options.limits.deflated_from = 1000;
  const std::string text(20'000, 'x');
  const auto server = serve(
      [&](const HttpRequest& request) {
        HttpResponse response;
        response.body = request.target == "/short" ? "short" : text;
        if (request.target == "/bytes") response.content_type = "application/octet-stream";
        return response;
      },
      options);
  const auto all_of = [&](std::string_view request) {
    HttpClient client(server->port());
    client.send(request);
    return client.receive_all();
  };
  for (const std::string_view accept :
       {"Accept-Encoding: gzip\r\n", "accept-encoding: br;q=1, GZip;q=0.5\r\n",
        "Accept-Encoding: identity\r\nAccept-Encoding: *\r\n"}) {
    const std::string answer = all_of(get_with(accept));
    EXPECT_NE(answer.find("\r\nContent-Encoding: gzip\r\n"), std::string::npos) << accept;
    EXPECT_NE(answer.find("\r\nVary: Accept-Encoding\r\n"), std::string::npos) << accept;
    const std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
    EXPECT_NE(answer.find(cat("\r\nContent-Length: ", body.size(), "\r\n")), std::string::npos);
    EXPECT_EQ(inflate(body, DeflateFormat::kGzip, 1 << 20, "answer").value_or(""), text);
  }
  for (const std::string_view accept :
       {"", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip;q=0\r\n",
        "Accept-Encoding: *, gzip; q=0.000\r\n", "Accept-Encoding: gzipped\r\n"}) {
    const std::string answer = all_of(get_with(accept));
    EXPECT_EQ(answer.find("Content-Encoding"), std::string::npos) << accept;
    EXPECT_TRUE(answer.ends_with(text)) << accept;
  }
  for (const std::string_view path : {"/short", "/bytes"}) {
    const std::string answer = all_of(cat("GET ", path,
                                          " HTTP/1.1\r\nHost: h\r\nConnection: "
                                          "close\r\nAccept-Encoding: gzip\r\n\r\n"));
    EXPECT_EQ(answer.find("Content-Encoding"), std::string::npos) << path;
  }
}

TEST(HttpServerTest, SendsALargeAnswerToASlowReader) {
  const auto server = serve([](const HttpRequest&) {
    HttpResponse response;
    response.body.assign(16 << 20, 'y');
    response.body += "<end>";
    return response;
  });
  EXPECT_GT(ask(*server, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").size(), size_t{16} << 20);
}

TEST(HttpServerTest, SaysContinueBeforeABodyThatIsAnnounced) {
  const auto server = serve();
  HttpClient client(server->port());
  client.send("POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  client.send("ok");
  const std::string answer = client.receive();
  EXPECT_TRUE(answer.find("POST /e ok<end>") != std::string::npos);
}

TEST(HttpServerTest, HeadHasNoBody) {
  const auto server = serve();
  HttpClient client(server->port());
  client.send("HEAD /h HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive_all();
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_NE(answer.find("Content-Length: 13\r\n"), std::string::npos) << answer;
}

TEST(HttpServerTest, Http10ClosesUnlessAskedToKeep) {
  const auto server = serve();
  HttpClient client(server->port());
  client.send("GET /0 HTTP/1.0\r\n\r\n");
  EXPECT_NE(client.receive_all().find("GET /0 <end>"), std::string::npos);
}

// ApacheBench's `-k`: it counts on being told.
TEST(HttpServerTest, Http10KeepsTheConnectionWhereAskedToAndSaysSo) {
  const auto server = serve();
  HttpClient client(server->port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /0 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    const std::string answer = client.receive();
    EXPECT_NE(answer.find("Connection: keep-alive\r\n"), std::string::npos) << answer;
    EXPECT_NE(answer.find("GET /0 <end>"), std::string::npos) << answer;
  }
}

TEST(HttpServerTest, SpeaksHttp2WithWhoKnowsItBefore) {
  const auto server = serve();
  Http2SocketClient client(server->port());
  const Http2Fields json = {{"content-type", "application/json"}};
  std::vector<int32_t> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(client.client().ask(cat("/", i, "?q"), "body", json));
  }
  for (int i = 0; i < 20; ++i) {
    const auto& answer = client.wait(ids[static_cast<size_t>(i)]);
    EXPECT_EQ(answer.headers.at(":status"), "200");
    EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
    EXPECT_EQ(answer.data, cat("POST /", i, "?q body<end>"));
  }
  EXPECT_EQ(client.call("/a.B/C", "x").status(), "12");  // there is no gRPC here
  const Http2Fields gzip = {{"content-type", "text/plain"}, {"content-encoding", "gzip"}};
  const int32_t packed =
      client.client().ask("/z", deflate("plain text", DeflateFormat::kGzip), gzip);
  EXPECT_EQ(client.wait(packed).data, "POST /z plain text<end>");
  // Bare deflate too, which some clients take for what "deflate" means.
  for (const DeflateFormat format : {DeflateFormat::kZlib, DeflateFormat::kRaw}) {
    const Http2Fields fields = {{"content-type", "text/plain"}, {"content-encoding", "deflate"}};
    const int32_t id = client.client().ask("/z", deflate("plain text", format), fields);
    EXPECT_EQ(client.wait(id).data, "POST /z plain text<end>");
  }
}

struct Refusal {
  std::string request;
  int status;
};

TEST(HttpServerTest, RefusesWhatIsMalformedOrAmbiguous) {
  HttpServerOptions options;
  options.limits.body_bytes = 1000;
  const auto server = serve(echo, options);
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  const std::string many = [] {
    std::string headers;
    for (int i = 0; i < 200; ++i) headers += cat("h", i, ": v\r\n");
    return headers;
  }();
  const Refusal refusals[] = {
      {"nonsense\r\n\r\n", 400},
      {"GET  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
      {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Content-Length: -1\r\n\r\n", 400},
      {post + "Content-Length: +1\r\n\r\n", 400},
      {post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {post + "Content-Length: 1001\r\n\r\n", 413},
      {post + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\n\r\n3E9\r\n", 413},
      {post + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n", 413},
      {post + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400},
      {post + " folded: x\r\n\r\n", 400},
      {post + "name : x\r\n\r\n", 400},
      {post + "Expect: tea\r\n\r\n", 417},
      {post + many + "\r\n", 431},
      {"GET /" + std::string(100000, 'a'), 431},
      {std::string("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28), 400},
  };
  for (const Refusal& refusal : refusals) {
    HttpClient client(server->port());
    client.send(refusal.request);
    const std::string answer = client.receive_all();
    EXPECT_TRUE(answer.starts_with(cat("HTTP/1.1 ", refusal.status, " ")))
        << refusal.request.substr(0, 100) << "\n"
        << answer;
  }
  EXPECT_NE(ask(*server, "GET /alive HTTP/1.1\r\nHost: h\r\n\r\n").find("/alive"),
            std::string::npos);
}

TEST(HttpServerTest, CutsOffClientsThatStall) {
  HttpServerOptions options;
  options.timeouts = {50, 50, 50};
  const auto server = serve(echo, options);
  for (const std::string_view start :
       {"", "GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"}) {
    HttpClient client(server->port());
    client.send(start);
    EXPECT_EQ(client.receive_all(), "") << start;
  }
}

TEST(HttpServerTest, ASlowHandlerHoldsUpNobodyElse) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  HttpServerOptions options;
  options.threads = 2;
  const auto server = serve(
      [released](const HttpRequest& request) {
        if (request.target == "/slow") released.wait();
        return echo(request);
      },
      options);
  HttpClient slow(server->port());
  slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(ask(*server, "GET /fast HTTP/1.1\r\nHost: h\r\n\r\n").find("/fast"),
              std::string::npos);
  }
  release.set_value();
  EXPECT_NE(slow.receive().find("/slow"), std::string::npos);
}

// As runs do that wait for their turn or for a batch: those that do not wait go past them, whether
// there are fewer of them than workers or many more.
TEST(HttpServerTest, RequestsThatWaitForOtherWorkHoldUpNobodyElse) {
  ::tenon::Gate gate(1);
  ASSERT_TRUE(gate.enter(::tenon::Gate::Clock::time_point::max(), nullptr));
  HttpServerOptions options;
  options.threads = 2;
  const auto server = serve(
      [&gate](const HttpRequest& request) {
        if (request.target == "/slow") {
          gate.enter(::tenon::Gate::Clock::time_point::max(), nullptr);
          gate.leave();
        }
        return echo(request);
      },
      options);
  const std::string rest = " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
  std::vector<std::unique_ptr<HttpClient>> slow;
  for (int i = 0; i < 40; ++i) {
    slow.push_back(std::make_unique<HttpClient>(server->port()));
    slow.back()->send(cat("POST /slow", rest));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(ask(*server, cat("POST /fast", rest)).find("/fast"), std::string::npos);
  }
  gate.leave();
  for (const auto& client : slow) EXPECT_NE(client->receive().find("/slow"), std::string::npos);
}

TEST(HttpServerTest, StopAnswersWhatHasBegunAndTakesNoMore) {
  std::promise<void> entered;
  std::promise<void> release;
  const auto server = serve([&](const HttpRequest& request) {
    entered.set_value();
    release.get_future().wait();
    return echo(request);
  });
  HttpClient idle(server->port());
  HttpClient busy(server->port());
  busy.send("GET /busy HTTP/1.1\r\nHost: h\r\n\r\n");
  entered.get_future().wait();
  std::thread stopper([&] { server->stop(10'000); });
  EXPECT_EQ(idle.receive_all(), "");  // closed by the drain
  release.set_value();
  const std::string answer = busy.receive_all();
  EXPECT_NE(answer.find("GET /busy <end>"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  stopper.join();
  EXPECT_FALSE(HttpClient(server->port()).connected());
}

// A client that has not heard of the stop yet, as over a network, must not find its connection
// gone.
TEST(HttpServerTest, StopTakesRequestsThatAreUnderWay) {
  const auto server = serve();
  HttpClient kept(server->port());
  HttpClient fresh(server->port());
  kept.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(kept.receive().find("/first"), std::string::npos);
  std::thread stopper([&] { server->stop(10'000); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (HttpClient* client : {&kept, &fresh}) {
    client->send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string answer = client->receive_all();
    EXPECT_NE(answer.find("/second"), std::string::npos);
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  }
  stopper.join();
}

TEST(HttpServerTest, RefusesConnectionsBeyondItsLimit) {
  HttpServerOptions options;
  options.max_connections = 2;
  const auto server = serve(echo, options);
  HttpClient first(server->port());
  HttpClient second(server->port());
  first.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
  second.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(first.receive().find("/1"), std::string::npos);
  EXPECT_NE(second.receive().find("/2"), std::string::npos);
  HttpClient third(server->port());
  third.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(third.receive_all(), "");
}

TEST(HttpServerTest, APortInUseIsAClearError) {
  const auto server = serve();
  HttpServerOptions options;
  options.port = server->port();
  const auto second = HttpServer::start(options, echo);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(message_of(second.status()).find(cat(server->port())), std::string_view::npos);
}

TEST(HttpServerTest, ManyClientsAtOnce) {
  const auto server = serve();
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      HttpClient client(server->port());
      for (int i = 0; i < 200; ++i) {
        client.send(
            cat("POST /", t, "/", i, " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"));
        answered += client.receive().find(cat("/", t, "/", i, " hello")) != std::string::npos;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 1600);
}

}  // namespace
}  // namespace tenon::serving
