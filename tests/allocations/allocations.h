// Counts the heap allocations of this program: operator new, malloc and its kin are replaced.
#pragma once

#include <cstdint>
#include <string>

namespace tenon::allocations {

struct Counts {
  int64_t ours = 0;    // asked for by this program or the C++ library for it
  int64_t onednn = 0;  // asked for by libdnnl
};

// From here on, by all threads.
void start_counting();
Counts stop_counting();

// Where the first of `ours` was asked for: addresses and symbols, a line each.
std::string first_stack();

}  // namespace tenon::allocations
