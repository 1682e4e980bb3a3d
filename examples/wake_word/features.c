#include "features.h"

#include <math.h>

static const double kPi = 3.14159265358979323846;

static double mel(double hertz) { return 2595 * log10(1 + hertz / 700); }

void features_init(Features* features) {
  for (int i = 0; i < kWindow; ++i) {
    features->hann[i] = (float)(0.5 - 0.5 * cos(2 * kPi * i / kWindow));
  }
  for (int i = 0; i < kPoints / 2; ++i) {
    features->cosine[i] = (float)cos(2 * kPi * i / kPoints);
    features->sine[i] = (float)-sin(2 * kPi * i / kPoints);
  }
  const double lowest = mel(60), width = (mel(7600) - lowest) / (kBands + 1);
  for (int band = 0; band < kBands; ++band) {
    const double middle = lowest + (band + 1) * width;
    for (int i = 0; i <= kPoints / 2; ++i) {
      const double off = fabs(mel((double)i * kRate / kPoints) - middle) / width;
      features->weights[band][i] = off < 1 ? (float)(1 - off) : 0;
    }
  }
}

/* The Fourier transform in place: radix 2, after the bits of the indices were reversed. */
static void transform(const Features* features, float* real, float* imaginary) {
  for (int i = 1, j = 0; i < kPoints; ++i) {
    int bit = kPoints / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) { /* of real input */
      const float kept = real[i];
      real[i] = real[j];
      real[j] = kept;
    }
  }
  for (int size = 2; size <= kPoints; size *= 2) {
    const int half = size / 2, step = kPoints / size;
    for (int begin = 0; begin < kPoints; begin += size) {
      for (int i = 0; i < half; ++i) {
        const int a = begin + i, b = a + half;
        const float c = features->cosine[i * step], s = features->sine[i * step];
        const float x = real[b] * c - imaginary[b] * s, y = real[b] * s + imaginary[b] * c;
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
    }
  }
}

void features_of(const Features* features, const float samples[kWindow], float bands[kBands]) {
  float real[kPoints] = {0}, imaginary[kPoints] = {0};
  for (int i = 0; i < kWindow; ++i) real[i] = samples[i] * features->hann[i];
  transform(features, real, imaginary);
  float power[kPoints / 2 + 1];
  for (int i = 0; i <= kPoints / 2; ++i) {
    power[i] = (real[i] * real[i] + imaginary[i] * imaginary[i]) / kPoints;
  }
  for (int band = 0; band < kBands; ++band) {
    float sum = 0;
    for (int i = 0; i <= kPoints / 2; ++i) sum += features->weights[band][i] * power[i];
    bands[band] = logf(sum + 1e-6f);
  }
}
