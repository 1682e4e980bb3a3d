// Reads the samples of a WAV file one after the other: PCM of 8 or 16 bits, mono or stereo, from a
// file or a pipe.
#pragma once

#include <stdint.h>
#include <stdio.h>

typedef struct Wav {
  FILE* file;
  int rate, channels, bits;
  uint32_t left;  /* bytes of the samples that are still to come */
  int endless;    /* the header does not say how many: until the file ends */
  char error[96]; /* what is wrong with the file; empty: nothing */
} Wav;

/* Reads the header. 0 when something is wrong. */
int wav_open(Wav* wav, FILE* file);

/* The next samples, in -1 to 1, stereo as the mean: fewer than `count` at the end, or where `error`
 * is set. */
int wav_read(Wav* wav, float* samples, int count);
