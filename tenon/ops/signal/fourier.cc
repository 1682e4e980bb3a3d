#include "tenon/ops/signal/fourier.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

namespace tenon {
namespace {

// Above it a factor's own transform, of factor^2 steps, is slower than the convolution.
constexpr int64_t kLargestFactor = 31;

// exp(-pi i numerator / denominator), rounded once; quarter turns are exact.
Fourier::Complex root(int64_t numerator, int64_t denominator) {
  const int64_t turned = numerator % (2 * denominator);
  if (2 * turned % denominator == 0) {
    constexpr Fourier::Complex kQuarters[] = {{1, 0}, {0, -1}, {-1, 0}, {0, 1}};
    return kQuarters[2 * turned / denominator];
  }
  const long double angle = -std::numbers::pi_v<long double> * static_cast<long double>(turned) /
                            static_cast<long double>(denominator);
  return {static_cast<double>(std::cos(angle)), static_cast<double>(std::sin(angle))};
}

// std::complex's own product looks for infinities.
Fourier::Complex times(const Fourier::Complex& a, const Fourier::Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace

Fourier::Fourier(int64_t length) : length_(length), scratch_(length) {
  int64_t rest = length;
  for (int64_t factor : {4, 2, 3}) {
    for (; rest % factor == 0; rest /= factor) factors_.push_back(factor);
  }
  for (int64_t factor = 5; factor <= kLargestFactor; factor += 2) {
    for (; rest % factor == 0; rest /= factor) factors_.push_back(factor);
  }
  if (rest == 1) {
    roots_.resize(static_cast<size_t>(length));
    for (int64_t k = 0; k < length; ++k) roots_[static_cast<size_t>(k)] = root(2 * k, length);
    return;
  }
  factors_.clear();
  const auto padded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(2 * length - 1)));
  inner_ = std::make_unique<Fourier>(padded);
  scratch_ = padded + inner_->scratch();
  chirp_.resize(static_cast<size_t>(length));
  chirp_transform_.resize(static_cast<size_t>(padded));
  int64_t square = 0;  // k^2 modulo 2 length
  for (int64_t k = 0; k < length; ++k) {
    const Complex c = root(square, length);
    chirp_[static_cast<size_t>(k)] = c;
    chirp_transform_[static_cast<size_t>(k)] = std::conj(c);
    if (k > 0) chirp_transform_[static_cast<size_t>(padded - k)] = std::conj(c);
    square = (square + 2 * k + 1) % (2 * length);
  }
  std::vector<Complex> memory(static_cast<size_t>(inner_->scratch()));
  inner_->forward(chirp_transform_.data(), memory.data());
}

void Fourier::forward(Complex* x, Complex* scratch) const {
  if (inner_) return convolve(x, scratch);
  std::copy_n(x, length_, scratch);
  step(scratch, 1, 0, length_, x);
}

// By the conjugates' transform.
void Fourier::inverse(Complex* x, Complex* scratch) const {
  for (int64_t i = 0; i < length_; ++i) x[i] = std::conj(x[i]);
  forward(x, scratch);
  const double scale = 1.0 / static_cast<double>(length_);
  for (int64_t i = 0; i < length_; ++i) x[i] = std::conj(x[i]) * scale;
}

void Fourier::step(const Complex* x, int64_t stride, size_t level, int64_t length,
                   Complex* y) const {
  if (length == 1) {
    *y = *x;
    return;
  }
  const int64_t radix = factors_[level], part = length / radix;
  for (int64_t k = 0; k < radix; ++k) {
    step(x + k * stride, stride * radix, level + 1, part, y + k * part);
  }
  butterflies(radix, part, stride, y);
}

// `radix` transforms of `part` elements become one; `stride` roots lie between its own.
void Fourier::butterflies(int64_t radix, int64_t part, int64_t stride, Complex* y) const {
  std::array<Complex, kLargestFactor> v;
  for (int64_t j = 0; j < part; ++j) {
    for (int64_t k = 0; k < radix; ++k) {
      const Complex x = y[j + k * part];
      // The first root is 1, and infinity times its zero imaginary part would be NaN.
      const bool turned = j > 0 && k > 0;
      v[static_cast<size_t>(k)] =
          turned ? times(x, roots_[static_cast<size_t>(j * k * stride)]) : x;
    }
    if (radix == 2) {
      y[j] = v[0] + v[1];
      y[j + part] = v[0] - v[1];
    } else if (radix == 4) {
      const Complex even = v[0] + v[2], odd = v[1] + v[3], left = v[0] - v[2];
      const Complex right(v[1].imag() - v[3].imag(), v[3].real() - v[1].real());  // -i (v1 - v3)
      y[j] = even + odd;
      y[j + part] = left + right;
      y[j + 2 * part] = even - odd;
      y[j + 3 * part] = left - right;
    } else {
      odd_butterfly(radix, stride * part, v.data(), y + j, part);
    }
  }
}

// One transform of `radix` elements, which is odd: roots come in pairs of conjugates, so that sums
// and differences of pairs meet real numbers. `turn` roots lie between its own.
void Fourier::odd_butterfly(int64_t radix, int64_t turn, Complex* v, Complex* y,
                            int64_t part) const {
  const int64_t pairs = radix / 2;
  Complex total = v[0];
  for (int64_t k = 1; k <= pairs; ++k) {
    const Complex sum = v[k] + v[radix - k], apart = v[k] - v[radix - k];
    v[k] = sum;
    v[radix - k] = apart;
    total += sum;
  }
  y[0] = total;
  for (int64_t q = 1; q <= pairs; ++q) {
    Complex even = v[0], odd;
    for (int64_t k = 1; k <= pairs; ++k) {
      const Complex root = roots_[static_cast<size_t>(q * k % radix * turn)];
      even += root.real() * v[k];
      odd += root.imag() * v[radix - k];
    }
    const Complex turned(-odd.imag(), odd.real());  // i odd
    y[q * part] = even + turned;
    y[(radix - q) * part] = even - turned;
  }
}

void Fourier::convolve(Complex* x, Complex* scratch) const {
  const int64_t padded = inner_->length();
  Complex* a = scratch;
  Complex* rest = scratch + padded;
  for (int64_t k = 0; k < length_; ++k) a[k] = times(x[k], chirp_[static_cast<size_t>(k)]);
  std::fill(a + length_, a + padded, Complex());
  inner_->forward(a, rest);
  for (int64_t k = 0; k < padded; ++k) {
    a[k] = times(a[k], chirp_transform_[static_cast<size_t>(k)]);
  }
  inner_->inverse(a, rest);
  for (int64_t k = 0; k < length_; ++k) x[k] = times(a[k], chirp_[static_cast<size_t>(k)]);
}

}  // namespace tenon
