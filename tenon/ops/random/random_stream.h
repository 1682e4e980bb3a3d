// The generators of stateful random ops.
//
// A node's stream of numbers is a resource, of the model or of the function (Prepare::streams()):
// an Executable stays immutable, and two models of equal seeds draw equal numbers. The stream
// starts from the attributes seed and seed2; where both are 0 it starts from the run's seed and the
// node's name.
#pragma once

#include <mutex>
#include <optional>

#include "tenon/core/kernel.h"
#include "tenon/kernels/philox.h"

namespace tenon {

// Thread-safe.
class RandomStream final : public Object {
 public:
  RandomStream(uint64_t seed, uint64_t seed2, uint64_t name_hash)
      : seed_(seed), seed2_(seed2), name_hash_(name_hash) {}
  static constexpr std::string_view kTypeName = "RandomStream";
  std::string_view type_name() const override { return kTypeName; }

  // The generator as it stands; the next call gets it `blocks` further on.
  kernels::Philox reserve(uint64_t blocks, uint64_t run_seed) {
    std::lock_guard lock(mutex_);
    if (!generator_) {
      generator_ = seed_ == 0 && seed2_ == 0 ? kernels::Philox::from_seeds(run_seed, name_hash_)
                                             : kernels::Philox::from_seeds(seed_, seed2_);
    }
    const kernels::Philox now = *generator_;
    generator_->skip(blocks);
    return now;
  }

 private:
  std::mutex mutex_;
  const uint64_t seed_, seed2_, name_hash_;
  std::optional<kernels::Philox> generator_;
};

// The stream of the node: made at the first call, then the same one.
StatusOr<Ref<RandomStream>> stream_of(Prepare& p);

}  // namespace tenon
