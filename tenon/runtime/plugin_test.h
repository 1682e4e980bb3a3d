// For tests of the runtime.
#pragma once

#include "tenon/core/device.h"

namespace tenon {

// All ops, and the plug-ins that TENON_PLUGIN_PATH names, whose device is then preferred; once.
Status register_all_once();

// Those with memory of their own.
std::vector<Device*> separate_devices();

}  // namespace tenon
