// A replica's place in a group of replicas that combine values while each runs a step of its own
// (ops/control/all_reduce.cc): Communicator, by the host, for _AllReduceStart and _AllReduceDone,
// made by tenon/dist; DeviceCommunicator, by the devices themselves, for _DeviceAllReduceStart and
// _DeviceAllReduceDone, made by runtime/plugin.
#pragma once

#include <span>
#include <vector>

#include "tenon/core/tensor.h"

namespace tenon {

enum class Reduction : uint8_t { kSum, kMean };

// A reduction that this replica has handed its values to. Letting it go before wait() has returned
// takes the values back: the group has then failed.
class PendingReduction : public Object {
 public:
  static constexpr std::string_view kTypeName = "PendingReduction";
  std::string_view type_name() const override { return kTypeName; }

  // Waits until all replicas have handed in theirs and the results are there: one tensor for each
  // value, with equal bits for all replicas. They are read only, and hold what they hold as long as
  // somebody holds them. ABORTED when another replica has failed; CANCELLED or DEADLINE_EXCEEDED
  // when this one's run is to end.
  virtual StatusOr<std::span<const Tensor>> wait() = 0;
};

// Thread-safe.
class Communicator : public Object {
 public:
  static constexpr std::string_view kTypeName = "Communicator";
  std::string_view type_name() const override { return kTypeName; }
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Hands in this replica's part of the reduction `instance`, which every replica of the group does
  // once a step with values of the same dtypes and shapes. Where `present` is false the values do
  // not count: a mean is that of the others. Waits for nobody. The values must keep their bytes
  // until PendingReduction::wait() has returned. INVALID_ARGUMENT where the parts do not fit
  // together; ABORTED when another replica has failed.
  virtual StatusOr<Ref<PendingReduction>> start(std::string_view instance, Reduction reduction,
                                                bool present, std::vector<Tensor> values) = 0;
};

class Device;
class Stream;

// Of one device among devices of one backend. Every member enqueues the same reductions in the same
// order, once a step. start() and finish() are for one run at a time, abort() is thread-safe.
class DeviceCommunicator : public Object {
 public:
  static constexpr std::string_view kTypeName = "DeviceCommunicator";
  std::string_view type_name() const override { return kTypeName; }
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual Device* device() const = 0;

  // Enqueues the reduction `instance`, which waits for what is enqueued on `stream` so far, a
  // stream of device(), and goes on beside what is enqueued there later: `values` become the sums
  // of all members'. They are in the device's memory, which must be theirs until finish(). ABORTED
  // after abort().
  virtual Status start(Stream& stream, std::string_view instance,
                       std::span<Tensor* const> values) = 0;
  // What is enqueued on `stream` later waits for the reduction.
  virtual Status finish(Stream& stream, std::string_view instance) = 0;

  // Releases all members from waiting for one that has failed; runs that were within a reduction
  // have no usable values. The group is of no use after that.
  virtual void abort() = 0;
};

}  // namespace tenon
