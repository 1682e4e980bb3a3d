// Binding: a Plan for concrete argument shapes. Kernels are prepared, memory has offsets.
//
// The static region is the list of steps whose shapes are all known here; its runs allocate, lock
// and look up nothing. Steps whose shapes depend on data, and what follows from them, are dynamic:
// prepared at run time by the same factories and cached by shape.
#pragma once

#include "tenon/runtime/plan.h"

namespace tenon {

// What a dynamic step was prepared to for one combination of input shapes and host values.
struct PreparedKernel {
  Kernel kernel;
  std::vector<PartialShape> outputs;
  size_t scratch_bytes = 0;
  int team = 1;         // that it was made for and must run under
  int64_t work_ns = 0;  // estimated, on one thread
};

// Thread-safe.
class DynamicCache {
 public:
  std::shared_ptr<const PreparedKernel> find(const std::string& key) const;
  void insert(std::string key, std::shared_ptr<const PreparedKernel> prepared);

 private:
  static constexpr size_t kEntries = 64;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const PreparedKernel>> entries_;
};

enum class Storage : uint8_t {
  kUnused,
  kConstant,  // known at binding
  kArgument,  // the caller's tensor, or a view of it
  kArena,     // at an offset of the Instance's arena
  kResult,    // in the caller's result tensor
  kOwned,     // a tensor of its own, set while running
};

struct Slot {
  Storage storage = Storage::kUnused;
  DType dtype = DType::kInvalid;
  PartialShape shape;
  std::optional<HandleInfo> handle;
  Endpoint endpoint;
  Tensor constant;      // kConstant
  bool frozen = false;  // the same constant in every Binding of the Plan
  bool on_host = true;  // in host memory, or in the Plan's device's
  int root = -1;        // the slot whose memory this one shares; itself when it has its own
  int source = -1;      // kArgument: index of the argument; kResult: of the result
  size_t offset = 0;    // kArena

  size_t bytes() const { return shape.to_shape().num_bytes(size_of(dtype)); }  // known shape only
};

struct Step {
  enum class Kind : uint8_t { kKernel, kDynamic, kToHost, kToDevice };
  Kind kind = Kind::kKernel;
  const Node* node = nullptr;  // null for copies
  bool on_host = true;         // the kernel is the host's
  bool on_stream = true;  // its RunContext names the stream: it works there, or hands on values
  Kernel kernel;
  int team = 1;  // that the kernel was made for
  size_t scratch_bytes = 0;
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::vector<int> fresh;    // object outputs that get new storage before each run
  std::vector<int> release;  // kOwned slots read for the last time here
  std::vector<std::pair<int, int>> overwrites;
  std::unique_ptr<DynamicCache> cache;
};

// Immutable and shared by Instances.
class Binding {
 public:
  static StatusOr<std::shared_ptr<const Binding>> create(std::shared_ptr<const Plan> plan,
                                                         std::span<const Shape> args);

  const std::shared_ptr<const Plan> plan;
  const int most_threads;  // of a step's team
  int64_t work_ns = 0;     // estimated, of all steps on one thread
  RunForm form = RunForm::kShort;
  std::vector<Shape> arg_shapes;
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<int> arg_slots;     // by argument; -1 when nothing reads it
  std::vector<int> result_slots;  // by result
  size_t arena_bytes = 0;         // in host memory
  size_t device_arena_bytes = 0;  // in the device's, when that is another
  size_t scratch_bytes = 0;
  size_t device_scratch_bytes = 0;

  // Estimated memory of the Binding itself and of one Instance without its Workspace.
  size_t own_bytes() const;

  Binding(std::shared_ptr<const Plan> plan, int most_threads)
      : plan(std::move(plan)), most_threads(most_threads) {}
};

// The Prepare of the runtime: packed weights are shared by the Plan, functions are Executables. The
// kernel is made for the team that its work pays for, of at most `most_threads`.
StatusOr<PreparedKernel> prepare_kernel(const Plan& plan, const Node& node, bool on_host,
                                        int most_threads, std::span<const Tensor* const> constants,
                                        const std::vector<bool>& frozen,
                                        std::span<const Shape> shapes,
                                        std::vector<PartialShape> outputs,
                                        std::vector<std::pair<int, int>>* overwrites);

}  // namespace tenon
