// A device that is nothing but late: memory that the host may not touch, streams with threads of
// their own that do no work before somebody waits for it or much has gathered. What the engine
// forgets to wait for shows as a wrong result or a fault. It captures work, and refuses what a real
// device could not capture.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace plugin::lazy {

// How work failed, with TensorFlow's canonical code; code 0: it did not.
struct Failure {
  int32_t code = 0;
  std::string message;
};

class Device;
class Stream;

using Work = std::function<Failure()>;

// Work that was noted instead of done, of one stream or of several that wait for each other. It is
// done in the order of the first one; that of others as late as the waiting allows.
struct Graph {
  struct Step {
    Work work;
    const Stream* awaited = nullptr;  // in place of work: this stream's steps up to `until` come
    size_t until = 0;                 // first
  };
  // The first failure.
  Failure run() const;
  // Are there steps that nothing waits for?
  bool leaves_work() const;

  Stream* first = nullptr;
  std::map<const Stream*, std::vector<Step>> steps;
  std::vector<Stream*> streams;  // that note here, until the capture ends
  Failure refused;               // why it cannot be captured

 private:
  using Positions = std::map<const Stream*, size_t>;
  void run_until(const Stream* stream, size_t until, bool works, Positions& positions,
                 Failure& failure) const;
};

// Thread-safe. Others keep it alive while they wait for its work.
class Stream {
 public:
  explicit Stream(Device* device);
  ~Stream();  // lets all work be done

  // Returns the ticket of the work: it is done when done(ticket). While it captures: notes it.
  uint64_t enqueue(Work work);
  uint64_t last_ticket();
  // Lets the work up to `ticket` be done and waits for it.
  void wait_for(uint64_t ticket);
  bool done(uint64_t ticket);
  // Waits for all and returns the first failure of the run.
  Failure synchronize();

  // Failures of work that is enqueued from here on are another run's.
  void begin_run();
  std::shared_ptr<const Failure> failure_of_run();  // read by failure()
  Failure failure(const Failure& of_run);

  void capture(std::shared_ptr<Graph> graph);           // null: no longer
  void note_wait(const Stream* awaited, size_t until);  // while it captures
  size_t noted();
  std::shared_ptr<Graph> capturing();
  Device* device() const { return device_; }

 private:
  static constexpr uint64_t kGathered = 16;
  void run();

  Device* const device_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<Work, std::shared_ptr<Failure>>> queue_;
  uint64_t enqueued_ = 0, done_ = 0;
  uint64_t wanted_ = 0;  // somebody waits for this ticket
  bool ending_ = false;
  std::shared_ptr<Failure> failure_ = std::make_shared<Failure>();  // of the run
  std::shared_ptr<Graph> graph_;
  std::thread thread_;
};

// Work of `stream` up to `ticket`, or so many steps that `graph` has noted of it.
struct Event {
  std::shared_ptr<Stream> stream;
  uint64_t ticket = 0;
  std::shared_ptr<const Failure> failure;
  std::shared_ptr<Graph> graph;
};

// Thread-safe.
class Device {
 public:
  Device();
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Addresses that only streams may use, through reachable(); null when there is no room.
  void* allocate(size_t bytes);
  // The memory is given out again when all work that was enqueued anywhere before is done.
  void free(void* memory);

  // Where a stream's thread finds what is at `address`; host addresses stay what they are.
  void* reachable(const void* address) const;

  size_t total_bytes() const;
  size_t used_bytes();

  void add(Stream* stream);
  void remove(Stream* stream);

 private:
  struct Freed {
    uintptr_t address;
    std::vector<std::pair<Stream*, uint64_t>> after;
  };
  void collect();

  uintptr_t forbidden_ = 0;  // addresses that are given out
  uintptr_t memory_ = 0;     // what is behind them
  std::mutex mutex_;
  std::map<uintptr_t, size_t> used_;  // address -> bytes
  std::vector<Freed> freed_;
  std::vector<Stream*> streams_;
};

}  // namespace plugin::lazy
