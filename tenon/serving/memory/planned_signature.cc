#include "tenon/serving/memory/planned_signature.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/graph/batch_dimension.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

// A signature that cannot be planned is no fault of who asks for it: codes that would say so become
// INTERNAL.
Status fault_of_model(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
      return internal(message_of(status));
    default:
      return status;
  }
}

// Makes what a first run makes (memory plans, packed weights), with 1 for dimensions that the
// signature leaves open. What cannot be done ahead is done, or fails, when a request comes.
void prepare_for_one_row(Executable& executable, const tenon::Signature& signature) {
  const StatusOr<std::vector<Shape>> shapes = one_row_shapes(signature);
  if (!shapes.ok()) return;
  (void)or_out_of_memory([&] { return executable.prepare(*shapes); });
}

}  // namespace

PlannedSignature::PlannedSignature(std::shared_ptr<SavedModel> model, tenon::Signature signature,
                                   bool evictable)
    : model_(std::move(model)),
      signature_(std::move(signature)),
      evictable_(evictable),
      last_used_(steady_microseconds()) {}

Status PlannedSignature::plan(bool prepare) {
  const std::unique_lock lock(mutex_);
  return plan_locked(prepare);
}

Status PlannedSignature::plan_locked(bool prepare) {
  if (executable_ || !unusable_.ok()) return unusable_;
  StatusOr<std::shared_ptr<Executable>> made = model_->executable(signature_);
  if (!made.ok()) {
    if (!evictable_ || !absl::IsResourceExhausted(made.status())) unusable_ = made.status();
    return made.status();
  }
  executable_ = *std::move(made);
  has_effects_ = executable_->has_effects();
  if (prepare) prepare_for_one_row(*executable_, signature_);
  return absl::OkStatus();
}

bool PlannedSignature::merges_rows() {
  const std::shared_lock lock(mutex_);
  if (!executable_) return false;
  // Other shapes than the graph's run by a plan of their own, of which nothing is known.
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    if (executable_->arg(static_cast<int>(i)).shape != signature_.inputs[i].shape) return false;
  }
  const StatusOr<MergeVerdict> verdict = may_merge_rows(executable_->graph());
  return verdict.ok() && verdict->mergeable;
}

Status PlannedSignature::run(std::span<const Tensor> args, std::vector<Tensor>& results,
                             const RunLimits& limits) {
  if (evictable_) return run_evictable(args, results, limits);
  return executable_ ? executable_->run(args, results, limits) : fault_of_model(unusable_);
}

Status PlannedSignature::run_evictable(std::span<const Tensor> args, std::vector<Tensor>& results,
                                       const RunLimits& limits) {
  last_used_.store(steady_microseconds(), std::memory_order_relaxed);
  std::shared_lock lock(mutex_);
  while (!executable_) {
    lock.unlock();
    TENON_RETURN_IF_ERROR(fault_of_model(plan(false)));
    lock.lock();
  }
  Status status = executable_->run(args, results, limits);
  has_arenas_.store(true, std::memory_order_relaxed);
  return status;
}

bool PlannedSignature::evict(Part part) {
  if (part == Part::kArenas) {
    if (!has_arenas_.exchange(false)) return false;
    model_->drop_idle_workspaces();
    return true;
  }
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || !executable_) return false;
  executable_.reset();
  model_->drop_executable(signature_.name);
  return true;
}

}  // namespace tenon::serving
