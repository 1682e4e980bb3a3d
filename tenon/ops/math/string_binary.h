// Strings under Add and Equal.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// Concatenation, with broadcasting. UNIMPLEMENTED for other dtypes.
StatusOr<Kernel> make_string_add(Prepare& p);

// a == b, or a != b, with broadcasting. UNIMPLEMENTED for other dtypes.
StatusOr<Kernel> make_string_equal(Prepare& p);
StatusOr<Kernel> make_string_not_equal(Prepare& p);

}  // namespace tenon
