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

  // Arguments fit the Binding's key. See Executable::run() for `results`. Where these stay on the
  // device it does not wait for their content, and the next run in the same Workspace comes after
  // it. It comes itself after `after`, which may be null, whatever became of that.
  Status run(const RunContext& context, std::span<const Tensor> args, std::vector<Tensor>& results,
             Completion* after);
  // The end of that run, once; null when it has ended.
  std::shared_ptr<Completion> take_end() { return std::move(end_); }

  const Binding& binding() const { return *binding_; }

 private:
  // A slot that is an argument or a result.
  struct Place {
    int slot;
    int source;  // its index
    Shape shape;
    size_t bytes;
    bool is_view;
  };
  // What the device did of a Segment when it was captured, and where its values were then.
  struct Captured {
    bool ran_before = false;
    std::unique_ptr<CapturedWork> work;
    std::vector<const void*> addresses;
  };

  Status enter(const RunContext& context, std::span<const Tensor> args, Completion* after);
  Status finish(std::span<const Tensor> args, std::vector<Tensor>& results);
  Status place_results(std::vector<Tensor>& results);
  Status place_result(const Place& place, Tensor& result) const;
  Status run_steps();
  Status run_and_release(size_t index);
  Status run_segment(size_t index);
  Status capture(const Segment& segment, Captured& captured);
  Status run_step(size_t index);
  Status run_timed(size_t index);  // for the StepProfile and the Timeline
  Status run_kernel(size_t index);
  Status run_dynamic(const Step& step);
  Status run_dynamic_on_host(const Step& step, const PreparedKernel& prepared);
  Status run_copy(const Step& step);
  StatusOr<std::shared_ptr<const PreparedKernel>> prepare_dynamic(const Step& step);
  Status take_results(std::vector<Tensor>& results);
  void forget();
  bool on_device() const { return binding_->form == RunForm::kDevice; }
  RunContext& context_of(const Step& step) {
    return step.reads_in_place ? in_place_context_ : step.on_stream ? context_ : host_context_;
  }

  std::shared_ptr<const Binding> binding_;
  std::unique_ptr<Workspace> workspace_;
  std::vector<Tensor> slots_;
  std::vector<Tensor*> pointers_;  // inputs, then outputs of each step
  // What runs set and drop: the caller's tensors, and those of their own.
  std::vector<Place> arguments_, results_;
  std::vector<int> owned_;
  std::vector<StepRun> runs_;  // by step, of the Workspace
  RunContext context_;
  RunContext in_place_context_;  // of steps that read variables in place
  RunContext host_context_;      // of the host's kernels beside a device: no stream
  std::shared_ptr<Completion> end_;
  std::vector<Captured> captured_;      // by Segment
  std::vector<const void*> addresses_;  // of the Segment that runs
};

}  // namespace tenon
