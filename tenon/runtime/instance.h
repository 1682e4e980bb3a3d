// Instance: the values of one run in flight of a Binding.
#pragma once

#include "tenon/runtime/workspace.h"

namespace tenon {

// One step of a run: temporaries come from the arena of the step's memory.
class StepRun final : public KernelRun {
 public:
  StepRun(Tensor* const* inputs, int num_inputs, Tensor* const* outputs, int num_outputs,
          void* scratch, RunContext& context, BumpArena& memory)
      : KernelRun(inputs, num_inputs, outputs, num_outputs, scratch, context), memory_(memory) {}

  StatusOr<Tensor> allocate(DType dtype, const Shape& shape) override {
    return memory_.allocate(dtype, shape);
  }

 private:
  BumpArena& memory_;
};

// Used by one run at a time. Made without a Workspace; it runs with one.
class Instance {
 public:
  explicit Instance(std::shared_ptr<const Binding> binding);

  // Lays the Binding out in `workspace`, which grows at need. Without an error there is one from
  // then on, until detach() gives it back.
  Status attach(std::unique_ptr<Workspace> workspace);
  std::unique_ptr<Workspace> detach();
  const Workspace& workspace() const { return *workspace_; }

  // Arguments have the Binding's shapes. See Executable::run() for `results`.
  Status run(const RunContext& context, std::span<const Tensor> args, std::vector<Tensor>& results);

  const Binding& binding() const { return *binding_; }

 private:
  Status place_results(std::vector<Tensor>& results);
  Status run_steps();
  Status run_step(size_t index);
  Status run_timed(size_t index);  // for the StepProfile
  Status run_kernel(size_t index);
  Status run_dynamic(const Step& step);
  Status run_copy(const Step& step);
  StatusOr<std::shared_ptr<const PreparedKernel>> prepare_dynamic(const Step& step);
  void take_results(std::vector<Tensor>& results);
  void forget();
  RunContext& context_of(const Step& step) { return step.on_stream ? context_ : host_context_; }

  std::shared_ptr<const Binding> binding_;
  std::unique_ptr<Workspace> workspace_;
  std::vector<Tensor> slots_;
  std::vector<Tensor*> pointers_;  // inputs, then outputs of each step
  // The slots that runs set and drop: the caller's tensors, and those of their own.
  struct Place {
    int slot;
    int source;  // index of the argument or result
    Shape shape;
    size_t bytes;
    bool is_view;
  };
  std::vector<Place> arguments_, results_;
  std::vector<int> owned_;
  std::vector<StepRun> runs_;  // by step, of the Workspace
  RunContext context_;
  RunContext host_context_;  // of the host's kernels beside a device: no stream
};

}  // namespace tenon
