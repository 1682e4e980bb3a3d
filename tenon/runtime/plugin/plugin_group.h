// Reductions among the devices of a backend plug-in: their groups, and the ops of them, which are
// the same for every backend.
#pragma once

#include "tenon/core/collective.h"
#include "tenon/core/node_prepare.h"
#include "tenon/plugin.h"

namespace tenon {

// Places in a group of these devices, in their order; none where they are not of one backend that
// sums values among its devices. The group must outlive the Executables that use it.
StatusOr<std::vector<Ref<DeviceCommunicator>>> open_device_group(std::span<Device* const> devices);

// `handles` are what the backend calls `devices`.
StatusOr<std::vector<Ref<DeviceCommunicator>>> open_plugin_group(const TenonBackend& backend,
                                                                 std::span<Device* const> devices,
                                                                 std::span<void* const> handles);

// _DeviceAllReduceStart and _DeviceAllReduceDone.
bool is_device_reduction(const OpDef& op);
StatusOr<Kernel> make_device_reduction(NodePrepare& prepare);

}  // namespace tenon
