// Whether there is a driver that this plug-in can use.
#pragma once

#include "plugins/base/node_reading.h"

namespace plugin::cuda {

// FAILED_PRECONDITION says in one sentence what is missing: the driver, a newer one, a GPU, or the
// permission to use it.
TenonStatus* check_driver(int* num_devices);

}  // namespace plugin::cuda
