// Where the values of a Binding lie.
#pragma once

#include "tenon/runtime/binding.h"

namespace tenon {

// With all steps in their order: finds how long each value lives, lets outputs be written over
// inputs that die, gives the memory of results to the caller, and the rest offsets in the arenas.
void place_memory(Binding& binding);

}  // namespace tenon
