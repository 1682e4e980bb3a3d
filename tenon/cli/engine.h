// The composition root: what a verb starts before it uses the engine.
#pragma once

#include "tenon/core/precision.h"
#include "tenon/saved_model/saved_model.h"

namespace tenon::cli {

// Registers all ops, loads the plug-ins that TENON_PLUGIN_PATH names (files, or folders of them,
// separated by ':') and chooses the device that TENON_DEVICE names (default: the first that a
// plug-in brought, else the CPU). Once, before any thread that uses the registries. `threads`: 0
// means all.
Status start_engine(int64_t threads = 0);

// Makes the processor so many logical devices (`--virtual_cpus`), 1 to 64; after start_engine().
Status set_virtual_cpus(int64_t count);

// "f32" or "bf16".
StatusOr<Precision> parse_precision(std::string_view text);

// The signature of that name; NOT_FOUND names those there are.
StatusOr<const Signature*> require_signature(const SavedModel& model, std::string_view name);

// "serve,gpu" as a list.
std::vector<std::string> parse_tags(std::string_view text);

}  // namespace tenon::cli
