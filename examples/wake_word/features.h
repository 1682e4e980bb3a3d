// What the network hears: 40 logarithmic mel bands of 30 ms, every 20 ms; features.py computes the
// same.
#pragma once

enum { kRate = 16000, kWindow = 480, kHop = 320, kPoints = 512, kBands = 40 };

typedef struct Features {
  float hann[kWindow];
  float cosine[kPoints / 2], sine[kPoints / 2]; /* of -2 pi i / kPoints */
  float weights[kBands][kPoints / 2 + 1];
} Features;

void features_init(Features* features);

/* The bands of a window of samples in -1 to 1. */
void features_of(const Features* features, const float samples[kWindow], float bands[kBands]);
