// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and the
// distributions that TensorFlow draws from it, sample for sample.
//
// Counter-based: element i of a result depends on key, counter and i alone, so the work splits over
// the team and the bits stay.
#pragma once

#include <array>
#include <cstdint>

namespace tenon::kernels {

class Philox {
 public:
  using Key = std::array<uint32_t, 2>;
  using Block = std::array<uint32_t, 4>;

  Philox(Key key, Block counter) : key_(key), counter_(counter) {}

  // TensorFlow's stateful ops: attributes `seed` and `seed2`, not both 0.
  static Philox from_seeds(uint64_t seed, uint64_t seed2);
  // TensorFlow's stateless V1 ops (and StatelessRandomGetKeyCounter): a shape-[2] seed, scrambled.
  static Philox from_stateless_seed(uint64_t seed0, uint64_t seed1);
  // TensorFlow's stateless V2 ops: key [1], counter [2].
  static Philox from_key_counter(uint64_t key, uint64_t counter0, uint64_t counter1);

  uint64_t key() const { return key_[0] | (uint64_t{key_[1]} << 32); }
  std::array<uint64_t, 2> counter() const {
    return {counter_[0] | (uint64_t{counter_[1]} << 32),
            counter_[2] | (uint64_t{counter_[3]} << 32)};
  }

  Block next();                             // the block at the counter, which then advances
  void next(int64_t count, Block* blocks);  // `count` times next()
  void skip(uint64_t blocks);               // 128-bit addition
  void skip(uint64_t low, uint64_t high);

 private:
  Key key_;
  Block counter_;
};

// Blocks that a stateful generator must reserve for `count` results: 256 for each, whatever the
// distribution (ReserveRandomOutputs of tensorflow/core/util/guarded_philox_random.h).
uint64_t reserved_blocks(uint64_t count);

// Each fills `y` from the generator as it stands; the generator itself is not advanced.
// T: float, double, float16, bfloat16.
template <class T>
void fill_uniform(Philox generator, int64_t count, T* y);  // [0, 1)
template <class T>
void fill_normal(Philox generator, int64_t count, T* y);  // mean 0, deviation 1
template <class T>
void fill_truncated_normal(Philox generator, int64_t count, T* y);  // within 2 deviations
// T: int32_t, int64_t, uint32_t, uint64_t; [low, high) with low < high, by remainder.
template <class T>
void fill_uniform_int(Philox generator, int64_t count, T low, T high, T* y);
// Every bit random.
template <class T>
void fill_uniform_full_int(Philox generator, int64_t count, T* y);

}  // namespace tenon::kernels
