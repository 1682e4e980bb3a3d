// StringToHashBucketFast, StringToHashBucketStrong, StringToHashBucket: a hash modulo a number.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/fingerprint.h"

namespace tenon {
namespace {

template <class Hash>
Kernel hash_bucket_kernel(const Prepare& p, Hash hash) {
  const auto buckets = static_cast<uint64_t>(p.attr<int64_t>("num_buckets"));
  return [buckets, hash](KernelRun& r) {
    const auto texts = r.input(0).span<std::string_view>();
    std::transform(texts.begin(), texts.end(), r.out<int64_t>(0), [&](std::string_view text) {
      return static_cast<int64_t>(hash(text) % buckets);
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_hash_bucket_fast(Prepare& p) {
  return hash_bucket_kernel(p, farm_fingerprint);
}

StatusOr<Kernel> make_hash_bucket(Prepare& p) {
  return hash_bucket_kernel(p, [](std::string_view text) { return murmur_hash(text); });
}

StatusOr<Kernel> make_hash_bucket_strong(Prepare& p) {
  const auto& key = p.attr<std::vector<int64_t>>("key");
  if (key.size() != 2) {
    return invalid_argument("Key must have 2 elements, it has ", key.size());
  }
  return hash_bucket_kernel(
      p, [key0 = static_cast<uint64_t>(key[0]), key1 = static_cast<uint64_t>(key[1])](
             std::string_view text) { return sip_hash(key0, key1, text); });
}

constexpr OpDecl hash_bucket(ArgsText inputs, AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: int64",
      .attrs = attrs,
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(StringToHashBucketFast) = hash_bucket("input: string", "num_buckets: int >= 1",
                                               make_hash_bucket_fast);
TENON_OP(StringToHashBucketStrong) = hash_bucket("input: string",
                                                 "num_buckets: int >= 1; key: list(int)",
                                                 make_hash_bucket_strong);
TENON_OP(StringToHashBucket) = hash_bucket("string_tensor: string", "num_buckets: int >= 1",
                                           make_hash_bucket);

}  // namespace tenon
