// RandomIndexShuffle: where a pseudorandom permutation of 0 to max_index takes an index.
// tensorflow/core/kernels/random_index_shuffle.cc: the block cipher Simon (R. Beaulieu et al.,
// 2013) over the least even number of bits, 16 at least, encrypts until the result is inside.
#include <bit>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

constexpr int64_t kMostRounds = 1 << 10;

// Simon with blocks of 2 `width` bits.
class Simon {
 public:
  Simon(int width, const std::array<uint32_t, 3>& key, int64_t rounds)
      : width_(width), mask_((uint64_t{1} << width) - 1) {
    constexpr uint64_t kConstant = 0xfffffffc, kSequence = 0x7369f885192c0ef5;
    for (uint32_t word : key) keys_.push_back(word & mask_);
    uint64_t sequence = kSequence & mask_;
    for (size_t i = 3; i < static_cast<size_t>(rounds); ++i, sequence >>= 1) {
      const uint64_t last = keys_[i - 1];
      keys_.push_back((kConstant & mask_) ^ (sequence & 1) ^ keys_[i - 3] ^
                      rotated(last, width_ - 3) ^ rotated(last, width_ - 4));
    }
  }

  uint64_t encrypt(uint64_t value) const {
    uint64_t left = value >> width_ & mask_, right = value & mask_;
    for (size_t i = 0; i + 1 < keys_.size(); i += 2) {
      left ^= mixed(right) ^ keys_[i];
      right ^= mixed(left) ^ keys_[i + 1];
    }
    return left << width_ | right;
  }

 private:
  uint64_t rotated(uint64_t x, int bits) const {
    return (x << bits | x >> (width_ - bits)) & mask_;
  }
  uint64_t mixed(uint64_t x) const { return (rotated(x, 1) & rotated(x, 8)) ^ rotated(x, 2); }

  int width_;
  uint64_t mask_;
  std::vector<uint64_t> keys_;  // one a round
};

uint64_t shuffled(uint64_t index, const std::array<uint32_t, 3>& key, uint64_t most,
                  int64_t rounds) {
  constexpr int kLeastBits = 16;
  int bits = most > 0 ? static_cast<int>(std::ceil(std::log2(static_cast<double>(most)))) : 0;
  bits = std::max(bits + bits % 2, kLeastBits);
  const Simon cipher(bits / 2, key, rounds);
  do {
    index = cipher.encrypt(index);
  } while (index > most);
  return index;
}

// A scalar of all results where each argument is one, else as many as the vectors are long.
Status index_shuffle_shape(ShapeContext& c) {
  if (const int64_t rounds = c.attr<int64_t>("rounds");
      rounds < 4 || rounds % 2 != 0 || rounds > kMostRounds) {
    return invalid_argument("rounds must be even, at least 4 and at most ", kMostRounds, ", not ",
                            rounds);
  }
  int64_t length = 1;
  bool known = true, scalar = true;
  for (int i = 0; i < 3; ++i) {
    const PartialShape& shape = c.input(i);
    const int own = i == 1 ? 1 : 0;  // the rank of one argument
    if (!shape.has_rank()) {
      known = false;
      continue;
    }
    const char* const names[] = {"Index", "Seed", "Max index"};
    if (shape.rank() != own && shape.rank() != own + 1) {
      return invalid_argument(names[i], " must have rank ", own, " or ", own + 1, ", not ", shape);
    }
    if (i == 1 && shape[shape.rank() - 1] >= 0 && shape[shape.rank() - 1] != 3) {
      return invalid_argument("Seed must have shape [3] or [n, 3] but got ", shape);
    }
    if (shape.rank() == own) continue;
    scalar = false;
    if (shape[0] < 0) {
      known = false;
    } else if (length == 1) {
      length = shape[0];
    } else if (shape[0] != 1 && shape[0] != length) {
      return invalid_argument("Index, seed and maxval must have the same length, or one of them: ",
                              shape[0], " and ", length);
    }
  }
  if (!known) return unknown_shape(c);
  c.set_output(0, scalar ? PartialShape(Shape()) : PartialShape{length});
  return absl::OkStatus();
}

template <class T>
Status shuffle_indices(KernelRun& r, int64_t rounds) {
  const Tensor &index = r.input(0), &seed = r.input(1), &most = r.input(2);
  for (int64_t i = 0; i < r.output(0).num_elements(); ++i) {
    const T at = index.data<T>()[index.num_elements() == 1 ? 0 : i];
    const T end = most.data<T>()[most.num_elements() == 1 ? 0 : i];
    if (std::is_signed_v<T> && at < T(0))
      return invalid_argument("index must be >= 0 but was ", at);
    if (std::is_signed_v<T> && end < T(0)) {
      return invalid_argument("max_index must be >= 0 but was ", end);
    }
    if (end < at) return invalid_argument("max_index must be >= index, but ", end, " < ", at);
    std::array<uint32_t, 3> key;
    for (int64_t k = 0; k < 3; ++k) {
      key[static_cast<size_t>(k)] =
          static_cast<uint32_t>(integer_at(seed, (seed.num_elements() == 3 ? 0 : 3 * i) + k));
    }
    r.out<T>(0)[i] = static_cast<T>(
        shuffled(static_cast<uint64_t>(at), key, static_cast<uint64_t>(end), rounds));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_index_shuffle(Prepare& p) {
  Kernel kernel;
  visit<TypeList<int32_t, uint32_t, int64_t, uint64_t>>(p.output_dtype(0), [&]<class T>() {
    kernel = [rounds = p.attr<int64_t>("rounds")](KernelRun& r) {
      return shuffle_indices<T>(r, rounds);
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(RandomIndexShuffle) = {
    .inputs = "index: dtype, seed: Tseed, max_index: dtype",
    .outputs = "output: dtype",
    .attrs =
        "rounds: int = 4; dtype: {int32, uint32, int64, uint64}; "
        "Tseed: {int32, uint32, int64, uint64}",
    .shape = index_shuffle_shape,
    .gradient = not_differentiable,
    .kernels = {make_index_shuffle},
};

}  // namespace tenon
