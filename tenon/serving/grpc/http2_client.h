// For tests: an HTTP/2 client that speaks gRPC, apart from sockets (Http2Client) and over one
// (Http2SocketClient). By nghttp2, not by what it tests.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "tenon/serving/grpc/grpc_wire.h"
#include "tenon/serving/http/http_client.h"

namespace tenon::serving {

using Http2Fields = std::vector<std::pair<std::string, std::string>>;

class Http2Client {
 public:
  struct Answer {
    std::map<std::string, std::string> headers;  // trailers too
    std::string data;
    bool closed = false;
    uint32_t error = 0;  // of the stream, once closed

    std::string status() const {
      return headers.count("grpc-status") ? headers.at("grpc-status") : "-";
    }
    std::string text() const {
      return headers.count("grpc-message") ? headers.at("grpc-message") : "";
    }
    // The first message, without its prefix.
    std::string message() const { return data.size() < 5 ? "" : data.substr(5); }
  };

  Http2Client() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks,
        [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
           const uint8_t* value, size_t value_size, uint8_t, void* user) {
          self(user).answers_[frame->hd.stream_id].headers[text(name, name_size)] =
              text(value, value_size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        callbacks,
        [](nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
          self(user).answers_[id].data += text(data, size);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session*, int32_t id, uint32_t error, void* user) {
          Answer& answer = self(user).answers_[id];
          answer.closed = true;
          answer.error = error;
          ++self(user).closed_;
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          if (frame->hd.type == NGHTTP2_GOAWAY) {
            self(user).goaway_ = static_cast<int>(frame->goaway.error_code);
          }
          return 0;
        });
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  }
  ~Http2Client() { nghttp2_session_del(session_); }
  Http2Client(const Http2Client&) = delete;
  Http2Client& operator=(const Http2Client&) = delete;

  // Asks; `body` is what the stream's data are. `more` replaces headers, or adds to them.
  int32_t ask(const std::string& path, std::string body, const Http2Fields& more = {},
              bool ends = true) {
    Http2Fields fields = {{":method", "POST"},
                          {":scheme", "http"},
                          {":path", path},
                          {":authority", "test"},
                          {"content-type", "application/grpc"},
                          {"te", "trailers"}};
    for (const auto& [name, value] : more) {
      bool found = false;
      for (auto& field : fields) {
        if (field.first == name) field.second = value, found = true;
      }
      if (!found) fields.emplace_back(name, value);
    }
    std::vector<nghttp2_nv> headers;
    for (auto& [name, value] : fields) {
      headers.push_back({reinterpret_cast<uint8_t*>(name.data()),
                         reinterpret_cast<uint8_t*>(value.data()), name.size(), value.size(),
                         NGHTTP2_NV_FLAG_NONE});
    }
    auto source = std::make_unique<Body>(Body{std::move(body), 0, ends});
    nghttp2_data_provider provider = {};
    provider.source.ptr = source.get();
    provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                                uint32_t* flags, nghttp2_data_source* from, void*) -> ssize_t {
      Body& body = *static_cast<Body*>(from->ptr);
      const size_t taken = std::min(size, body.bytes.size() - body.sent);
      std::memcpy(buffer, body.bytes.data() + body.sent, taken);
      body.sent += taken;
      if (body.sent < body.bytes.size()) return static_cast<ssize_t>(taken);
      if (body.ends) *flags |= NGHTTP2_DATA_FLAG_EOF;
      return !body.ends && taken == 0 ? ssize_t{NGHTTP2_ERR_DEFERRED} : static_cast<ssize_t>(taken);
    };
    const int32_t id = nghttp2_submit_request(session_, nullptr, headers.data(), headers.size(),
                                              &provider, nullptr);
    bodies_[id] = std::move(source);
    return id;
  }
  // A gRPC call with one message.
  int32_t call(const std::string& path, std::string_view message, const Http2Fields& more = {},
               bool ends = true) {
    return ask(path, cat(grpc_prefix(message.size(), false), message), more, ends);
  }
  void cancel(int32_t id) {
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  void ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
  void settings() { nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0); }

  void receive(std::string_view bytes) {
    nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()),
                             bytes.size());
  }
  // What there is to be sent.
  std::string produce() {
    std::string out;
    const uint8_t* data = nullptr;
    while (out.size() < (1 << 20)) {
      const ssize_t size = nghttp2_session_mem_send(session_, &data);
      if (size <= 0) break;
      out += text(data, static_cast<size_t>(size));
    }
    return out;
  }

  const Answer& answer(int32_t id) { return answers_[id]; }
  int closed() const { return closed_; }
  int goaway() const { return goaway_; }  // its error code; -1: none has come

 private:
  struct Body {
    std::string bytes;
    size_t sent = 0;
    bool ends = true;
  };
  static Http2Client& self(void* user) { return *static_cast<Http2Client*>(user); }
  static std::string text(const uint8_t* bytes, size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
  }

  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, std::unique_ptr<Body>> bodies_;
  int closed_ = 0;
  int goaway_ = -1;
};

// Over a socket of this machine; blocking.
class Http2SocketClient {
 public:
  explicit Http2SocketClient(int port) : socket_(port) {}

  // Calls, and waits for the answer.
  const Http2Client::Answer& call(const std::string& path, std::string_view message,
                                  const Http2Fields& more = {}) {
    return wait(client_.call(path, message, more));
  }
  const Http2Client::Answer& wait(int32_t id) {
    while (!client_.answer(id).closed && exchange()) continue;
    return client_.answer(id);
  }
  void send() {
    for (std::string out; !(out = client_.produce()).empty();) socket_.send(out);
  }
  // Sends what there is and receives something; false when the server has closed.
  bool exchange() {
    send();
    const std::string got = socket_.receive_some();
    client_.receive(got);
    send();
    return !got.empty();
  }
  Http2Client& client() { return client_; }

 private:
  HttpClient socket_;
  Http2Client client_;
};

}  // namespace tenon::serving
