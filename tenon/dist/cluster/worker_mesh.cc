#include "tenon/dist/cluster/worker_mesh.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/thread.h"

namespace tenon::dist {
namespace {

using MeshClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kFarewellTime{2'000};  // at most, for the last messages
constexpr size_t kReadAtOnce = size_t{1} << 20;
constexpr size_t kTrustedBytes = size_t{16} << 20;  // of a body, before the first of them are there
constexpr uint64_t kMostBodyBytes = uint64_t{1} << 36;
constexpr uint32_t kMostNameBytes = 4096;

// As it is sent: processors of either kind that Tenon runs on are little-endian.
struct Header {
  uint8_t kind = 0, present = 0;
  uint16_t reserved = 0;
  uint32_t name = 0;
  uint64_t body = 0, sequence = 0, signature = 0;
};
static_assert(sizeof(Header) == 32);

struct Outgoing {
  std::string head;  // header and name
  Body body;
  size_t sent = 0;
  size_t size() const { return head.size() + body.size; }
};

std::shared_ptr<const Outgoing> encoded(const Message& message) {
  Header header;
  header.kind = message.kind;
  header.present = message.present;
  header.name = static_cast<uint32_t>(message.name.size());
  header.body = message.body.size;
  header.sequence = message.sequence;
  header.signature = message.signature;
  auto out = std::make_shared<Outgoing>();
  out->head.append(reinterpret_cast<const char*>(&header), sizeof(header)).append(message.name);
  out->body = message.body;
  return out;
}

Message text_message(Message::Kind kind, std::string_view text) {
  Message message;
  message.kind = kind;
  message.body = Body::allocate(text.size());
  std::memcpy(message.body.data.get(), text.data(), text.size());
  return message;
}

// A message as it arrives: header, name, body. Memory for a body is taken as its bytes come, so
// that a length which is a lie costs nothing.
class Incoming {
 public:
  // Where the next bytes go.
  std::span<char> room() {
    if (have_ < sizeof(Header)) return {head_ + have_, sizeof(Header) - have_};
    const size_t in_name = have_ - sizeof(Header);
    if (in_name < message_.name.size()) {
      return {message_.name.data() + in_name, message_.name.size() - in_name};
    }
    const size_t in_body = in_name - message_.name.size();
    if (in_body == message_.body.size) grow(in_body);
    return {message_.body.data.get() + in_body, message_.body.size - in_body};
  }
  // False when they are no message of a worker.
  bool take(size_t bytes) {
    const bool had_header = have_ >= sizeof(Header);
    have_ += bytes;
    if (had_header || have_ < sizeof(Header)) return true;
    std::memcpy(&header_, head_, sizeof(header_));
    if (header_.kind >= Message::kKinds || header_.name > kMostNameBytes ||
        header_.body > kMostBodyBytes) {
      return false;
    }
    message_.kind = static_cast<Message::Kind>(header_.kind);
    message_.present = header_.present != 0;
    message_.sequence = header_.sequence;
    message_.signature = header_.signature;
    message_.name.resize(header_.name);
    return true;
  }
  bool whole() const {
    return have_ >= sizeof(Header) && have_ == sizeof(Header) + header_.name + header_.body;
  }
  Message finish() {
    have_ = 0;
    return std::exchange(message_, Message());
  }

 private:
  void grow(size_t filled) {
    const size_t larger = std::max(2 * filled, kTrustedBytes);
    Body body = Body::allocate(std::min(static_cast<size_t>(header_.body), larger));
    if (filled > 0) std::memcpy(body.data.get(), message_.body.data.get(), filled);
    message_.body = std::move(body);
  }

  char head_[sizeof(Header)];
  Header header_;
  Message message_;
  size_t have_ = 0;
};

struct Peer {
  Socket socket;
  Incoming incoming;
  std::deque<std::shared_ptr<const Outgoing>> outgoing;
  size_t sent = 0;  // of the first one
  Deadline heard = MeshClock::now(), spoke = MeshClock::now();
  bool readable = false, leaves = false;
};

}  // namespace

Body Body::allocate(size_t size) { return {std::shared_ptr<char[]>(new char[size]), size}; }

class WorkerMesh::Loop {
 public:
  Loop(const Cluster& cluster, std::vector<Socket> sockets, milliseconds silence, MeshEvents events)
      : cluster_(cluster),
        silence_(silence),
        beat_(std::min<milliseconds>(milliseconds(1'000), silence / 5)),
        farewell_time_(std::min<milliseconds>(kFarewellTime, silence / 5)),
        events_(std::move(events)),
        queued_(sockets.size()) {
    for (Socket& socket : sockets) peers_.emplace_back().socket = std::move(socket);
  }

  Status start() {
    wake_ = Socket(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!wake_.open()) return errno_status(errno, "making", "an eventfd");
    TENON_ASSIGN_OR_RETURN(thread_, start_thread([this] { run(); }));
    return absl::OkStatus();
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stops_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
  }

  void send(int to, std::shared_ptr<const Outgoing> message) {
    {
      const std::lock_guard lock(mutex_);
      queued_[static_cast<size_t>(to)].push_back(std::move(message));
    }
    wake();
  }

  void fail(const Status& why) {
    {
      const std::lock_guard lock(mutex_);
      if (own_failure_.ok()) own_failure_ = why;
    }
    wake();
  }

  int size() const { return static_cast<int>(peers_.size()); }
  int rank() const { return cluster_.rank; }

 private:
  void wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t done = ::write(wake_.fd(), &one, sizeof(one));
  }

  void run() {
    const Status memory = or_out_of_memory([&] {
      while (status_.ok() && !wait_and_move()) {
      }
      return absl::OkStatus();
    });
    if (!memory.ok()) lose_own(memory);
    if (!status_.ok()) {
      events_.failed(status_);
      for (Peer& peer : peers_) {
        if (peer.socket.open()) peer.outgoing.push_back(encoded(farewell_));
      }
    }
    say_farewell();
    for (Peer& peer : peers_) peer.socket = Socket();
    if (!status_.ok()) events_.ended();
  }

  // The first failure counts.
  void lose(const Status& why, std::string_view told) {
    if (!status_.ok()) return;
    status_ = why;
    farewell_ = text_message(Message::kFailed, told);
  }
  void lose(int rank, std::string_view what) {
    const std::string sentence = cat(cluster_.name_of(rank), " ", what);
    lose(unavailable(sentence), sentence);
  }

  void lose_own(const Status& why) {
    lose(why, cat(cluster_.name_of(cluster_.rank), " has stopped: ", message_of(why)));
  }

  // True when the mesh is to end.
  bool take_commands() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t done = ::read(wake_.fd(), &count, sizeof(count));
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < peers_.size(); ++i) {
      auto& out = peers_[i].outgoing;
      out.insert(out.end(), queued_[i].begin(), queued_[i].end());
      queued_[i].clear();
    }
    if (!own_failure_.ok()) lose_own(own_failure_);
    return stops_;
  }

