// Binding: a Plan for concrete argument shapes and places. Kernels are prepared, memory has
// offsets.
//
// The static region is the list of steps whose shapes are all known here; its runs allocate, lock
// and look up nothing. Steps whose shapes depend on data, and what follows from them, are dynamic:
// prepared at run time by the same factories and cached by shape.
//
// On a device that captures work, the stretches of steps that are the same work at the same
// addresses each time are Segments: an Instance captures each once and launches it from then on.
#pragma once

#include "tenon/runtime/plan.h"

namespace tenon {

// What a dynamic step was prepared to for one combination of input shapes and host values.
struct PreparedKernel {
  Kernel kernel;
  std::vector<PartialShape> outputs;
  size_t scratch_bytes = 0;
  int team = 1;                  // that it was made for and must run under
  int64_t work_ns = 0;           // estimated, on one thread
  std::vector<int> packed_only;  // inputs that the kernel has in a packed form of its own
  bool on_host = true;           // whose kernel it is
};

// What a Binding is made for.
struct BindingKey {
  std::vector<Shape> shapes;    // of the arguments
  std::vector<bool> on_device;  // which of them lie in the Plan's device's memory; empty: none
  bool results_stay = false;    // results are left where they are computed

  BindingKey() = default;
  explicit BindingKey(std::span<const Shape> args) : shapes(args.begin(), args.end()) {}
  BindingKey(std::span<const Tensor> args, bool results_stay);
  bool fits(std::span<const Tensor> args, bool stay) const;
  friend bool operator==(const BindingKey&, const BindingKey&) = default;
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
  bool far = false;     // a team writes it: it lies in the caches of several processors
  int root = -1;        // the slot whose memory this one shares; itself when it has its own
  int source = -1;      // kArgument: index of the argument; kResult: of the result
  size_t offset = 0;    // kArena

  size_t bytes() const { return shape.to_shape().num_bytes(size_of(dtype)); }  // known shape only
};

struct Step {
  enum class Kind : uint8_t { kKernel, kDynamic, kToHost, kToDevice, kCopy };
  Kind kind = Kind::kKernel;
  const Node* node = nullptr;  // null for copies
  bool on_host = true;         // the kernel is the host's
  bool on_stream = true;  // its RunContext names the stream: it works there, or hands on values
  // It reads a variable and is, with all that uses the value, done before one changes it.
  bool reads_in_place = false;
  bool awaited = false;  // kToHost: the host reads the copy within the run
  Kernel kernel;
  int team = 1;         // that the kernel was made for
  int64_t work_ns = 0;  // estimated, on one thread; 0 where it is not known before a run
  size_t scratch_bytes = 0;
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::vector<int> fresh;    // object outputs that get new storage before each run
  std::vector<int> release;  // kOwned slots read for the last time here
  std::vector<std::pair<int, int>> overwrites;
  std::unique_ptr<DynamicCache> cache;
};

// Steps [first, last) that a device may do as captured work.
struct Segment {
  size_t first = 0, last = 0;
  std::vector<size_t> reads;  // steps among them that hand on variables' values
  std::vector<int> owned;     // slots that others than the arena give memory: what was read
  std::vector<int> changed;   // slots of the handles of variables that are changed
};

// Immutable and shared by Instances.
class Binding {
 public:
  static StatusOr<std::shared_ptr<const Binding>> create(std::shared_ptr<const Plan> plan,
                                                         BindingKey key);

  const std::shared_ptr<const Plan> plan;
  const int most_threads;  // of a step's team
  int64_t work_ns = 0;     // estimated, of all steps on one thread
  RunForm form = RunForm::kShort;
  const BindingKey key;
  std::vector<Slot> slots;
  std::vector<Step> steps;
  std::vector<Segment> segments;  // in order, apart
  std::vector<int> arg_slots;     // by argument; -1 when nothing reads it
  std::vector<int> result_slots;  // by result
  size_t arena_bytes = 0;         // in host memory
  size_t device_arena_bytes = 0;  // in the device's, when that is another
  size_t scratch_bytes = 0;
  size_t device_scratch_bytes = 0;

  // Estimated memory of the Binding itself and of one Instance without its Workspace.
  size_t own_bytes() const;

  Binding(std::shared_ptr<const Plan> plan, BindingKey key, int most_threads)
      : plan(std::move(plan)), most_threads(most_threads), key(std::move(key)) {}
};

// The Prepare of the runtime: packed weights are shared by the Plan, functions are Executables. The
// kernel is made for the team that its work pays for, of at most `most_threads`.
StatusOr<PreparedKernel> prepare_kernel(const Plan& plan, const Node& node, bool on_host,
                                        int most_threads, int64_t far_bytes,
                                        std::span<const Tensor* const> constants,
                                        const std::vector<bool>& frozen,
                                        std::span<const Shape> shapes,
                                        std::vector<PartialShape> outputs,
                                        std::vector<std::pair<int, int>>* overwrites);

}  // namespace tenon
