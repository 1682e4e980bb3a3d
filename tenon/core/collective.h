// Communicator: one replica's place in a group of replicas that combine values while each runs a
// step of its own. What the ops _AllReduceStart and _AllReduceDone use (ops/control/all_reduce.cc);
// tenon/dist makes them.
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
  std::string_view type_name() const override { return "PendingReduction"; }

  // Waits until all replicas have handed in theirs and the results are there: one tensor for each
  // value, with equal bits for all replicas. They are read only, and hold what they hold as long as
  // somebody holds them. ABORTED when another replica has failed; CANCELLED or DEADLINE_EXCEEDED
  // when this one's run is to end.
  virtual StatusOr<std::span<const Tensor>> wait() = 0;
};

// Thread-safe.
class Communicator : public Object {
 public:
  std::string_view type_name() const override { return "Communicator"; }
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

}  // namespace tenon
