// Files in TensorFlow's formats as Python objects: checkpoints, TFRecords and what
// stands in them, event files.
#pragma once

#include "python/native/errors.h"

namespace tenon::python {

void register_files(nb::module_& m);

}  // namespace tenon::python
