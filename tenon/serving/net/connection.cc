#include "tenon/serving/net/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "tenon/base/out_of_memory.h"

namespace tenon::serving {
namespace {

constexpr size_t kReceiveBytes = 64 << 10;
constexpr size_t kKeptOutputBytes = 4 << 10;  // of the buffer of an idle connection
constexpr int kReadsAtOnce = 16;              // then others have their turn

// One a thread, not one a connection.
char* receive_buffer() {
  thread_local const std::unique_ptr<char[]> buffer(new char[kReceiveBytes]);
  return buffer.get();
}

// What `step` says; where memory is lacking false: the connection is lost, and nothing else.
template <class Step>
bool with_memory(Step&& step) {
  return or_out_of_memory([&] { return step() ? Status() : unavailable("lost"); }).ok();
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

int64_t steady_milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Connection::Connection(uint64_t id, Descriptor fd, std::unique_ptr<Session> session,
                       std::unique_ptr<TlsLayer> tls, int epoll, const ConnectionTimeouts& timeouts)
    : id_(id),
      fd_(std::move(fd)),
      epoll_(epoll),
      timeouts_(timeouts),
      session_(std::move(session)),
      tls_(std::move(tls)),
      deadline_(session_->deadline()) {}

void Connection::watch() {
  std::lock_guard lock(mutex_);
  epoll_event event = {};
  event.events = events_ = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
  event.data.u64 = id_;
  watched_ = true;
  // Fails only where memory does; the connection is then cut off at its deadline.
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_.get(), &event);
}

bool Connection::drive(std::vector<RequestPtr>& ready) {
  std::lock_guard lock(mutex_);
  watched_ = false;
  if (closed_) return false;
  const bool open = with_memory([&] { return flush() && read(ready) && flush(); });
  return open ? settle() : close();
}

bool Connection::answered(ServerRequest& request, bool flush_now, std::vector<RequestPtr>& ready) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  const bool open = with_memory([&] {
    session_->answered(request, ready);
    return !flush_now || flush();
  });
  if (!open) return close();
  return !flush_now || settle();
}

bool Connection::refuse(ServerRequest& request, const Status& why, std::vector<RequestPtr>& ready) {
  request.refuse(why);
  return answered(request, true, ready);
}

bool Connection::drain(std::vector<RequestPtr>& ready) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  const bool open = with_memory([&] {
    if (!flush() || !read(ready)) return false;
    session_->drain();
    return flush();
  });
  return open ? settle() : close();
}

void Connection::cut_off() {
  std::lock_guard lock(mutex_);
  session_->cancel();
  ::shutdown(fd_.get(), SHUT_RDWR);  // the event that this makes ends the connection
}

// False: the client has closed, or the connection is lost.
bool Connection::read(std::vector<RequestPtr>& ready) {
  char* const buffer = receive_buffer();
  for (int i = 0; i < kReadsAtOnce && ready.empty(); ++i) {
    const bool reads = session_->reads() && session_->end() == Session::End::kOpen;
    if (!reads && !lingering_) return true;
    const ssize_t got = ::recv(fd_.get(), buffer, kReceiveBytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && would_block()) return true;
    if (got <= 0) return false;
    if (lingering_) continue;
    const std::string_view bytes(buffer, static_cast<size_t>(got));
    if (tls_) {
      std::string plain;
      broken_ = !tls_->receive(bytes, plain) || broken_;
      if (!plain.empty()) session_->receive(plain, ready);
      if (broken_) return send_output() && false;
    } else {
      session_->receive(bytes, ready);
    }
    if (!flush()) return false;
    if (static_cast<size_t>(got) < kReceiveBytes) return true;
  }
  return true;
}

void Connection::fill_output() {
  output_.clear();
  if (output_.capacity() > kKeptOutputBytes) output_.shrink_to_fit();
  sent_ = 0;
  if (!tls_) return session_->produce(output_);
  tls_->produce(output_);
  if (!output_.empty()) return;
  std::string plain;
  session_->produce(plain);
  if (plain.empty()) return;
  tls_->send(plain);
  tls_->produce(output_);
}

// False: the connection is lost.
bool Connection::send_output() {
  for (;;) {
    while (sent_ < output_.size()) {
      const ssize_t sent =
          ::send(fd_.get(), output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && would_block()) {
        if (!blocked_) {
          blocked_ = true;
          blocked_since_ = steady_milliseconds();
          sent_since_ = 0;
        }
        return true;
      }
      if (sent < 0) return false;
      sent_ += static_cast<size_t>(sent);
      sent_since_ += static_cast<uint64_t>(sent);
    }
    fill_output();
    if (output_.empty()) break;
  }
  blocked_ = false;
  return true;
}

// False: the connection is over.
bool Connection::flush() {
  if (!send_output()) return false;
  if (blocked_ || lingering_ || session_->end() == Session::End::kOpen) return true;
  if (tls_) {
    tls_->end();
    if (!send_output()) return false;
  }
  if (session_->end() == Session::End::kClose) return false;
  // A client that may still be sending is read and ignored for a while, lest the answer be lost to
  // a reset.
  lingering_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
  deadline_.store(steady_milliseconds() + timeouts_.linger, std::memory_order_relaxed);
  return true;
}

// Asks for the events that it waits for.
bool Connection::settle() {
  // The end of what the client sends by TLS alone is no event of the socket.
  if (tls_ && tls_->ended() && session_->reads() && !blocked_ && !lingering_) {
    tls_->end();
    send_output();
    return close();
  }
  if (!lingering_) {
    const auto earned = static_cast<int64_t>(sent_since_ / ConnectionTimeouts::kSlowestRate) * 1000;
    const int64_t send_deadline = blocked_ ? blocked_since_ + timeouts_.send + earned : kNever;
    deadline_.store(std::min(send_deadline, session_->deadline()), std::memory_order_relaxed);
  }
  uint32_t events = EPOLLONESHOT;
  if (lingering_ || session_->reads()) events |= EPOLLIN | EPOLLRDHUP;
  if (blocked_) events |= EPOLLOUT;
  if (events == EPOLLONESHOT || (watched_ && events == events_)) return true;
  epoll_event event = {};
  event.events = events_ = events;
  event.data.u64 = id_;
  watched_ = true;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_.get(), &event);
  return true;
}

bool Connection::close() {
  closed_ = true;
  session_->cancel();
  // Requests that still run keep the descriptor; the client is told at once.
  ::shutdown(fd_.get(), SHUT_RDWR);
  return false;
}

}  // namespace tenon::serving
