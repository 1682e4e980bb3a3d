// Devices that sum values in each other's memory, on their streams' threads.
#pragma once

#include "plugins/base/node_reading.h"
#include "plugins/lazy/lazy_device.h"

namespace plugin::lazy {

// Thread-safe. Shared by its members and by the work that they have enqueued.
class Group {
 public:
  explicit Group(std::vector<const Device*> devices)
      : devices_(std::move(devices)), parts_(devices_.size()) {}

  // The next reduction of member `rank`: waits for all others, whose last one adds up in the order
  // of the members. ABORTED after abort().
  Failure reduce(size_t rank, const std::vector<TenonReduced>& values);
  void abort();
  const Device* device(size_t rank) const { return devices_[rank]; }

 private:
  Failure add_up() const;

  const std::vector<const Device*> devices_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t round_ = 0;  // how many reductions are done
  size_t arrived_ = 0;  // of the one under way
  std::vector<const std::vector<TenonReduced>*> parts_;
  Failure over_;  // why there will be no more
};

// For TenonBackend.
TenonStatus* create_group(void* const* devices, int32_t count, void** members);
TenonStatus* all_reduce(void* member, void* stream, const TenonReduced* values, size_t count);
void abort_group(void* member);
void destroy_member(void* member);

}  // namespace plugin::lazy
