// What a Binding on a device with memory of its own is looked through for, when its steps stand:
// reads of variables that need no snapshot, and stretches of steps that may be captured.
#pragma once

#include "tenon/runtime/binding.h"

namespace tenon {

// Where the device captures work, copies of arguments to it come first, so that they do not part
// what can be captured.
void place_arguments_first(Binding& binding);

// Sets Step::reads_in_place. Runs that change variables hold each other back, so within one of them
// a value needs no snapshot when all that uses it comes before the step that changes it.
void find_reads_in_place(Binding& binding);

// Fills Binding::segments. The memory of slots is placed.
void find_segments(Binding& binding);

}  // namespace tenon
