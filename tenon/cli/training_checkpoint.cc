#include "tenon/cli/training_checkpoint.h"

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/device.h"
#include "tenon/saved_model/checkpoint.h"

namespace tenon::cli {
namespace {

class CheckpointCallback final : public keras::Callback {
 public:
  CheckpointCallback(std::string folder, uint64_t seed) : folder_(std::move(folder)), seed_(seed) {}
  Status on_train_begin(keras::Model&) override { return create_directories(folder_); }
  Status on_batch_end(keras::Model&, int64_t, const keras::Logs&) override {
    ++steps_;
    return absl::OkStatus();
  }
  Status on_epoch_end(keras::Model& model, int64_t epoch, keras::Logs&) override {
    std::vector<NamedTensor> values;
    for (const keras::Weight* weight : model.checkpoint_variables()) {
      TENON_ASSIGN_OR_RETURN(Tensor value, weight->variable->read());
      values.push_back({weight->path, std::move(value)});
    }
    const TrainingProgress progress = {.epoch = epoch + 1,
                                       .step = steps_,
                                       .seed = seed_,
                                       .isa = cpu_device()->description(),
                                       .threads = ThreadPool::configured_threads()};
    return with_context(save_checkpoint(folder_, progress, values).status(),
                        "writing a checkpoint");
  }

 private:
  const std::string folder_;
  const uint64_t seed_;
  int64_t steps_ = 0;  // of this process
};

void warn_of_differences(const TrainingProgress& then) {
  const std::string isa = cpu_device()->description();
  const int64_t threads = ThreadPool::configured_threads();
  if (then.isa != isa) {
    log_warning("the checkpoint was made on ", then.isa, ", this machine is ", isa,
                ": bits will differ");
  }
  if (then.threads != threads) {
    log_warning("the checkpoint was made with --threads=", then.threads, ", now it is ", threads,
                ": bits will differ");
  }
}

// Checks all before it changes any.
Status assign_weights(const Checkpoint& checkpoint, std::span<keras::Weight* const> weights) {
  std::vector<const Tensor*> values;
  for (const keras::Weight* weight : weights) {
    const Tensor* value = checkpoint.find(weight->path);
    if (!value) {
      return invalid_argument("the checkpoint has no variable ", weight->path,
                              ": it is of another model or optimizer");
    }
    if (value->dtype() != weight->dtype || !(value->shape() == weight->shape)) {
      return invalid_argument("variable ", weight->path, " is ", value->dtype(), " ",
                              value->shape(), " in the checkpoint, the model has ", weight->dtype,
                              " ", weight->shape);
    }
    values.push_back(value);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    TENON_RETURN_IF_ERROR(weights[i]->variable->assign(values[i]->clone()));
  }
  return absl::OkStatus();
}

}  // namespace

keras::CallbackPtr checkpoint_callback(const std::string& folder, uint64_t seed) {
  return std::make_shared<CheckpointCallback>(folder, seed);
}

StatusOr<int64_t> resume_training(keras::Model& model, const std::string& folder) {
  if (!path_exists(join_path(folder, "checkpoint"))) return 0;
  TENON_ASSIGN_OR_RETURN(const Checkpoint checkpoint, load_latest_checkpoint(folder));
  TENON_RETURN_IF_ERROR(with_context(assign_weights(checkpoint, model.checkpoint_variables()),
                                     cat("resuming from '", folder, "'")));
  warn_of_differences(checkpoint.progress);
  model.set_epochs_done(checkpoint.progress.epoch);
  return checkpoint.progress.epoch;
}

Status restore_weights(keras::Model& model, const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const Checkpoint checkpoint, load_latest_checkpoint(folder));
  return with_context(assign_weights(checkpoint, model.weights()),
                      cat("the checkpoint in '", folder, "'"));
}

}  // namespace tenon::cli
