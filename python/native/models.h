// Traced functions and SavedModels as Python objects.
#pragma once

#include "python/native/errors.h"

namespace tenon::python {

void register_models(nb::module_& m);

}  // namespace tenon::python
