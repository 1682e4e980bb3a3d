// Session: the protocol of one connection, apart from sockets: bytes in, requests out, answers in,
// bytes out. A connection (connection.h) calls it under its lock, so that a session needs none; the
// requests that it gives out run elsewhere, at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

// Milliseconds on the steady clock.
int64_t steady_milliseconds();

// A session's deadline when it waits for nothing that has to come soon.
inline constexpr int64_t kNever = INT64_MAX;

// A request that has arrived whole. It keeps alive whatever run() looks at.
class ServerRequest {
 public:
  virtual ~ServerRequest() = default;

  // Makes the answer. Called once, on any thread, without a lock; does not throw.
  virtual void run() = 0;
  // Called instead of run() where there is no room for the request: makes an answer that says so.
  virtual void refuse(const Status& why) = 0;
  // Does nobody wait for the answer any more? Then neither of the two need be called.
  virtual bool abandoned() const { return false; }

  // The gate of the event loop that it has to pass; kNoGate for what is answered in no time.
  static constexpr int kNoGate = -1;
  int gate = kNoGate;
  // Requests of one kind are expected to take as long as each other did (RunTimes); 0: not known.
  uint64_t kind = 0;
};

using RequestPtr = std::shared_ptr<ServerRequest>;

class Session {
 public:
  enum class End {
    kOpen,    // goes on
    kClose,   // is over once all that it has produced is sent
    kLinger,  // the same, but the client may still be sending and should see the answer
  };

  virtual ~Session() = default;

  // Takes what the client has sent; appends the requests that are complete now.
  virtual void receive(std::string_view bytes, std::vector<RequestPtr>& ready) = 0;
  // `request`, which it has given out, has an answer; appends requests that waited for that.
  virtual void answered(ServerRequest& request, std::vector<RequestPtr>& ready) = 0;
  // Puts bytes for the client into `out`, which is empty; none when there are none.
  virtual void produce(std::string& out) = 0;
  // Does it want bytes? If not, the client's wait in its socket.
  virtual bool reads() const = 0;
  virtual End end() const = 0;

  // The server stops: what has begun is answered, then the session ends. May be called again after
  // a while, which ends the time in which new requests that are under way are taken.
  virtual void drain() = 0;
  // Nobody waits any more for the answers of requests that run.
  virtual void cancel() = 0;

  // Steady milliseconds; when the client has to have done what the session waits for.
  virtual int64_t deadline() const = 0;
};

}  // namespace tenon::serving
