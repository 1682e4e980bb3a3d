#include "tenon/serving/net/event_loop.h"

#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <unordered_map>

#include "tenon/base/thread.h"
#include "tenon/base/wait_notice.h"

namespace tenon::serving {
namespace {

// What an event is about: the stop, more work than threads, an endpoint, or a connection.
constexpr uint64_t kStop = 0;
constexpr uint64_t kWork = 1;
constexpr uint64_t kFirstEndpoint = 2;
constexpr uint64_t kFirstConnection = 1 << 10;

constexpr int kMostUnsent = 16;  // answers that wait to be sent together

int64_t microseconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

void signal(const Descriptor& event) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof(one));
}

int workers_of(const EventLoopOptions& options) {
  int workers = options.spare_workers;
  for (const Gate& gate : options.gates) workers += gate.most_running;
  return workers;
}

}  // namespace

struct EventLoop::Impl {
  Impl(const EventLoopOptions& loop_options, std::vector<Endpoint> given)
      : options(loop_options), endpoints(std::move(given)), queue(options.gates) {}

  Status start();
  void show_figures();
  void watch(int fd, int operation, uint32_t events, uint64_t id);
  void work();
  void accept_all(const Endpoint& endpoint, uint64_t id);
  void add(const Endpoint& endpoint, Descriptor fd);
  std::shared_ptr<Connection> find(uint64_t id);
  void drive(uint64_t id);
  void run_ready();
  void run(ServerRequest& request);
  bool step_aside(int gate);
  void share(const QueuedRequest& request, bool more);
  void settle(const std::shared_ptr<Connection>& connection, bool open,
              std::vector<RequestPtr>& ready);
  void sweep();
  void drain_all();
  bool wait_until_closed(std::chrono::steady_clock::time_point deadline);
  void stop(int64_t drain_milliseconds);

  const EventLoopOptions options;
  std::vector<Endpoint> endpoints;
  RequestQueue queue;
  RunTimes run_times;
  const int processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  Descriptor epoll;
  Descriptor stop_event;
  Descriptor work_event;
  Descriptor spare;  // given up to be able to accept, and close, when no descriptor is left
  std::vector<std::thread> workers;
  std::atomic<int> worker_count{0};   // more_workers included
  std::atomic<int> waiting_aside{0};  // requests that hold no place
  std::thread sweeper;
  std::atomic<bool> stopping{false};
  std::atomic<bool> draining{false};  // no more connections are taken
  std::atomic<int> idle{0};           // workers that wait for events

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::unordered_map<uint64_t, std::shared_ptr<Connection>> connections;
  uint64_t next_id = kFirstConnection;
  bool stopped = false;
  std::vector<std::thread> more_workers;  // one for each request that has ever stood aside at once

  Counter* refused = nullptr;   // where there are metrics
  std::shared_ptr<void> shown;  // the last: it looks at what stands above
};

Status EventLoop::Impl::start() {
  epoll = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  stop_event = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  work_event = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (epoll.get() < 0 || stop_event.get() < 0 || work_event.get() < 0) {
    return resource_exhausted("no file descriptor left for the server");
  }
  watch(stop_event.get(), EPOLL_CTL_ADD, EPOLLIN, kStop);
  watch(work_event.get(), EPOLL_CTL_ADD, EPOLLIN | EPOLLET, kWork);
  for (size_t i = 0; i < endpoints.size(); ++i) {
    watch(endpoints[i].socket.get(), EPOLL_CTL_ADD, EPOLLIN | EPOLLONESHOT, kFirstEndpoint + i);
  }
  if (options.metrics != nullptr) show_figures();
  for (int i = workers_of(options); i > 0; --i) {
    TENON_ASSIGN_OR_RETURN(workers.emplace_back(), start_thread([this] { work(); }));
    ++worker_count;
  }
  TENON_ASSIGN_OR_RETURN(sweeper, start_thread([this] { sweep(); }));
  return absl::OkStatus();
}

// Of the predictions, behind gate 0: how many run, wait for a place, or wait for other work.
void EventLoop::Impl::show_figures() {
  const std::string& name = options.entrypoint;
  auto& requests =
      options.metrics->gauge("/tensorflow/serving/requests_in_flight", {"entrypoint", "state"});
  Gauge& running = requests.cell({name, "running"});
  Gauge& queued = requests.cell({name, "queued"});
  Gauge& aside = requests.cell({name, "aside"});
  Gauge& open =
      options.metrics->gauge("/tensorflow/serving/open_connections", {"entrypoint"}).cell({name});
  refused = &options.metrics->counter("/tensorflow/serving/requests_refused", {"entrypoint"})
                 .cell({name});
  shown = options.metrics->before_reading([this, &running, &queued, &aside, &open] {
    const RequestQueue::Figures figures = queue.figures(0);
    running.set(figures.running);
    queued.set(figures.waiting);
    aside.set(waiting_aside);
    std::lock_guard lock(mutex);
    open.set(static_cast<int64_t>(connections.size()));
  });
}