  // Waits until something happens; then reads, writes and looks at the clock.
  bool wait_and_move() {
    poll_for(beat_, true);
    const bool stops = take_commands();
    for (size_t i = 0; i < peers_.size() && status_.ok(); ++i) {
      if (peers_[i].readable) read_from(static_cast<int>(i));
    }
    const Deadline now = MeshClock::now();
    // A process that was stopped for a while looks at what has come before it judges others.
    const bool was_stopped = now - std::exchange(turned_, now) > 2 * beat_;
    for (size_t i = 0; i < peers_.size() && status_.ok(); ++i) {
      Peer& peer = peers_[i];
      if (!peer.socket.open()) continue;
      if (peer.outgoing.empty() && now - peer.spoke >= beat_) {
        peer.outgoing.push_back(encoded(Message()));
      }
      write_to(static_cast<int>(i));
      if (now - peer.heard > silence_ && !was_stopped) {
        const auto seconds = std::chrono::duration<double>(now - peer.heard).count();
        lose(static_cast<int>(i),
             cat("has not been heard of for ", static_cast<int64_t>(seconds + 0.5), " s"));
      }
    }
    return stops;
  }

  void poll_for(milliseconds time, bool commands) {
    entries_.assign(1, pollfd{commands ? wake_.fd() : -1, POLLIN, 0});
    for (const Peer& peer : peers_) {
      const short events = peer.outgoing.empty() ? POLLIN : POLLIN | POLLOUT;
      entries_.push_back({peer.socket.fd(), events, 0});  // those below 0 are left out
    }
    ::poll(entries_.data(), entries_.size(), static_cast<int>(time.count()));
    for (size_t i = 0; i < peers_.size(); ++i) {
      peers_[i].readable = (entries_[i + 1].revents & ~POLLOUT) != 0;
    }
  }

