// tenon.raw_ops: every op of the registry as a Python function of keyword arguments.
#pragma once

#include "python/native/errors.h"

namespace tenon::python {

void register_raw_ops(nb::module_& m);

}  // namespace tenon::python
