// ModelState: the variables, tables and other resources of one loaded model version.
//
// Shared by all Executables of the version and freed after the last of them and the last run are
// gone. Thread-safe.
#pragma once

#include <set>
#include <shared_mutex>

#include "tenon/core/device.h"
#include "tenon/core/interfaces.h"
#include "tenon/core/variable.h"
#include "tenon/graph/messages/constant_pool.h"
#include "tenon/runtime/packed_weights.h"

namespace tenon {

class Device;
class WorkspacePool;

class ModelState final : public ResourceStore {
 public:
  Ref<Object> find(std::string_view container, std::string_view name) const override;
  StatusOr<Ref<Object>> find_or_create(std::string_view container, std::string_view name,
                                       FunctionRef<StatusOr<Ref<Object>>()> create) override;
  Status remove(std::string_view container, std::string_view name) override;

  // The variable of that name; null when there is none or it is something else.
  Ref<Variable> variable(std::string_view name) const;

  // Adds a variable, or takes the one that is there, and gives it a value. A new one holds values
  // of `shape` from then on; without it, of this value's.
  Status set_variable(std::string_view name, Tensor value,
                      const std::optional<PartialShape>& shape = {});

  // All variables, by name.
  std::vector<std::pair<std::string, Ref<Variable>>> variables() const;

  // Names that no signature of the model writes: their values may be folded and packed.
  void freeze(std::string_view name);
  bool is_frozen(std::string_view name) const;

  // Where random ops without seeds of their own begin: another number for every model that is made,
  // in every process.
  uint64_t seed() const { return seed_; }

  // Shared by all Plans of the model.
  ConstantPool& constants() { return constants_; }
  PackedWeights& packed_weights() { return packed_weights_; }
  // The memory in which runs on `device` compute, whatever they run.
  std::shared_ptr<WorkspacePool> workspaces(Device* device);

  // Runs that write state hold this, one at a time; readers run beside them.
  std::mutex& writers() { return writers_; }

  // The end of the last of them, when a device may still be at it: the next one comes after it.
  // Belongs to who holds writers().
  std::shared_ptr<Completion>& last_write() { return last_write_; }

 private:
  static uint64_t draw_seed();

  using Key = std::pair<std::string, std::string>;
  mutable std::shared_mutex mutex_;
  std::map<Key, Ref<Object>> resources_;
  std::set<std::string, std::less<>> frozen_;
  std::mutex writers_;
  ConstantPool constants_;
  PackedWeights packed_weights_;
  std::map<Device*, std::shared_ptr<WorkspacePool>> workspaces_;
  std::shared_ptr<Completion> last_write_;
  const uint64_t seed_ = draw_seed();
};

}  // namespace tenon
