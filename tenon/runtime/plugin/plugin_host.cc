#include "tenon/runtime/plugin/plugin_host.h"

#include <dlfcn.h>

#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/runtime/plugin/plugin_abi.h"

namespace tenon {

PluginHost& PluginHost::global() {
  static PluginHost host;
  return host;
}

Status PluginHost::load(const std::string& path) {
  PluginInfo info{.path = path, .name = {}, .brings = {}, .note = {}, .status = {}};
  info.status = with_context(open(path, info), cat("plug-in '", path, "'"));
  plugins_.push_back(info);
  return info.status;
}

Status PluginHost::load_path(std::string_view path) {
  for (std::string_view place : split(path, ':')) {
    const std::string name(trim(place));
    if (name.empty()) continue;
    if (!is_directory(name)) {
      TENON_RETURN_IF_ERROR(load(name));
      continue;
    }
    TENON_ASSIGN_OR_RETURN(std::vector<std::string> files, list_directory(name));
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      if (file.ends_with(".so")) load(join_path(name, file)).IgnoreError();
    }
  }
  return absl::OkStatus();
}

Status PluginHost::load_from_environment() {
  const char* path = std::getenv("TENON_PLUGIN_PATH");
  return path ? load_path(path) : absl::OkStatus();
}

std::vector<const TenonKernelFactory*> PluginHost::kernels(std::string_view op,
                                                           std::string_view type) const {
  const auto it = kernels_.find({std::string(op), std::string(type)});
  return it == kernels_.end() ? std::vector<const TenonKernelFactory*>() : it->second;
}

// A library stays loaded for the life of the process: its kernels are everywhere.
Status PluginHost::open(const std::string& path, PluginInfo& info) {
  void* library = dlopen(path.find('/') == path.npos ? cat("./", path).c_str() : path.c_str(),
                         RTLD_NOW | RTLD_LOCAL);
  if (!library) return failed_precondition("cannot be loaded: ", dlerror());
  using Open = TenonStatus* (*)(const TenonHost*, const TenonPlugin**);
  const auto open = reinterpret_cast<Open>(dlsym(library, "tenon_open_plugin"));
  if (!open) return failed_precondition("exports no tenon_open_plugin: it is no plug-in of Tenon");
  const TenonPlugin* plugin = nullptr;
  TENON_RETURN_IF_ERROR(take(open(&plugin_host_functions(), &plugin)));
  if (!plugin || plugin->struct_size < sizeof(TenonPlugin) || !plugin->version || !plugin->name) {
    return failed_precondition("gives no complete TenonPlugin");
  }
  info.name = plugin->name;
  if (plugin->note) info.note = plugin->note;
  if (plugin->abi != TENON_PLUGIN_ABI ||
      std::string_view(plugin->version) != TENON_PLUGIN_VERSION) {
    return failed_precondition("is made for Tenon ", plugin->version, " (interface ", plugin->abi,
                               "), this is ", TENON_PLUGIN_VERSION, " (interface ",
                               TENON_PLUGIN_ABI, "): compile it again");
  }
  TENON_RETURN_IF_ERROR(add_ops(*plugin));
  TENON_RETURN_IF_ERROR(add_kernels(*plugin));
  info.brings = cat(plugin->num_ops, " ops, ", plugin->num_kernels, " kernels");
  return plugin->backend ? add_devices(*plugin, info) : absl::OkStatus();
}

Status PluginHost::add_ops(const TenonPlugin& plugin) {
  for (size_t i = 0; i < plugin.num_ops; ++i) {
    TENON_ASSIGN_OR_RETURN(OpDecl decl, plugin_op_decl(*plugin.ops[i]));
    ops_.push_back(decl);
    TENON_RETURN_IF_ERROR(OpRegistry::global().add(plugin.ops[i]->name, ops_.back()));
  }
  return absl::OkStatus();
}

Status PluginHost::add_kernels(const TenonPlugin& plugin) {
  for (size_t i = 0; i < plugin.num_kernels; ++i) {
    const TenonKernelFactory& factory = *plugin.kernels[i];
    if (factory.struct_size < sizeof(TenonKernelFactory) || !factory.op || !factory.device_type ||
        !factory.prepare) {
      return invalid_argument("kernel ", i, " of ", plugin.name,
                              " needs op, device_type and prepare");
    }
    const OpDef* op = OpRegistry::global().find(factory.op);
    if (!op) return not_found("kernel ", i, " is for op ", factory.op, ", which does not exist");
    if (std::string_view(factory.device_type) == "CPU" && !op->decl().plugin_op) {
      return already_exists("op ", factory.op, " has CPU kernels of Tenon's own");
    }
    kernels_[{factory.op, factory.device_type}].push_back(&factory);
  }
  return absl::OkStatus();
}

Status PluginHost::add_devices(const TenonPlugin& plugin, PluginInfo& info) {
  const TenonBackend& backend = *plugin.backend;
  if (backend.struct_size < sizeof(TenonBackend) || !backend.type) {
    return failed_precondition("gives no complete TenonBackend");
  }
  const bool captures =
      backend.begin_capture || backend.end_capture || backend.launch_graph || backend.destroy_graph;
  if (captures && !(backend.begin_capture && backend.end_capture && backend.launch_graph &&
                    backend.destroy_graph)) {
    return failed_precondition(
        "captures work, for which it needs begin_capture, end_capture, "
        "launch_graph and destroy_graph");
  }
  const bool reduces =
      backend.create_group || backend.all_reduce || backend.abort_group || backend.destroy_member;
  if (reduces && !(backend.create_group && backend.all_reduce && backend.abort_group &&
                   backend.destroy_member)) {
    return failed_precondition(
        "sums values among devices, for which it needs create_group, all_reduce, abort_group and "
        "destroy_member");
  }
  for (int ordinal = 0; ordinal < backend.num_devices; ++ordinal) {
    TENON_ASSIGN_OR_RETURN(auto device, open_plugin_device(backend, ordinal));
    info.brings += cat(", ", device->name());
    DeviceRegistry::global().add(std::move(device));
  }
  return absl::OkStatus();
}

}  // namespace tenon
