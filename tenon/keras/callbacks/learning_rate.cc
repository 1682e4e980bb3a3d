#include "tenon/keras/callbacks/monitor.h"

namespace tenon::keras {

namespace {

class ReduceLROnPlateauCallback final : public Callback {
 public:
  explicit ReduceLROnPlateauCallback(ReduceLROnPlateauOptions o) : o_(std::move(o)) {}
  Status on_train_begin(Model&) override {
    if (o_.factor >= 1) {
      return invalid_argument("ReduceLROnPlateau: factor is ", o_.factor, ", expected below 1");
    }
    TENON_ASSIGN_OR_RETURN(monitor_, callbacks::Monitor::create(o_.watch, o_.min_delta));
    cooldown_left_ = wait_ = 0;
    best_.reset();
    return absl::OkStatus();
  }
  Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) override {
    TENON_ASSIGN_OR_RETURN(const double rate, model.learning_rate());
    logs.emplace_back("learning_rate", rate);
    const double* current = callbacks::watched(logs, o_.watch, "ReduceLROnPlateau");
    if (!current) return absl::OkStatus();
    TENON_RETURN_IF_ERROR(monitor_->settle(model, class_name()));
    if (cooldown_left_ > 0) {
      --cooldown_left_;
      wait_ = 0;
    }
    if (monitor_->improves(*current, best_)) {
      best_ = *current;
      wait_ = 0;
    } else if (cooldown_left_ == 0 && ++wait_ >= o_.patience && rate > o_.min_lr) {
      const double lower = std::max(rate * o_.factor, o_.min_lr);
      TENON_RETURN_IF_ERROR(model.set_learning_rate(lower));
      if (o_.verbose > 0) {
        print(cat("\nEpoch ", epoch + 1, ": ReduceLROnPlateau reducing learning rate to ",
                  Json(lower).dump(), ".\n"));
      }
      cooldown_left_ = o_.cooldown;
      wait_ = 0;
    }
    return absl::OkStatus();
  }

  std::string_view class_name() const override { return "ReduceLROnPlateau"; }
  CallbackState state() const override {
    CallbackState state{callbacks::best_to_json(best_)};
    state.values.set("wait", wait_);
    state.values.set("cooldown", cooldown_left_);
    return state;
  }
  Status restore(Model&, const CallbackState& state) override {
    TENON_RETURN_IF_ERROR(callbacks::best_from_json(state.values, best_));
    TENON_RETURN_IF_ERROR(callbacks::read_count(state.values, "wait", wait_));
    return callbacks::read_count(state.values, "cooldown", cooldown_left_);
  }

 private:
  ReduceLROnPlateauOptions o_;
  std::optional<callbacks::Monitor> monitor_;
  int64_t cooldown_left_ = 0, wait_ = 0;
  std::optional<double> best_;
};

class LearningRateSchedulerCallback final : public Callback {
 public:
  LearningRateSchedulerCallback(std::function<double(int64_t, double)> schedule, int verbose)
      : schedule_(std::move(schedule)), verbose_(verbose) {}
  Status on_epoch_begin(Model& model, int64_t epoch) override {
    TENON_ASSIGN_OR_RETURN(const double before, model.learning_rate());
    const double rate = schedule_(epoch, before);
    if (verbose_ > 0) {
      print(cat("\nEpoch ", epoch + 1, ": LearningRateScheduler setting learning rate to ",
                Json(rate).dump(), ".\n"));
    }
    return model.set_learning_rate(rate);
  }
  Status on_epoch_end(Model& model, int64_t, Logs& logs) override {
    TENON_ASSIGN_OR_RETURN(const double rate, model.learning_rate());
    logs.emplace_back("learning_rate", rate);
    return absl::OkStatus();
  }

 private:
  std::function<double(int64_t, double)> schedule_;
  int verbose_;
};

}  // namespace

CallbackPtr ReduceLROnPlateau(ReduceLROnPlateauOptions options) {
  return std::make_shared<ReduceLROnPlateauCallback>(std::move(options));
}
CallbackPtr LearningRateScheduler(std::function<double(int64_t, double)> schedule, int verbose) {
  return std::make_shared<LearningRateSchedulerCallback>(std::move(schedule), verbose);
}

}  // namespace tenon::keras
