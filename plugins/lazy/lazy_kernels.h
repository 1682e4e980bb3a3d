// Kernels of the lazy device. Most are the host's own, run late on a stream's thread; those that
// change variables are written here.
#pragma once

#include <vector>

#include "tenon/plugin.h"

namespace lazy {

// The functions of Tenon, set when the plug-in is opened.
extern const TenonHost* host;

TenonStatus* error(int32_t code, const char* message);

// The tables for TenonPlugin; they live as long as the process.
const std::vector<const TenonKernelFactory*>& kernels();

}  // namespace lazy