void EventLoop::Impl::watch(int fd, int operation, uint32_t events, uint64_t id) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  ::epoll_ctl(epoll.get(), operation, fd, &event);
}

void EventLoop::Impl::work() {
  for (;;) {
    epoll_event event;
    idle.fetch_add(1);
    const int count = ::epoll_wait(epoll.get(), &event, 1, -1);
    idle.fetch_sub(1);
    if (count < 0 && errno != EINTR) return;
    if (count <= 0) continue;
    const uint64_t id = event.data.u64;
    if (id == kStop) return;
    if (id >= kFirstConnection) {
      drive(id);
    } else if (id != kWork) {
      accept_all(endpoints[id - kFirstEndpoint], id);
    }
    run_ready();
  }
}

void EventLoop::Impl::accept_all(const Endpoint& endpoint, uint64_t id) {
  const int listener = endpoint.socket.get();
  while (!draining) {
    Descriptor fd(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() >= 0) {
      add(endpoint, std::move(fd));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      std::lock_guard lock(mutex);
      spare.reset();
      const Descriptor refused(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
      const bool more = refused.get() >= 0;
      spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (more) continue;
    }
    if (errno != EINTR && errno != ECONNABORTED) break;
  }
  if (!draining) watch(listener, EPOLL_CTL_MOD, EPOLLIN | EPOLLONESHOT, id);
}

void EventLoop::Impl::add(const Endpoint& endpoint, Descriptor fd) {
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  std::unique_ptr<TlsLayer> tls = endpoint.tls ? endpoint.tls->accept() : nullptr;
  std::unique_ptr<Session> session = endpoint.session();
  if ((endpoint.tls && !tls) || !session) return;
  std::shared_ptr<Connection> connection;
  {
    std::lock_guard lock(mutex);
    if (connections.size() >= options.max_connections || stopped) return;
    const uint64_t id = next_id++;
    connection = std::make_shared<Connection>(id, std::move(fd), std::move(session), std::move(tls),
                                              epoll.get(), options.timeouts);
    connections.emplace(id, connection);
    if (connections.size() == 1) changed.notify_all();
  }
  connection->watch();
}

std::shared_ptr<Connection> EventLoop::Impl::find(uint64_t id) {
  std::lock_guard lock(mutex);
  const auto found = connections.find(id);
  return found == connections.end() ? nullptr : found->second;
}

void EventLoop::Impl::drive(uint64_t id) {
  const std::shared_ptr<Connection> connection = find(id);
  if (!connection) return;
  std::vector<RequestPtr> ready;
  const bool open = connection->drive(ready);
  settle(connection, open, ready);
}

// Queues the requests of `ready`; those for which there is no room are answered at once.
void EventLoop::Impl::settle(const std::shared_ptr<Connection>& connection, bool open,
                             std::vector<RequestPtr>& ready) {
  while (open && !ready.empty()) {
    std::vector<RequestPtr> more;
    for (RequestPtr& request : ready) {
      if (queue.add({connection, request})) continue;
      if (refused != nullptr) refused->add();
      open = connection->refuse(*request, resource_exhausted(options.overload), more) && open;
    }
    ready = std::move(more);
  }
  if (open) return;
  std::lock_guard lock(mutex);
  connections.erase(connection->id());
  changed.notify_all();
}

// Runs what is ready; answers that short requests of one connection get are sent together.
void EventLoop::Impl::run_ready() {
  QueuedRequest request, next;
  bool more = false;
  bool taken = queue.take(request, more);
  std::vector<RequestPtr> ready;
  int unsent = 0;
  while (taken) {
    share(request, more);
    run(*request.request);
    taken = queue.take(next, more);
    const bool flush = !taken || next.connection != request.connection || ++unsent >= kMostUnsent ||
                       !run_times.is_short(next.request->kind);
    if (flush) unsent = 0;
    ready.clear();
    const bool open = request.connection->answered(*request.request, flush, ready);
    settle(request.connection, open, ready);
    request = std::move(next);
    if (!taken) taken = queue.take(request, more);
  }
}

void EventLoop::Impl::run(ServerRequest& request) {
  const int64_t start = microseconds_now();
  bool aside = false;
  {
    const auto told = [&] { aside = step_aside(request.gate); };
    const WaitNotice notice(told);
    request.run();
  }
  run_times.observe(request.kind, microseconds_now() - start);
  if (aside) {
    --waiting_aside;
  } else {
    queue.done(request.gate);
  }
}

// A request is about to wait for other work: its place goes to the next one, and its worker is made
// up for. False: it has to keep both.
bool EventLoop::Impl::step_aside(int gate) {
  if (gate == ServerRequest::kNoGate) return false;
  const int now = ++waiting_aside;
  const auto keep_place = [&] {
    --waiting_aside;
    return false;
  };
  if (now > options.most_aside) return keep_place();
  {
    std::lock_guard lock(mutex);
    if (stopped) return keep_place();
    if (static_cast<int>(more_workers.size()) < now) {
      StatusOr<std::thread> worker = start_thread([this] { work(); });
      if (!worker.ok()) return keep_place();
      more_workers.push_back(*std::move(worker));
      ++worker_count;
    }
  }
  queue.done(gate);
  signal(work_event);
  return true;
}

// There is more to do: another worker is woken, unless it could only take this one's processor.
void EventLoop::Impl::share(const QueuedRequest& request, bool more) {
  const int waiting = idle.load();
  if (!more || waiting == 0) return;
  const int busy = worker_count - waiting;
  if (busy < processors || !run_times.is_short(request.request->kind)) signal(work_event);
}

// Cuts off clients that have stalled. Gives memory back when a crowd of them has left: glibc would
// keep it.
void EventLoop::Impl::sweep() {
  constexpr auto kPeriod = std::chrono::milliseconds(250);
  constexpr size_t kCrowd = 1000;
  size_t most = 0;  // connections, since memory was given back
  std::unique_lock lock(mutex);
  while (!stopped) {
    changed.wait(lock, [&] { return stopped || !connections.empty(); });
    const int64_t now = steady_milliseconds();
    std::vector<std::shared_ptr<Connection>> stalled;
    for (const auto& [id, connection] : connections) {
      if (connection->deadline() < now) stalled.push_back(connection);
    }
    lock.unlock();
    for (const auto& connection : stalled) connection->cut_off();
    stalled.clear();
    lock.lock();
    changed.wait_for(lock, kPeriod, [&] { return stopped; });
    most = std::max(most, connections.size());
    if (most < kCrowd || connections.size() > most / 4) continue;
    most = connections.size();
    lock.unlock();
    ::malloc_trim(0);
    lock.lock();
  }
}

void EventLoop::Impl::drain_all() {
  std::vector<std::shared_ptr<Connection>> all;
  {
    std::lock_guard lock(mutex);
    for (const auto& [id, connection] : connections) all.push_back(connection);
  }
  std::vector<RequestPtr> ready;
  for (const auto& connection : all) {
    ready.clear();
    const bool open = connection->drain(ready);
    const bool any = !ready.empty();
    settle(connection, open, ready);
    if (any) signal(work_event);
  }
}

bool EventLoop::Impl::wait_until_closed(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex);
  return changed.wait_until(lock, deadline, [&] { return connections.empty(); });
}

