#include "plugins/lazy/lazy_device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace plugin::lazy {
namespace {
constexpr size_t kMemory = size_t{2} << 30;
constexpr size_t kAlignment = 64;
constexpr int kPoison = 0xCD;
}  // namespace

Stream::Stream(Device* device) : device_(device), thread_([this] { run(); }) { device->add(this); }

Stream::~Stream() {
  synchronize();
  device_->remove(this);
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

uint64_t Stream::enqueue(Work work) {
  std::lock_guard lock(mutex_);
  if (graph_) {
    graph_->steps[this].push_back({std::move(work)});
    return enqueued_;
  }
  queue_.emplace_back(std::move(work), failure_);
  if (queue_.size() >= kGathered) {
    wanted_ = ++enqueued_;
    changed_.notify_all();
    return enqueued_;
  }
  return ++enqueued_;
}

uint64_t Stream::last_ticket() {
  std::lock_guard lock(mutex_);
  return enqueued_;
}

bool Stream::done(uint64_t ticket) {
  std::lock_guard lock(mutex_);
  return done_ >= ticket;
}

void Stream::wait_for(uint64_t ticket) {
  std::unique_lock lock(mutex_);
  wanted_ = std::max(wanted_, ticket);
  changed_.notify_all();
  changed_.wait(lock, [&] { return done_ >= ticket; });
}

Failure Stream::synchronize() {
  wait_for(last_ticket());
  std::lock_guard lock(mutex_);
  return *failure_;
}

void Stream::begin_run() {
  std::lock_guard lock(mutex_);
  failure_ = std::make_shared<Failure>();
}

std::shared_ptr<const Failure> Stream::failure_of_run() {
  std::lock_guard lock(mutex_);
  return failure_;
}

Failure Stream::failure(const Failure& of_run) {
  std::lock_guard lock(mutex_);
  return of_run;
}

void Stream::capture(std::shared_ptr<Graph> graph) {
  std::lock_guard lock(mutex_);
  if (graph) graph->streams.push_back(this);
  graph_ = std::move(graph);
}

void Stream::note_wait(const Stream* awaited, size_t until) {
  std::lock_guard lock(mutex_);
  graph_->steps[this].push_back({nullptr, awaited, until});
}

size_t Stream::noted() {
  std::lock_guard lock(mutex_);
  return graph_ ? graph_->steps[this].size() : 0;
}

std::shared_ptr<Graph> Stream::capturing() {
  std::lock_guard lock(mutex_);
  return graph_;
}

void Stream::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return ending_ || done_ < wanted_; });
    if (ending_) return;
    auto [work, failure_of_run] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    Failure failure = work();
    work = nullptr;
    lock.lock();
    if (failure_of_run->code == 0) *failure_of_run = std::move(failure);
    ++done_;
    changed_.notify_all();
  }
}

Device::Device() {
  const auto map = [](int protection) {
    void* place =
        mmap(nullptr, kMemory, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return place == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(place);
  };
  forbidden_ = map(PROT_NONE);
  memory_ = map(PROT_READ | PROT_WRITE);
}

Device::~Device() {
  munmap(reinterpret_cast<void*>(forbidden_), kMemory);
  munmap(reinterpret_cast<void*>(memory_), kMemory);
}

void* Device::reachable(const void* address) const {
  auto place = reinterpret_cast<uintptr_t>(address);
  if (place >= forbidden_ && place < forbidden_ + kMemory) place += memory_ - forbidden_;
  return reinterpret_cast<void*>(place);
}

// First fit, with a cache line that nobody owns between two blocks.
void* Device::allocate(size_t bytes) {
  std::lock_guard lock(mutex_);
  if (forbidden_ == 0 || memory_ == 0 || bytes > kMemory) return nullptr;
  collect();
  const size_t size = (bytes + kAlignment - 1) / kAlignment * kAlignment + kAlignment;
  uintptr_t place = forbidden_;
  for (const auto& [address, used] : used_) {
    if (address - place >= size) break;
    place = address + used;
  }
  if (forbidden_ + kMemory - place < size) return nullptr;
  used_[place] = size;
  std::memset(reachable(reinterpret_cast<void*>(place)), kPoison, size);
  return reinterpret_cast<void*>(place);
}

void Device::free(void* memory) {
  std::lock_guard lock(mutex_);
  Freed freed{reinterpret_cast<uintptr_t>(memory), {}};
  for (Stream* stream : streams_) freed.after.emplace_back(stream, stream->last_ticket());
  freed_.push_back(std::move(freed));
  collect();
}

// Takes back, poisoned, what no stream can still use.
void Device::collect() {
  std::erase_if(freed_, [&](const Freed& freed) {
    for (const auto& [stream, ticket] : freed.after) {
      if (!stream->done(ticket)) return false;
    }
    const auto block = used_.find(freed.address);
    std::memset(reachable(reinterpret_cast<void*>(freed.address)), kPoison, block->second);
    used_.erase(block);
    return true;
  });
}

size_t Device::total_bytes() const { return kMemory; }

size_t Device::used_bytes() {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [address, size] : used_) bytes += size;
  return bytes;
}

void Device::add(Stream* stream) {
  std::lock_guard lock(mutex_);
  streams_.push_back(stream);
}

void Device::remove(Stream* stream) {
  std::lock_guard lock(mutex_);
  std::erase(streams_, stream);
  for (Freed& freed : freed_) {
    std::erase_if(freed.after, [&](const auto& work) { return work.first == stream; });
  }
}

}  // namespace plugin::lazy
