#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/verbs.h"
#include "tenon/core/device.h"

namespace tenon::cli {
namespace {

constexpr Usage kDevicesUsage = {
    .verb = "devices",
    .what =
        "Lists the devices with memory and instruction set; '*' marks the one that "
        "models run on (TENON_DEVICE chooses).",
    .example = "tenon devices --json"};

Status list_devices(bool json, int64_t virtual_cpus) {
  TENON_RETURN_IF_ERROR(start_engine());
  TENON_RETURN_IF_ERROR(set_virtual_cpus(virtual_cpus));
  const DeviceRegistry& registry = DeviceRegistry::global();
  for (const Device* device : registry.all()) {
    const DeviceMemory memory = device->memory();
    const bool used = device == registry.preferred();
    if (json) {
      print(cat("{\"name\":", json_string(device->name()),
                ",\"type\":", json_string(device->type()), ",\"description\":",
                json_string(device->description()), ",\"total_bytes\":", memory.total_bytes,
                ",\"free_bytes\":", memory.free_bytes, ",\"used\":", used, "}\n"));
    } else {
      print(cat(used ? "* " : "  ", device->name(), "  ", device->description(), ", ",
                human_bytes(memory.total_bytes), " memory (", human_bytes(memory.free_bytes),
                " free)\n"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int devices_command(Words words) {
  bool json = false;
  int64_t virtual_cpus = 1;
  const Flag flags[] = {
      {"json", &json, "", "one JSON object a line"},
      {"virtual_cpus", &virtual_cpus, "N", "logical devices that the processor is"}};
  return run_verb(kDevicesUsage, flags, words,
                  [&](const Operands&) { return list_devices(json, virtual_cpus); });
}

}  // namespace tenon::cli
