// The plug-in host: loads shared libraries that speak tenon/plugin.h and registers what they bring.
#pragma once

#include <deque>

#include "tenon/core/device.h"
#include "tenon/core/op.h"
#include "tenon/plugin.h"

namespace tenon {

struct PluginInfo {
  std::string path;
  std::string name;    // as it calls itself; empty when it did not come that far
  std::string brings;  // "3 ops, 2 kernels, /device:GPU:0"
  std::string note;    // what it has to do without; empty: nothing
  Status status;       // why it is not in use: a missing driver, another version
};

// Not thread-safe: loads in the composition root, before any thread that uses the registries.
class PluginHost {
 public:
  static PluginHost& global();

  // Loads the file, adds its ops to OpRegistry::global() and its devices to
  // DeviceRegistry::global(). The error is also kept for all().
  Status load(const std::string& path);

  // Each of the paths, separated by ':', that is a file; of folders every "*.so". Files must load;
  // what does not load in a folder is only noted in all().
  Status load_path(std::string_view path);

  // load_path() of the environment's TENON_PLUGIN_PATH, where it is set.
  Status load_from_environment();

  const std::vector<PluginInfo>& all() const { return plugins_; }

  // The factories for `op` on devices of `type`, in the order in which they are tried.
  std::vector<const TenonKernelFactory*> kernels(std::string_view op, std::string_view type) const;

 private:
  Status open(const std::string& path, PluginInfo& info);
  Status add_ops(const TenonPlugin& plugin);
  Status add_kernels(const TenonPlugin& plugin);
  Status add_devices(const TenonPlugin& plugin, PluginInfo& info);

  std::vector<PluginInfo> plugins_;
  std::map<std::pair<std::string, std::string>, std::vector<const TenonKernelFactory*>> kernels_;
  std::deque<OpDecl> ops_;  // addresses stay
};

}  // namespace tenon
