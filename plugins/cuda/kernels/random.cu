// Philox 4x32-10 and TensorFlow's distributions, as tenon/kernels/philox.h has them: element i
// depends on key, counter and i alone.
#include <type_traits>

#include "plugins/cuda/kernels/elements.cuh"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kUint32 = 22, kUint64 = 23;
constexpr int kThreads = 256;
constexpr uint64_t kReservedBlocks = 256;  // of a group of four truncated normals

struct Block {
  uint32_t word[4];
};

// The block `skip` behind the counter.
__device__ Block philox(uint64_t key, uint64_t low, uint64_t high, uint64_t skip) {
  const uint64_t sum = low + skip;
  high += sum < low ? 1 : 0;
  Block b = {{static_cast<uint32_t>(sum), static_cast<uint32_t>(sum >> 32),
              static_cast<uint32_t>(high), static_cast<uint32_t>(high >> 32)}};
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * b.word[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * b.word[2];
    b = {{static_cast<uint32_t>(product1 >> 32) ^ b.word[1] ^ k0, static_cast<uint32_t>(product1),
          static_cast<uint32_t>(product0 >> 32) ^ b.word[3] ^ k1, static_cast<uint32_t>(product0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return b;
}

__device__ float unit_float(uint32_t word) {
  return __uint_as_float((word & 0x7fffffu) | (127u << 23)) - 1.0f;
}

__device__ void normal_pair(uint32_t x0, uint32_t x1, float* out) {
  const float u1 = fmaxf(unit_float(x0), 1.0e-7f);
  const auto angle = static_cast<float>(6.283185307179586 * static_cast<double>(unit_float(x1)));
  const float radius = sqrtf(-2.0f * logf(u1));
  out[0] = sinf(angle) * radius;
  out[1] = cosf(angle) * radius;
}

__global__ void float_groups(RandomKind kind, int64_t count, const uint64_t* key,
                             const uint64_t* counter, float* y) {
  const int64_t group = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (group * 4 >= count) return;
  float results[4];
  if (kind == RandomKind::kTruncatedNormal) {
    // Words are taken two by two until four results are within the bound.
    int made = 0;
    for (uint64_t block = 0; made < 4; ++block) {
      const Block b = philox(*key, counter[0], counter[1], group * kReservedBlocks + block);
      for (int i = 0; i < 4; i += 2) {
        float pair[2];
        normal_pair(b.word[i], b.word[i + 1], pair);
        for (float value : pair) {
          if (fabsf(value) < 2.0f && made < 4) results[made++] = value;
        }
      }
    }
  } else {
    const Block b = philox(*key, counter[0], counter[1], group);
    for (int i = 0; i < 4; i += 2) {
      if (kind == RandomKind::kUniform) {
        results[i] = unit_float(b.word[i]);
        results[i + 1] = unit_float(b.word[i + 1]);
      } else {
        normal_pair(b.word[i], b.word[i + 1], results + i);
      }
    }
  }
  for (int i = 0; i < 4 && group * 4 + i < count; ++i) y[group * 4 + i] = results[i];
}

// The lowest bits of a word that a half or bfloat16 has room for.
template <class T>
__global__ void narrow_groups(int64_t count, const uint64_t* key, const uint64_t* counter, T* y) {
  constexpr bool is_half = std::is_same<T, __half>::value;
  constexpr int kBits = is_half ? 10 : 7;
  constexpr uint32_t kOne = is_half ? 15u << 10 : 127u << 7;
  const int64_t group = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (group * 4 >= count) return;
  const Block b = philox(*key, counter[0], counter[1], group);
  for (int i = 0; i < 4 && group * 4 + i < count; ++i) {
    const auto bits = static_cast<uint16_t>((b.word[i] & ((1u << kBits) - 1)) | kOne);
    const T drawn = *reinterpret_cast<const T*>(&bits);
    y[group * 4 + i] = store<T, float>(load<float, T>(drawn) - 1.0f);
  }
}

template <class T>
__global__ void integer_groups(int64_t count, const uint64_t* key, const uint64_t* counter, T* y) {
  constexpr int kPer = sizeof(T) == 8 ? 2 : 4;
  const int64_t group = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (group * kPer >= count) return;
  const Block b = philox(*key, counter[0], counter[1], group);
  for (int i = 0; i < kPer && group * kPer + i < count; ++i) {
    if constexpr (sizeof(T) == 8) {
      y[group * kPer + i] = b.word[2 * i] | (uint64_t{b.word[2 * i + 1]} << 32);
    } else {
      y[group * kPer + i] = b.word[i];
    }
  }
}

template <class Seed>
__global__ void scramble(const Seed* seed, uint64_t* key, uint64_t* counter) {
  const Block mix = philox(0x3ec8f720ull | (0x02461e29ull << 32),
                           static_cast<uint64_t>(static_cast<int64_t>(seed[0])),
                           static_cast<uint64_t>(static_cast<int64_t>(seed[1])), 0);
  key[0] = mix.word[0] | (uint64_t{mix.word[1]} << 32);
  counter[0] = 0;
  counter[1] = mix.word[2] | (uint64_t{mix.word[3]} << 32);
}

}  // namespace

cudaError_t random_fill(cudaStream_t stream, RandomKind kind, int32_t dtype, int64_t count,
                        const uint64_t* key, const uint64_t* counter, void* y) {
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((count + 2 * kThreads - 1) / (2 * kThreads));
  if (dtype == kFloat && kind != RandomKind::kFullInt) {
    float_groups<<<blocks, kThreads, 0, stream>>>(kind, count, key, counter,
                                                  static_cast<float*>(y));
  } else if (dtype == kHalf && kind == RandomKind::kUniform) {
    narrow_groups<<<blocks, kThreads, 0, stream>>>(count, key, counter, static_cast<__half*>(y));
  } else if (dtype == kBfloat16 && kind == RandomKind::kUniform) {
    narrow_groups<<<blocks, kThreads, 0, stream>>>(count, key, counter,
                                                   static_cast<__nv_bfloat16*>(y));
  } else if (dtype == kInt32 || dtype == kUint32) {
    integer_groups<<<blocks, kThreads, 0, stream>>>(count, key, counter, static_cast<uint32_t*>(y));
  } else if (dtype == kInt64 || dtype == kUint64) {
    integer_groups<<<blocks, kThreads, 0, stream>>>(count, key, counter, static_cast<uint64_t*>(y));
  } else {
    return cudaErrorInvalidValue;
  }
  return cudaGetLastError();
}

cudaError_t key_counter(cudaStream_t stream, int32_t seed_dtype, const void* seed, uint64_t* key,
                        uint64_t* counter) {
  if (seed_dtype == kInt32) {
    scramble<<<1, 1, 0, stream>>>(static_cast<const int32_t*>(seed), key, counter);
  } else {
    scramble<<<1, 1, 0, stream>>>(static_cast<const int64_t*>(seed), key, counter);
  }
  return cudaGetLastError();
}

}  // namespace plugin::cuda
