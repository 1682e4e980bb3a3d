// RequestQueue: the requests that have arrived and that no worker has taken yet. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "tenon/serving/net/session.h"

namespace tenon::serving {

class Connection;

struct QueuedRequest {
  std::shared_ptr<Connection> connection;
  RequestPtr request;
};

// How many requests of a sort run at a time, and how many more may wait; what comes beyond is
// refused.
struct Gate {
  int most_running = 1;
  size_t most_waiting = SIZE_MAX;
};

class RequestQueue {
 public:
  explicit RequestQueue(std::span<const Gate> gates);

  // False: the gate has no room, not even to wait.
  bool add(QueuedRequest request);
  // The next one whose gate has let it pass, those without gate first; false when there is none.
  // `more`: is there another one?
  bool take(QueuedRequest& request, bool& more);
  // Gives the place behind `gate` to the request that has waited longest.
  void done(int gate);

  // Of one gate, just now.
  struct Figures {
    int64_t running = 0;  // those that are about to run among them
    int64_t waiting = 0;
  };
  Figures figures(int gate);

 private:
  struct State {
    int most_running = 0;
    int free = 0;
    size_t most_waiting = 0;
    std::deque<QueuedRequest> waiting;
  };
  std::mutex mutex_;
  std::vector<State> gates_;
  std::deque<QueuedRequest> ready_;
};

// How long requests of a kind have taken: the longest, slowly forgotten. Two kinds may share a cell
// and are then as slow as the slower one. Thread-safe.
class RunTimes {
 public:
  // Have all requests of that kind seen lately been over in no time? Not one that has not been
  // seen.
  bool is_short(uint64_t kind) const;
  void observe(uint64_t kind, int64_t microseconds);

 private:
  static constexpr int64_t kShort = 100;  // microseconds
  static constexpr size_t kCells = 256;
  // Microseconds; 0: not seen.
  std::array<std::atomic<int64_t>, kCells> longest_ = {};
};

}  // namespace tenon::serving
