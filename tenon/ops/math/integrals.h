// Special functions that are integrals, and the other Bessel functions, in double precision.
// Formulas: DLMF (dlmf.nist.gov), chapters 6, 7, 10 and 25. NaN where TensorFlow's are.
#pragma once

namespace tenon {

double dawson(double x);                // 7.2.5
double exponential_integral(double x);  // Ei, 6.2.5; NaN for x < 0
double fresnel_cosine(double x);        // 7.2.7
double fresnel_sine(double x);          // 7.2.8
double spence(double x);                // the dilogarithm of 1 - x, 25.12

// As TensorFlow's, NaN at infinities.
double bessel_j0(double x);
double bessel_j1(double x);
double bessel_y0(double x);  // -infinity for x < 0, as TensorFlow's
double bessel_y1(double x);
double bessel_k0(double x);  // modified, of the second kind; infinity for x < 0, as TensorFlow's
double bessel_k1(double x);
double bessel_k0e(double x);  // times exp(x)
double bessel_k1e(double x);

}  // namespace tenon
