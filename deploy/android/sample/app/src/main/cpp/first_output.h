// What the sample shows: the first output of a model, from C.
#pragma once

#include <stddef.h>

/* Runs a `.tflite` on zeros. `text` is then its first output's name, shape and first values, or one
 * sentence about what was wrong; at most `size` bytes with the 0 at the end. */
void first_output(const void* model, size_t model_size, char* text, size_t size);