void EventLoop::Impl::stop(int64_t drain_milliseconds) {
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(drain_milliseconds);
  if (stopping.exchange(true)) return;
  // Who has connected already is served; who comes later is refused by the system.
  for (size_t i = 0; i < endpoints.size(); ++i) accept_all(endpoints[i], kFirstEndpoint + i);
  draining = true;
  for (Endpoint& endpoint : endpoints) ::shutdown(endpoint.socket.get(), SHUT_RDWR);
  // A client that is told to send no more has this long until what it has sent arrives.
  constexpr auto kNotice = std::chrono::milliseconds(100);
  drain_all();
  if (!wait_until_closed(std::min(deadline, std::chrono::steady_clock::now() + kNotice))) {
    drain_all();
    wait_until_closed(deadline);
  }
  std::vector<std::shared_ptr<Connection>> left;
  {
    std::lock_guard lock(mutex);
    for (const auto& [id, connection] : connections) left.push_back(connection);
    stopped = true;
  }
  for (const auto& connection : left) connection->cut_off();
  changed.notify_all();
  signal(stop_event);
  for (std::thread& worker : workers) worker.join();
  for (std::thread& worker : more_workers) worker.join();
  if (sweeper.joinable()) sweeper.join();
  left.clear();
  connections.clear();
  for (Endpoint& endpoint : endpoints) endpoint.socket.reset();
}

EventLoop::EventLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EventLoop::~EventLoop() { stop(0); }

void EventLoop::stop(int64_t drain_milliseconds) { impl_->stop(drain_milliseconds); }

StatusOr<std::unique_ptr<EventLoop>> EventLoop::start(const EventLoopOptions& options,
                                                      std::vector<Endpoint> endpoints) {
  std::unique_ptr<EventLoop> loop(
      new EventLoop(std::make_unique<Impl>(options, std::move(endpoints))));
  TENON_RETURN_IF_ERROR(loop->impl_->start());
  return loop;
}

}  // namespace tenon::serving
