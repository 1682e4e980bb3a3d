#include "tenon/serving/net/request_queue.h"

namespace tenon::serving {

RequestQueue::RequestQueue(std::span<const Gate> gates) {
  for (const Gate& gate : gates) {
    gates_.push_back({gate.most_running, gate.most_running, gate.most_waiting, {}});
  }
}

bool RequestQueue::add(QueuedRequest request) {
  const int gate = request.request->gate;
  std::lock_guard lock(mutex_);
  if (gate == ServerRequest::kNoGate) {
    ready_.push_front(std::move(request));
    return true;
  }
  State& state = gates_[static_cast<size_t>(gate)];
  if (state.free > 0) {
    --state.free;
    ready_.push_back(std::move(request));
    return true;
  }
  if (state.waiting.size() >= state.most_waiting) {
    std::erase_if(state.waiting, [](const QueuedRequest& r) { return r.request->abandoned(); });
  }
  if (state.waiting.size() >= state.most_waiting) return false;
  state.waiting.push_back(std::move(request));
  return true;
}

bool RequestQueue::take(QueuedRequest& request, bool& more) {
  std::lock_guard lock(mutex_);
  more = false;
  if (ready_.empty()) return false;
  request = std::move(ready_.front());
  ready_.pop_front();
  more = !ready_.empty();
  return true;
}

void RequestQueue::done(int gate) {
  if (gate == ServerRequest::kNoGate) return;
  std::lock_guard lock(mutex_);
  State& state = gates_[static_cast<size_t>(gate)];
  if (state.waiting.empty()) {
    ++state.free;
    return;
  }
  ready_.push_back(std::move(state.waiting.front()));
  state.waiting.pop_front();
}

RequestQueue::Figures RequestQueue::figures(int gate) {
  std::lock_guard lock(mutex_);
  const State& state = gates_[static_cast<size_t>(gate)];
  return {state.most_running - state.free, static_cast<int64_t>(state.waiting.size())};
}

bool RunTimes::is_short(uint64_t kind) const {
  if (kind == 0) return false;
  const int64_t longest = longest_[kind % kCells].load(std::memory_order_relaxed);
  return longest > 0 && longest <= kShort;
}

void RunTimes::observe(uint64_t kind, int64_t microseconds) {
  if (kind == 0) return;
  std::atomic<int64_t>& cell = longest_[kind % kCells];
  const int64_t before = cell.load(std::memory_order_relaxed);
  const int64_t now = std::max<int64_t>(microseconds, 1);
  // Two that write at once lose one of two observations: the next one of that kind makes up for it.
  const int64_t after = std::max(now, before - (before - now) / 16);
  if (after != before) cell.store(after, std::memory_order_relaxed);
}

}  // namespace tenon::serving
