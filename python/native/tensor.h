// tenon.Tensor: the Python class of Values, its operators and its conversions.
#pragma once

#include "python/native/value.h"

namespace tenon::python {

void register_tensor(nb::module_& m);

}  // namespace tenon::python
