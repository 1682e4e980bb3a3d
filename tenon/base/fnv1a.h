// FNV-1a in 64 bits: a hash that is the same in every process and every build, which std::hash is
// not. Not for bytes that somebody may choose (Fowler, Noll and Vo).
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon {

inline constexpr uint64_t kFnv1aStart = 0xcbf29ce484222325;

// Of `bytes` behind those whose hash is `hash`.
constexpr uint64_t fnv1a(std::string_view bytes, uint64_t hash = kFnv1aStart) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace tenon
