// Hashes of strings whose values models depend on.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon {

// FarmHash's Fingerprint64 (github.com/google/farmhash, farmhashna::Hash64).
uint64_t farm_fingerprint(std::string_view text);

// SipHash-2-4 under a 128-bit key (J.-P. Aumasson, D. J. Bernstein, 2012).
uint64_t sip_hash(uint64_t key0, uint64_t key1, std::string_view text);

// MurmurHash64A under `seed`, the default one of TensorFlow's Hash64 if not given.
uint64_t murmur_hash(std::string_view text, uint64_t seed = 0xDECAFCAFFE);

// How two fingerprints make one: TensorFlow's FingerprintCat64.
uint64_t combine_fingerprints(uint64_t first, uint64_t second);

}  // namespace tenon
