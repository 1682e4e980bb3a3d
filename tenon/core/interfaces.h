// What ops need from the layers above them.
#pragma once

#include "tenon/core/kernel.h"

namespace tenon {

// A function of the graph, ready to run: If's branches, While's condition and body, dataset
// transformations. Thread-safe.
class FunctionRunner {
 public:
  virtual ~FunctionRunner() = default;
  virtual int num_args() const = 0;
  virtual int num_results() const = 0;

  // Results are tensors of their own: they stay valid after the next run.
  virtual Status run(RunContext& context, std::span<const Tensor> args,
                     std::vector<Tensor>& results) = 0;
};

// Resources by container and name: variables, hash tables. Thread-safe.
class ResourceStore {
 public:
  virtual ~ResourceStore() = default;

  // Null when there is none of that name.
  virtual Ref<Object> find(std::string_view container, std::string_view name) const = 0;

  // The resource of that name, made by `create` when there is none.
  virtual StatusOr<Ref<Object>> find_or_create(std::string_view container, std::string_view name,
                                               FunctionRef<StatusOr<Ref<Object>>()> create) = 0;

  // Removes it; NOT_FOUND when there is none.
  virtual Status remove(std::string_view container, std::string_view name) = 0;
};

// Which files the graph's file ops may touch (DESIGN section 4). Thread-safe.
class FileAccess {
 public:
  virtual ~FileAccess() = default;
  // The path to open, or PERMISSION_DENIED naming the flag that would allow it.
  virtual StatusOr<std::string> readable(std::string_view path) const = 0;
  virtual StatusOr<std::string> writable(std::string_view path) const = 0;
};

}  // namespace tenon
