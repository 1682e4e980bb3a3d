#include "tenon/keras/callbacks/monitor.h"

namespace tenon::keras {

namespace {

class EarlyStoppingCallback final : public Callback {
 public:
  explicit EarlyStoppingCallback(EarlyStoppingOptions o) : o_(std::move(o)) {}
  Status on_train_begin(Model&) override {
    TENON_ASSIGN_OR_RETURN(monitor_, callbacks::Monitor::create(o_.watch, o_.min_delta));
    wait_ = stopped_ = best_epoch_ = 0;
    best_.reset();
    best_weights_.reset();
    return absl::OkStatus();
  }
  Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) override {
    const double* current = callbacks::watched(logs, o_.watch, "EarlyStopping");
    if (!current || epoch < o_.start_from_epoch) return absl::OkStatus();
    TENON_RETURN_IF_ERROR(monitor_->settle(model, class_name()));
    const bool better = monitor_->improves(*current, best_);
    if (o_.restore_best_weights && (better || !best_weights_)) {
      TENON_ASSIGN_OR_RETURN(best_weights_, callbacks::copy_weights(model));
      best_epoch_ = epoch;
    }
    ++wait_;
    if (better) {
      best_ = *current;
      best_epoch_ = epoch;
      if (monitor_->improves(*current, o_.baseline)) wait_ = 0;
      return absl::OkStatus();
    }
    if (wait_ >= o_.patience && epoch > 0) {
      stopped_ = epoch;
      model.stop_training = true;
    }
    return absl::OkStatus();
  }
  Status on_train_end(Model& model) override {
    if (stopped_ > 0 && o_.verbose > 0) print(cat("Epoch ", stopped_ + 1, ": early stopping\n"));
    if (!best_weights_) return absl::OkStatus();
    if (o_.verbose > 0) {
      print(
          cat("Restoring model weights from the end of the best epoch: ", best_epoch_ + 1, ".\n"));
    }
    return callbacks::restore_weights(model, *best_weights_);
  }

  std::string_view class_name() const override { return "EarlyStopping"; }
  CallbackState state() const override {
    CallbackState state{callbacks::best_to_json(best_), best_weights_.value_or(Tensors())};
    state.values.set("wait", wait_);
    state.values.set("stopped", stopped_);
    state.values.set("best_epoch", best_epoch_);
    return state;
  }
  Status restore(Model& model, const CallbackState& state) override {
    TENON_RETURN_IF_ERROR(callbacks::best_from_json(state.values, best_));
    TENON_RETURN_IF_ERROR(callbacks::read_count(state.values, "wait", wait_));
    TENON_RETURN_IF_ERROR(callbacks::read_count(state.values, "stopped", stopped_));
    TENON_RETURN_IF_ERROR(callbacks::read_count(state.values, "best_epoch", best_epoch_));
    if (!state.tensors.empty()) {
      TENON_RETURN_IF_ERROR(callbacks::check_weights(model, state.tensors));
      best_weights_ = state.tensors;
    }
    if (stopped_ > 0) model.stop_training = true;
    return absl::OkStatus();
  }

 private:
  using Tensors = std::vector<Tensor>;
  EarlyStoppingOptions o_;
  std::optional<callbacks::Monitor> monitor_;
  int64_t wait_ = 0, stopped_ = 0, best_epoch_ = 0;
  std::optional<double> best_;
  std::optional<Tensors> best_weights_;
};

}  // namespace

CallbackPtr EarlyStopping(EarlyStoppingOptions options) {
  return std::make_shared<EarlyStoppingCallback>(std::move(options));
}

}  // namespace tenon::keras
