// AddN and ZerosLike of variants that hold TensorLists: gradients that flow into a list from
// several sides are added element by element. Factories for those ops' declarations; UNIMPLEMENTED
// for other dtypes.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

StatusOr<Kernel> make_add_n_lists(Prepare& p);
StatusOr<Kernel> make_zeros_like_list(Prepare& p);

}  // namespace tenon
