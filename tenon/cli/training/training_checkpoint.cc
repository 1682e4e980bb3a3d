#include "tenon/cli/training/training_checkpoint.h"

#include "tenon/base/files.h"
#include "tenon/base/log.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/device.h"

namespace tenon::cli {
namespace {

constexpr std::string_view kCallbackPrefix = "callbacks/";

// How a model is compiled, as far as a resumed run must agree with it.
keras::Json compiled_as(const keras::Model& model) {
  const keras::Json json = model.to_json();
  const keras::Json& compile = json["compile_config"];
  return keras::Json::object({{"optimizer", compile["optimizer"]}, {"loss", compile["loss"]}});
}

class CheckpointCallback final : public keras::Callback {
 public:
  CheckpointCallback(std::string folder, uint64_t seed, std::vector<keras::CallbackPtr> callbacks,
                     const TrainingCheckpoint* from, bool writes)
      : folder_(std::move(folder)),
        seed_(seed),
        callbacks_(std::move(callbacks)),
        from_(from),
        writes_(writes) {
    if (from) steps_ = from->checkpoint.progress.step;
  }
  Status on_train_begin(keras::Model& model) override {
    if (writes_) TENON_RETURN_IF_ERROR(create_directories(folder_));
    return from_ ? with_context(restore_callbacks(model), "resuming") : absl::OkStatus();
  }
  Status on_batch_end(keras::Model&, int64_t, const keras::RunningMeans&) override {
    ++steps_;
    return absl::OkStatus();
  }
  Status on_epoch_end(keras::Model& model, int64_t epoch, keras::Logs&) override {
    if (!writes_) return absl::OkStatus();
    std::vector<NamedTensor> values;
    for (const keras::Weight* weight : model.checkpoint_variables()) {
      TENON_ASSIGN_OR_RETURN(Tensor value, weight->variable->read());
      values.push_back({weight->path, std::move(value)});
    }
    keras::Json details = compiled_as(model);
    details.set("data_names", keras::data_names_to_json(model.data_names()));
    details.set("data_position", data::to_string(model.data_position()));
    details.set("callbacks", callback_states(values));
    const TrainingProgress progress = {.epoch = epoch + 1,
                                       .step = steps_,
                                       .seed = seed_,
                                       .isa = cpu_device()->description(),
                                       .threads = ThreadPool::configured_threads(),
                                       .details = details.dump()};
    return with_context(save_checkpoint(folder_, progress, values).status(),
                        "writing a checkpoint");
  }

 private:
  // [{"class_name", "values", "tensors": how many}]; the tensors go to `values`.
  keras::Json callback_states(std::vector<NamedTensor>& values) const {
    keras::Json list{keras::Json::Array()};
    for (const keras::CallbackPtr& callback : callbacks_) {
      if (callback->class_name().empty()) continue;
      keras::CallbackState state = callback->state();
      const std::string prefix = cat(kCallbackPrefix, list.items()->size(), "/");
      for (size_t i = 0; i < state.tensors.size(); ++i) {
        values.push_back({cat(prefix, i), state.tensors[i]});
      }
      list.push(keras::Json::object({{"class_name", callback->class_name()},
                                     {"values", std::move(state.values)},
                                     {"tensors", static_cast<int64_t>(state.tensors.size())}}));
    }
    return list;
  }

  // Callbacks get the states of those of their class, in order.
  Status restore_callbacks(keras::Model& model) const {
    static const keras::Json::Array kNone;
    const auto* items = from_->details["callbacks"].items();
    const keras::Json::Array& states = items ? *items : kNone;
    std::vector<bool> used(states.size());
    for (const keras::CallbackPtr& callback : callbacks_) {
      if (callback->class_name().empty()) continue;
      size_t at = 0;
      while (at < states.size() &&
             (used[at] || states[at].text("class_name") != callback->class_name())) {
        ++at;
      }
      if (at == states.size()) {
        log_warning("the checkpoint knows nothing of ", callback->class_name(), ": it starts anew");
        continue;
      }
      used[at] = true;
      keras::CallbackState state{states[at]["values"], {}};
      const int64_t* tensors = states[at]["tensors"].integer();
      for (int64_t i = 0; tensors && i < *tensors; ++i) {
        const Tensor* value = from_->checkpoint.find(cat(kCallbackPrefix, at, "/", i));
        if (!value) return data_loss("the checkpoint lacks weights of ", callback->class_name());
        state.tensors.push_back(*value);
      }
      TENON_RETURN_IF_ERROR(callback->restore(model, state));
    }
    return absl::OkStatus();
  }

