// Counts the heap allocations of this program: operator new, malloc and its kin are replaced.
#pragma once

#include <cstdint>
#include <string>

namespace tenon::allocations {

// From here on, by all threads.
void start_counting();
// How many were asked for since.
int64_t stop_counting();

// Where the first of them was asked for: addresses and symbols, a line each.
std::string first_stack();

}  // namespace tenon::allocations