  void read_from(int rank) {
    Peer& peer = peers_[static_cast<size_t>(rank)];
    for (size_t total = 0; total < kReadAtOnce && status_.ok();) {
      const std::span<char> room = peer.incoming.room();
      const ssize_t got = ::recv(peer.socket.fd(), room.data(), room.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) {
        peer.socket = Socket();
        if (!peer.leaves) lose(rank, "has ended its connection");
        return;
      }
      peer.heard = MeshClock::now();
      total += static_cast<size_t>(got);
      if (!peer.incoming.take(static_cast<size_t>(got))) {
        return lose(rank, "has sent what is no message of a worker");
      }
      if (peer.incoming.whole()) receive(rank, peer.incoming.finish());
    }
  }

  void receive(int rank, Message message) {
    if (message.kind == Message::kBeat) return;
    if (message.kind == Message::kFailed) {
      const std::string_view sentence(message.body.data.get(), message.body.size);
      return lose(unavailable(sentence), sentence);
    }
    if (message.kind == Message::kLeave) peers_[static_cast<size_t>(rank)].leaves = true;
    events_.received(rank, std::move(message));
  }

  void write_to(int rank) {
    Peer& peer = peers_[static_cast<size_t>(rank)];
    while (!peer.outgoing.empty()) {
      const Outgoing& first = *peer.outgoing.front();
      iovec parts[2];
      int count = 0;
      const size_t in_head = std::min(peer.sent, first.head.size());
      if (in_head < first.head.size()) {
        parts[count++] = {const_cast<char*>(first.head.data()) + in_head,
                          first.head.size() - in_head};
      }
      const size_t in_body = peer.sent - in_head;
      if (in_body < first.body.size) {
        parts[count++] = {first.body.data.get() + in_body, first.body.size - in_body};
      }
      msghdr message = {};
      message.msg_iov = parts;
      message.msg_iovlen = static_cast<size_t>(count);
      const ssize_t sent = ::sendmsg(peer.socket.fd(), &message, MSG_NOSIGNAL);
      // What is wrong with the connection is found when it is read: first what the other one said.
      if (sent < 0) return;
      peer.spoke = MeshClock::now();
      peer.sent += static_cast<size_t>(sent);
      if (peer.sent < first.size()) return;
      peer.outgoing.pop_front();
      peer.sent = 0;
    }
  }

  // Sends what is left, then waits until the others close their connections too: bytes that arrive
  // at one that is closed would take back those that it has sent.
  void say_farewell() {
    const Deadline end = after(farewell_time_);
    for (bool all = false; !all && MeshClock::now() < end;) {
      all = true;
      for (size_t i = 0; i < peers_.size(); ++i) {
        Peer& peer = peers_[i];
        if (!peer.socket.open()) continue;
        write_to(static_cast<int>(i));
        if (peer.outgoing.empty()) ::shutdown(peer.socket.fd(), SHUT_WR);
        drop_what_comes(peer);
        all = all && !peer.socket.open();
      }
      if (!all) poll_for(milliseconds(20), false);
    }
  }

  static void drop_what_comes(Peer& peer) {
    char bytes[4096];
    for (;;) {
      const ssize_t got = ::recv(peer.socket.fd(), bytes, sizeof(bytes), 0);
      if (got > 0) continue;
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      peer.socket = Socket();
      return;
    }
  }

  const Cluster cluster_;
  const milliseconds silence_, beat_, farewell_time_;
  const MeshEvents events_;
  std::vector<Peer> peers_;  // by rank; of the thread alone
  std::vector<pollfd> entries_;
  Deadline turned_ = MeshClock::now();
  Status status_;
  Message farewell_;
  Socket wake_;
  std::mutex mutex_;
  std::vector<std::deque<std::shared_ptr<const Outgoing>>> queued_;  // by rank
  Status own_failure_;
  bool stops_ = false;
  std::thread thread_;
};

WorkerMesh::WorkerMesh(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

WorkerMesh::~WorkerMesh() { loop_->stop(); }

StatusOr<std::unique_ptr<WorkerMesh>> WorkerMesh::create(const Cluster& cluster,
                                                         std::vector<Socket> peers,
                                                         milliseconds silence, MeshEvents events) {
  auto loop = std::make_unique<Loop>(cluster, std::move(peers), silence, std::move(events));
  TENON_RETURN_IF_ERROR(loop->start());
  return std::unique_ptr<WorkerMesh>(new WorkerMesh(std::move(loop)));
}

void WorkerMesh::send(int to, Message message) { loop_->send(to, encoded(message)); }

void WorkerMesh::send_to_all(const Message& message) {
  const auto bytes = encoded(message);
  for (int rank = 0; rank < loop_->size(); ++rank) {
    if (rank != loop_->rank()) loop_->send(rank, bytes);
  }
}

void WorkerMesh::fail(const Status& why) { loop_->fail(why); }

}  // namespace tenon::dist
