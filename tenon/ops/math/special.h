// Special functions of one to three numbers, in double precision. Formulas: S. L. Moshier's Cephes
// library and DLMF (dlmf.nist.gov), as Eigen's and so TensorFlow's.
#pragma once

namespace tenon {

// Regularised incomplete gamma functions P(a, x) and Q(a, x); NaN for x < 0 or a <= 0.
double lower_gamma(double a, double x);
double upper_gamma(double a, double x);
// Derivative of P(a, x) with respect to a.
double lower_gamma_by_a(double a, double x);

// Regularised incomplete beta function I_x(a, b); NaN outside a, b > 0, 0 <= x <= 1.
double incomplete_beta(double a, double b, double x);

// Hurwitz zeta function, sum of (k + q)^-x.
double hurwitz_zeta(double x, double q);
// The n-th derivative of digamma; n = 0 is digamma.
double polygamma(double n, double x);

// Modified Bessel functions of the first kind, of order 0 and 1, times exp(-|x|).
double bessel_i0e(double x);
double bessel_i1e(double x);

}  // namespace tenon
