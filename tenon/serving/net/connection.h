// Connection: a client's socket, the session that speaks on it, and TLS between the two where there
// is some. The socket is non-blocking and watched by an epoll set, once an event (EPOLLONESHOT):
// whoever has the event calls drive(). Thread-safe: one call after another.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tenon/serving/net/listener.h"
#include "tenon/serving/net/session.h"
#include "tenon/serving/net/tls.h"

namespace tenon::serving {

struct ConnectionTimeouts {  // milliseconds
  int64_t send = 30'000;     // to take what is sent, plus a second each kSlowestRate bytes
  int64_t linger = 2'000;    // for the client to close after an answer that ends the connection
  static constexpr int64_t kSlowestRate = 4096;  // bytes a second
};

class Connection {
 public:
  // `tls` may be null. `epoll` and `timeouts` outlive it.
  Connection(uint64_t id, Descriptor fd, std::unique_ptr<Session> session,
             std::unique_ptr<TlsLayer> tls, int epoll, const ConnectionTimeouts& timeouts);

  // Adds the socket to the epoll set.
  void watch();
  // Reads, and sends what there is to be sent, until it has to wait, and sees to it that the next
  // event comes. Appends the requests that have arrived whole. False: the connection is over.
  bool drive(std::vector<RequestPtr>& ready);
  // `request` has been run. Its answer is sent when `flush`, else by the next call that does.
  bool answered(ServerRequest& request, bool flush, std::vector<RequestPtr>& ready);
  bool refuse(ServerRequest& request, const Status& why, std::vector<RequestPtr>& ready);
  // The server stops: reads what lies in the socket, and ends when what has begun is answered.
  bool drain(std::vector<RequestPtr>& ready);
  // The client has stalled, or the server waits no longer: requests that run are cancelled.
  void cut_off();

  // When it may be cut off for having made no progress (steady clock, ms).
  int64_t deadline() const { return deadline_.load(std::memory_order_relaxed); }
  uint64_t id() const { return id_; }

 private:
  bool read(std::vector<RequestPtr>& ready);
  bool flush();
  bool send_output();
  void fill_output();
  bool settle();
  bool close();

  const uint64_t id_;
  const Descriptor fd_;
  const int epoll_;
  const ConnectionTimeouts& timeouts_;

  std::mutex mutex_;  // guards what follows, up to the deadline
  const std::unique_ptr<Session> session_;
  const std::unique_ptr<TlsLayer> tls_;
  std::string output_;
  size_t sent_ = 0;  // of output_
  bool blocked_ = false;
  int64_t blocked_since_ = 0;
  uint64_t sent_since_ = 0;
  bool lingering_ = false;
  bool broken_ = false;  // TLS has failed: what it says of that is sent, no more
  bool closed_ = false;
  bool watched_ = false;
  uint32_t events_ = 0;  // that the epoll set looks for, while watched_
  std::atomic<int64_t> deadline_;
};

}  // namespace tenon::serving
