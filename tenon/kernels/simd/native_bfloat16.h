// Which instructions multiply in bfloat16 here. Private to kernels/.
#pragma once

namespace tenon::kernels {

struct NativeBfloat16 {
  bool vectors = false;  // AVX-512's
  bool tiles = false;    // AMX', which the operating system lets this process use
};

// As TENON_MAX_ISA allows.
const NativeBfloat16& native_bfloat16();

}  // namespace tenon::kernels