  const std::string folder_;
  const uint64_t seed_;
  const std::vector<keras::CallbackPtr> callbacks_;
  const TrainingCheckpoint* from_;
  const bool writes_;
  int64_t steps_ = 0;
};

Status check_same_run(const keras::Model& model, const TrainingCheckpoint& from, uint64_t seed) {
  const uint64_t then = from.checkpoint.progress.seed;
  if (then != seed) {
    return failed_precondition("the checkpoint was made with --seed=", then, ", now it is ", seed,
                               "; go on with the same, or start in another folder");
  }
  const keras::Json now = compiled_as(model);
  for (const char* what : {"optimizer", "loss"}) {
    const keras::Json& before = from.details[what];
    if (before.is_null() || before == now[what]) continue;
    return failed_precondition("the checkpoint was made with another ", what, ": ", before.dump(),
                               ", now it is ", now[what].dump(),
                               "; go on with the same, or start in another folder");
  }
  return absl::OkStatus();
}

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

// Reads what the training noted in it.
StatusOr<TrainingCheckpoint> with_details(Checkpoint checkpoint, const std::string& folder) {
  TrainingCheckpoint found;
  found.checkpoint = std::move(checkpoint);
  const std::string& details = found.checkpoint.progress.details;
  if (!details.empty()) {
    StatusOr<keras::Json> json = keras::Json::parse(details);
    if (!json.ok()) return with_context(json.status(), cat("the checkpoint in '", folder, "'"));
    found.details = *std::move(json);
    TENON_ASSIGN_OR_RETURN(found.data_names,
                           keras::data_names_from_json(found.details["data_names"]));
    if (const std::string position = found.details.text("data_position"); !position.empty()) {
      TENON_ASSIGN_OR_RETURN(found.data_position, data::parse_position(position));
    }
  }
  return found;
}

}  // namespace

StatusOr<std::optional<TrainingCheckpoint>> newest_checkpoint(const std::string& folder) {
  if (!path_exists(join_path(folder, "checkpoint"))) return std::nullopt;
  TENON_ASSIGN_OR_RETURN(Checkpoint newest, load_latest_checkpoint(folder));
  return with_details(std::move(newest), folder);
}

StatusOr<std::optional<TrainingCheckpoint>> checkpoint_of(const std::string& folder,
                                                          int64_t epoch) {
  StatusOr<Checkpoint> found = load_checkpoint(join_path(folder, cat("ckpt-", epoch)));
  if (absl::IsNotFound(found.status())) return std::nullopt;
  TENON_RETURN_IF_ERROR(found.status());
  return with_details(*std::move(found), folder);
}

keras::CallbackPtr checkpoint_callback(const std::string& folder, uint64_t seed,
                                       std::vector<keras::CallbackPtr> callbacks,
                                       const TrainingCheckpoint* from, bool writes) {
  return std::make_shared<CheckpointCallback>(folder, seed, std::move(callbacks), from, writes);
}

Status resume_training(keras::Model& model, const TrainingCheckpoint& from, uint64_t seed) {
  TENON_RETURN_IF_ERROR(with_context(check_same_run(model, from, seed), "resuming"));
  TENON_RETURN_IF_ERROR(
      with_context(assign_weights(from.checkpoint, model.checkpoint_variables()), "resuming"));
  warn_of_differences(from.checkpoint.progress);
  model.set_epochs_done(from.checkpoint.progress.epoch);
  return absl::OkStatus();
}

Status restore_weights(keras::Model& model, const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const auto from, newest_checkpoint(folder));
  if (!from) return not_found("'", folder, "' has no checkpoint");
  return with_context(restore_weights(model, *from), cat("the checkpoint in '", folder, "'"));
}

Status restore_weights(keras::Model& model, const TrainingCheckpoint& from) {
  TENON_RETURN_IF_ERROR(assign_weights(from.checkpoint, model.weights()));
  model.set_data_names(from.data_names);
  return absl::OkStatus();
}

}  // namespace tenon::cli
