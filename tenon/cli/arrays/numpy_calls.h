// The few NumPy functions that expressions may call.
#pragma once

#include "tenon/cli/arrays/literal.h"

namespace tenon::cli {

struct NumpyArgument {
  std::string keyword;  // empty: by position
  Literal value;
};

// np.ones, zeros, full, array, arange, and dtypes as functions (np.float32(1.5)). UNIMPLEMENTED
// names them; RESOURCE_EXHAUSTED for a result of more than 4 GiB.
StatusOr<Tensor> call_numpy(std::string_view function, const std::vector<NumpyArgument>& args);

// reshape and astype.
StatusOr<Tensor> call_numpy_method(std::string_view method, const Tensor& self,
                                   const std::vector<NumpyArgument>& args);

}  // namespace tenon::cli
