// What the kernels share: elements as they are stored and as they are computed with, several of
// them at once, and which type a dtype names.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <type_traits>

namespace plugin::cuda {

// tensorflow.DataType's.
constexpr int kFloat = 1, kDouble = 2, kInt32 = 3, kInt64 = 9, kBool = 10, kBfloat16 = 14;
constexpr int kHalf = 19;

// What elements are added up as.
template <class T>
struct SumOf {
  using Type = T;
};
template <>
struct SumOf<__half> {
  using Type = float;
};
template <>
struct SumOf<__nv_bfloat16> {
  using Type = float;
};

template <class S, class T>
__device__ S load(T x) {
  return static_cast<S>(x);
}
template <>
inline __device__ float load<float, __half>(__half x) {
  return __half2float(x);
}
template <>
inline __device__ float load<float, __nv_bfloat16>(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
template <class T, class S>
__device__ T store(S x) {
  return static_cast<T>(x);
}
template <>
inline __device__ __half store<__half, float>(float x) {
  return __float2half_rn(x);
}
template <>
inline __device__ __nv_bfloat16 store<__nv_bfloat16, float>(float x) {
  return __float2bfloat16_rn(x);
}

// V neighbouring elements, read and written at once.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T at[V];
};
// As many elements as 16 bytes hold.
template <class T>
constexpr int kPackOf16 = 16 / sizeof(T);

template <class T, int V>
__device__ void load_pack(const T* from, float (&values)[V]) {
  const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) values[v] = load<float, T>(pack.at[v]);
}
template <class T, int V>
__device__ void store_pack(const float (&values)[V], T* to) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.at[v] = store<T, float>(values[v]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

template <class T>
constexpr int32_t dtype_of() {
  return sizeof(T) == 4 ? kFloat : std::is_same<T, __half>::value ? kHalf : kBfloat16;
}
// Calls body(T()) for the type that a dtype of float, half or bfloat16 names.
template <class Body>
cudaError_t visit_floats(int32_t dtype, const Body& body) {
  switch (dtype) {
    case kFloat:
      return body(float());
    case kHalf:
      return body(__half());
    case kBfloat16:
      return body(__nv_bfloat16());
    default:
      return cudaErrorInvalidValue;
  }
}
// The same for one of these, double, int32 or int64.
template <class Body>
cudaError_t visit_numbers(int32_t dtype, const Body& body) {
  switch (dtype) {
    case kDouble:
      return body(double());
    case kInt32:
      return body(int32_t());
    case kInt64:
      return body(int64_t());
    default:
      return visit_floats(dtype, body);
  }
}

// A matrix [rows, columns] cut into blocks of kBlockThreads threads: `across` of them stand beside
// each other along the columns, V columns each, the others take the rows of a part in turns.
constexpr int kBlockThreads = 256;
struct Blocks {
  int across = 1;
  int64_t stripes = 1, parts = 1;
  int64_t length = 1;  // rows of a part

  dim3 threads() const {
    return {static_cast<unsigned>(across), static_cast<unsigned>(kBlockThreads / across)};
  }
  unsigned grid() const { return static_cast<unsigned>(stripes * parts); }
};

// In `wanted` blocks where there are rows enough, with at least `least` rows a thread.
inline Blocks blocks_of(int64_t rows, int64_t packs, int64_t wanted, int64_t least) {
  Blocks b;
  while (b.across < 32 && b.across < packs) b.across *= 2;
  b.stripes = (packs + b.across - 1) / b.across;
  const int64_t part = least * (kBlockThreads / b.across);
  const int64_t most = (rows + part - 1) / part;
  const int64_t parts = (wanted + b.stripes - 1) / b.stripes;
  b.parts = parts < most ? parts : most;
  b.length = (rows + b.parts - 1) / b.parts;
  b.parts = (rows + b.length - 1) / b.length;
  return b;
}

}  // namespace plugin::cuda
