// Whether this processor sums products of bytes by AVX-512's VNNI or NEON's dot products. Private
// to kernels/.
#pragma once

namespace tenon::kernels {

// As TENON_MAX_ISA allows.
bool native_dots();

}  // namespace tenon::kernels
