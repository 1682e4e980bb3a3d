// Segments: captured once, launched from then on.
#include "tenon/core/variable.h"
#include "tenon/graph/function_library.h"
#include "tenon/runtime/instance.h"

namespace tenon {
namespace {

// The variables that captured work changes: nobody else comes to them until they are let go.
class Changed {
 public:
  explicit Changed(Stream& stream) : stream_(stream) {}
  Changed(const Changed&) = delete;
  Changed& operator=(const Changed&) = delete;
  ~Changed() { end().IgnoreError(); }

  StatusOr<Tensor> begin(Variable* variable) {
    TENON_ASSIGN_OR_RETURN(Tensor value, variable->begin_change(stream_));
    begun_.push_back(variable);
    return value;
  }
  Status end() {
    Status status;
    for (Variable* variable : begun_) status.Update(variable->end_change(stream_));
    begun_.clear();
    return status;
  }

 private:
  Stream& stream_;
  std::vector<Variable*> begun_;
};

}  // namespace

Status Instance::run_segment(size_t index) {
  const Segment& segment = binding_->segments[index];
  Captured& captured = captured_[index];
  const auto run_steps_one_by_one = [&] {
    for (size_t i = segment.first; i < segment.last; ++i) {
      TENON_RETURN_IF_ERROR(run_and_release(i));
    }
    return absl::OkStatus();
  };
  // The first time all finds its place.
  if (!std::exchange(captured.ran_before, true)) return run_steps_one_by_one();
  for (size_t read : segment.reads) {
    if (Status status = run_step(read); !status.ok()) {
      return with_context(status, describe(*binding_->steps[read].node));
    }
  }
  addresses_.clear();
  for (bool on_host : {true, false}) {
    const Ref<Buffer>& arena = workspace_->arena(on_host);
    addresses_.push_back(arena ? arena->data() : nullptr);
    addresses_.push_back(workspace_->scratch(on_host));
  }
  for (int slot : segment.owned) addresses_.push_back(slots_[static_cast<size_t>(slot)].raw());
  Stream& stream = *context_.stream;
  // What goes on beside the stream is not of the capture.
  TENON_RETURN_IF_ERROR(stream.join());
  Changed changed(stream);
  for (int slot : segment.changed) {
    const StatusOr<Tensor> value =
        changed.begin(slots_[static_cast<size_t>(slot)].object_as<Variable>());
    if (!value.ok()) {
      // Without a value yet: the step itself says what that means.
      TENON_RETURN_IF_ERROR(changed.end());
      return run_steps_one_by_one();
    }
    addresses_.push_back(value->raw());
  }
  if (!captured.work || captured.addresses != addresses_) {
    TENON_RETURN_IF_ERROR(capture(segment, captured));
  }
  TENON_RETURN_IF_ERROR(stream.launch(*captured.work));
  TENON_RETURN_IF_ERROR(changed.end());
  for (size_t i = segment.first; i < segment.last; ++i) {
    for (int slot : binding_->steps[i].release) slots_[static_cast<size_t>(slot)] = Tensor();
  }
  return absl::OkStatus();
}

Status Instance::capture(const Segment& segment, Captured& captured) {
  Stream& stream = *context_.stream;
  captured.work.reset();
  captured.addresses = addresses_;
  TENON_RETURN_IF_ERROR(stream.begin_capture());
  Status status;
  for (size_t i = segment.first; i < segment.last && status.ok(); ++i) {
    const Step& step = binding_->steps[i];
    if (std::find(segment.reads.begin(), segment.reads.end(), i) != segment.reads.end()) continue;
    status = with_context(run_step(i), describe(*step.node));
  }
  if (status.ok()) status = stream.join();
  StatusOr<std::unique_ptr<CapturedWork>> work = stream.end_capture();
  TENON_RETURN_IF_ERROR(status);
  TENON_ASSIGN_OR_RETURN(captured.work, std::move(work));
  return absl::OkStatus();
}

}  // namespace tenon
