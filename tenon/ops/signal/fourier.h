// Discrete Fourier transforms of one length: mixed radix (Cooley and Tukey, 1965) where the length
// has small factors, else as a convolution with a chirp (Bluestein, 1970), so that every length
// takes n log n steps. In double, whatever dtype is transformed.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>
#include <vector>

namespace tenon {

// Immutable and thread-safe once made.
class Fourier {
 public:
  using Complex = std::complex<double>;

  // `length` at least 1.
  explicit Fourier(int64_t length);

  int64_t length() const { return length_; }
  // Elements of scratch memory that a transform needs.
  int64_t scratch() const { return scratch_; }

  // In place; the inverse divides by the length.
  void forward(Complex* x, Complex* scratch) const;
  void inverse(Complex* x, Complex* scratch) const;

 private:
  // Transforms elements 0, stride, 2 stride ... of `x` into `y`; `level` counts factors.
  void step(const Complex* x, int64_t stride, size_t level, int64_t length, Complex* y) const;
  void butterflies(int64_t radix, int64_t part, int64_t stride, Complex* y) const;
  void odd_butterfly(int64_t radix, int64_t turn, Complex* v, Complex* y, int64_t part) const;
  void convolve(Complex* x, Complex* scratch) const;

  int64_t length_;
  int64_t scratch_;
  std::vector<int64_t> factors_;
  std::vector<Complex> roots_;  // exp(-2 pi i k / length)
  // Bluestein: a transform of a power of 2, the chirp exp(-pi i k^2 / length), and the transform of
  // its conjugate.
  std::unique_ptr<Fourier> inner_;
  std::vector<Complex> chirp_, chirp_transform_;
};

}  // namespace tenon
