#include "tenon/dist/cluster/rendezvous.h"

#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <mutex>

#include "tenon/base/hex.h"
#include "tenon/base/log.h"
#include "tenon/base/thread.h"

namespace tenon::dist {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHandshakeTime{10'000};
constexpr milliseconds kLookTime{50};    // between looks at what has changed
constexpr milliseconds kRetryTime{100};  // between calls of one that does not answer
constexpr milliseconds kNoticeTime{15'000};
constexpr size_t kMostHandshakes = 64;  // at a time

// Is it time to say again that something is waited for?
class Notice {
 public:
  bool due() {
    if (std::chrono::steady_clock::now() < next_) return false;
    next_ = after(kNoticeTime);
    return true;
  }

 private:
  Deadline next_ = after(milliseconds(2'000));
};

// Takes the calls of workers of higher ranks, each on a thread of its own, so that a stranger who
// connects and says nothing holds up nobody.
class Doorman {
 public:
  Doorman(const Socket& listener, const Cluster& cluster, const Identity& own,
          std::vector<Socket>& seats)
      : listener_(listener), cluster_(cluster), own_(own), seats_(seats), taken_(seats.size()) {}

  ~Doorman() {
    {
      const std::lock_guard lock(mutex_);
      for (Visit& visit : visits_) ::shutdown(visit.socket.fd(), SHUT_RDWR);
    }
    for (Visit& visit : visits_) visit.thread.join();
  }

  Status seat_all(Deadline deadline) {
    Notice notice;
    for (std::string missing = look(); !missing.empty(); missing = look()) {
      if (notice.due()) log_info("waiting for ", missing);
      if (std::chrono::steady_clock::now() >= deadline) {
        return unavailable("these have not come: ", missing);
      }
      TENON_ASSIGN_OR_RETURN(Socket caller, accept_one(listener_, after(kLookTime)));
      if (caller.open() && visits_.size() < kMostHandshakes) receive(std::move(caller));
    }
    return absl::OkStatus();
  }

 private:
  struct Visit {
    Socket socket;      // changed under mutex_
    bool done = false;  // under mutex_
    std::thread thread;
  };

  // Lets those go that have left again; the names of those that are missing.
  std::string look() {
    const std::lock_guard lock(mutex_);
    for (auto it = visits_.begin(); it != visits_.end();) {
      if (it->done) it->thread.join();
      it = it->done ? visits_.erase(it) : std::next(it);
    }
    std::vector<std::string> missing;
    for (size_t rank = static_cast<size_t>(own_.rank) + 1; rank < seats_.size(); ++rank) {
      if (seats_[rank].open() && is_gone(seats_[rank])) {
        log_warning(cluster_.name_of(static_cast<int>(rank)), " has left again");
        seats_[rank] = Socket();
        taken_[rank] = false;
      }
      if (!seats_[rank].open()) missing.push_back(cluster_.name_of(static_cast<int>(rank)));
    }
    return join(missing, ", ");
  }

  void receive(Socket caller) {
    Visit& visit = visits_.emplace_back();
    visit.socket = std::move(caller);
    auto thread = start_thread([this, &visit] { greet(visit); });
    if (!thread.ok()) {
      visits_.pop_back();
      return;
    }
    visit.thread = *std::move(thread);
  }

  void greet(Visit& visit) {
    const std::string from = address_of_peer(visit.socket);
    int admitted = -1;
    const auto admit = [&](int rank) -> Status {
      const std::lock_guard lock(mutex_);
      const auto at = static_cast<size_t>(rank);
      if (rank <= own_.rank || at >= seats_.size()) {
        return failed_precondition("worker ", own_.rank, " expects no call of worker ", rank);
      }
      if (taken_[at]) {
        const std::string other = seats_[at].open() ? address_of_peer(seats_[at]) : "elsewhere";
        return already_exists("there are two workers with index ", rank, ": one came from ", other,
                              ", another one from ", from);
      }
      taken_[at] = true;
      admitted = rank;
      return absl::OkStatus();
    };
    const auto rank = receive_caller(visit.socket, own_, admit, after(kHandshakeTime));
    const std::lock_guard lock(mutex_);
    visit.done = true;
    if (rank.ok()) {
      seats_[static_cast<size_t>(*rank)] = std::move(visit.socket);
      return;
    }
    if (admitted >= 0) taken_[static_cast<size_t>(admitted)] = false;
    // One that says nothing is a look whether the port is open, as probes do.
    if (!absl::IsUnavailable(rank.status()) || admitted >= 0) {
      log_warning("a caller from ", from, " is refused: ", message_of(rank.status()));
    }
    visit.socket = Socket();
  }

  const Socket& listener_;
  const Cluster& cluster_;
  const Identity& own_;
  std::mutex mutex_;
  std::vector<Socket>& seats_;  // by rank
  std::vector<bool> taken_;     // a seat is, or is being, given to somebody
  std::list<Visit> visits_;     // changed by the thread of seat_all() alone
};

bool may_come_later(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Calls until there is an answer.
StatusOr<Socket> call(const Cluster& cluster, const Identity& own, int callee, Deadline deadline) {
  const std::string& address = cluster.workers[static_cast<size_t>(callee)];
  Notice notice;
  for (;;) {
    const Deadline soon = std::min(deadline, after(kHandshakeTime));
    StatusOr<Socket> socket = connect_to(address, soon);
    Status status = socket.ok() ? introduce(*socket, own, callee, soon) : socket.status();
    if (status.ok()) return socket;
    if (!may_come_later(status)) return with_context(status, cluster.name_of(callee));
    if (std::chrono::steady_clock::now() >= deadline) {
      return unavailable(cluster.name_of(callee), " does not answer: ", message_of(status));
    }
    if (notice.due()) log_info("waiting for ", cluster.name_of(callee), ": ", message_of(status));
    std::this_thread::sleep_for(kRetryTime);
  }
}

// Of a worker that is not the chief: the connection to it, once it has named the run.
StatusOr<Socket> join_chief(const Cluster& cluster, Identity& own, Deadline deadline) {
  for (;;) {
    TENON_ASSIGN_OR_RETURN(Socket chief, call(cluster, own, 0, deadline));
    StatusOr<std::vector<std::string>> run = receive_texts(chief, 1, deadline);
    if (run.ok()) {
      own.run = (*run)[0];
      return chief;
    }
    // The chief has ended meanwhile, and may come again.
    if (!absl::IsUnavailable(run.status())) {
      return unavailable("the chief at ", cluster.workers[0], " has not begun: other workers have ",
                         "not come");
    }
  }
}

Status name_run(const Cluster& cluster, const Identity& own, const std::vector<Socket>& seats) {
  const std::string run[] = {own.run};
  for (size_t rank = 1; rank < seats.size(); ++rank) {
    TENON_RETURN_IF_ERROR(with_context(send_texts(seats[rank], run, after(kHandshakeTime)),
                                       cluster.name_of(static_cast<int>(rank))));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<Socket>> meet_workers(const Cluster& cluster, Identity own,
                                           Deadline deadline) {
  own.rank = cluster.rank;
  own.workers = join(cluster.workers, ",");
  std::vector<Socket> seats(cluster.workers.size());
  if (seats.size() < 2) return seats;
  const auto rank = static_cast<size_t>(cluster.rank);
  TENON_ASSIGN_OR_RETURN(const Socket listener, listen_at(cluster.workers[rank]));
  if (rank > 0) {
    TENON_ASSIGN_OR_RETURN(seats[0], join_chief(cluster, own, deadline));
    for (size_t lower = 1; lower < rank; ++lower) {
      TENON_ASSIGN_OR_RETURN(seats[lower], call(cluster, own, static_cast<int>(lower), deadline));
    }
  }
  Status status = Doorman(listener, cluster, own, seats).seat_all(deadline);
  if (rank == 0 && status.ok()) {
    TENON_ASSIGN_OR_RETURN(const std::string random, random_bytes());
    own.run = hex_of(random);
    status = name_run(cluster, own, seats);
  }
  TENON_RETURN_IF_ERROR(status);
  return seats;
}

}  // namespace tenon::dist
