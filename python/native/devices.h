// The devices that Python's programs see, by TensorFlow's names, and where what they run is placed.
//
// Plug-ins are loaded when somebody first asks for devices or runs a traced function: those of
// TENON_PLUGIN_PATH, or without it those of the folder `plugins` beside the extension module. The
// engine's own default stays the processor: datasets, and all else that names no device, run there.
#pragma once

#include "python/native/value.h"
#include "tenon/core/device.h"

namespace tenon::python {

// The processor is where Executables run that name no device. Once, when the module is loaded.
void stay_on_the_processor();

// Where functions run that nobody has placed: the first device of a plug-in that is visible, or the
// one that TENON_DEVICE names; else the processor. Throws StatusError where a plug-in that was
// named cannot be loaded.
Device* default_device();

// The device of that name ("/device:GPU:1"); null where there is none that is visible.
Device* device_of_name(std::string_view name);

// What the innermost tf.device of this thread says, "/device:GPU:0"; empty outside of all.
const std::string& placed_name();
// Its device; null where nobody has said, or names one that is not there.
Device* placed_device();

// "/job:localhost/replica:0/task:0/device:GPU:0"; of null the processor's.
std::string full_name_of(Device* device);

// The tensor in host memory: itself, or a copy, which is waited for without the interpreter's lock.
Tensor on_host(const Tensor& tensor);
// The tensor in the memory of `device`; objects stay where they are.
Tensor on_device(const Tensor& tensor, Device* device);

void register_devices(nb::module_& m);

}  // namespace tenon::python
