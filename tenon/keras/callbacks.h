// Callbacks: what happens beside training. Keras' callbacks, defaults and messages.
//
// A callback is one file in callbacks/; the command line makes them from the
// text of --callbacks (tenon/cli/training/callback_spec.h).
#pragma once

#include "tenon/keras/model.h"

namespace tenon::keras {

// What a callback has seen so far: stored in checkpoints, so that training goes on as if it had
// never stopped.
struct CallbackState {
  Json values = Json::object();
  std::vector<Tensor> tensors = {};
};

class Steps;

// The running means after a step. A device may be at work on it: it is waited for only when they
// are read.
class RunningMeans {
 public:
  explicit RunningMeans(Steps& steps) : steps_(steps) {}
  // Valid until the next step.
  StatusOr<const Logs*> read() const;
  // Does read() not wait?
  bool are_at_hand() const;

 private:
  Steps& steps_;
};

// Called by fit() on its thread, in the order given. An error ends fit() with that error.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual Status on_train_begin(Model& model) {
    (void)model;
    return absl::OkStatus();
  }
  virtual Status on_epoch_begin(Model& model, int64_t epoch) {
    (void)model, (void)epoch;
    return absl::OkStatus();
  }
  // After step `step` (from 0) of the epoch.
  virtual Status on_batch_end(Model& model, int64_t step, const RunningMeans& means) {
    (void)model, (void)step, (void)means;
    return absl::OkStatus();
  }
  // May add to `logs` what later callbacks and the history shall see (ReduceLROnPlateau).
  virtual Status on_epoch_end(Model& model, int64_t epoch, Logs& logs) {
    (void)model, (void)epoch, (void)logs;
    return absl::OkStatus();
  }
  virtual Status on_train_end(Model& model) {
    (void)model;
    return absl::OkStatus();
  }
  // Keras' name of the class, for those whose state is worth keeping; else empty.
  virtual std::string_view class_name() const { return ""; }
  virtual CallbackState state() const { return {}; }
  // Goes on from what state() gave in another process; after on_train_begin(). Untrusted:
  // INVALID_ARGUMENT when it is none of this callback's.
  virtual Status restore(Model& model, const CallbackState& state) {
    (void)model, (void)state;
    return absl::OkStatus();
  }
  // Where messages go; set by fit().
  std::function<void(std::string_view)> print = [](std::string_view) {};
};

using CallbackPtr = std::shared_ptr<Callback>;

// What is watched and which way is better. mode "auto": losses down, accuracies up.
struct MonitorOptions {
  std::string monitor = "val_loss";
  std::string mode = "auto";
};

struct EarlyStoppingOptions {
  MonitorOptions watch = {};
  double min_delta = 0;
  int64_t patience = 0;
  int verbose = 0;
  std::optional<double> baseline = {};
  bool restore_best_weights = false;
  int64_t start_from_epoch = 0;
};
CallbackPtr EarlyStopping(EarlyStoppingOptions options = {});

struct ModelCheckpointOptions {
  std::string
      filepath;  // *.keras, or *.weights.h5 with save_weights_only; {epoch:02d}, {val_loss:.2f}
  MonitorOptions watch = {};
  int verbose = 0;
  bool save_best_only = false;
  bool save_weights_only = false;
};
CallbackPtr ModelCheckpoint(ModelCheckpointOptions options);

struct CSVLoggerOptions {
  std::string filename = {};
  char separator = ',';
  bool append = false;
};
CallbackPtr CSVLogger(CSVLoggerOptions options);

// Scalars, as keras.callbacks.TensorBoard writes them: LOG_DIR/train and LOG_DIR/validation, tags
// epoch_loss, epoch_accuracy, ..., epoch_learning_rate.
CallbackPtr TensorBoard(std::string log_dir = "logs");

CallbackPtr TerminateOnNaN();

struct ReduceLROnPlateauOptions {
  MonitorOptions watch = {};
  double factor = 0.1;
  int64_t patience = 10;
  int verbose = 0;
  double min_delta = 1e-4;
  int64_t cooldown = 0;
  double min_lr = 0;
};
CallbackPtr ReduceLROnPlateau(ReduceLROnPlateauOptions options = {});

// The rate of each epoch from its number and the rate so far.
CallbackPtr LearningRateScheduler(std::function<double(int64_t epoch, double rate)> schedule,
                                  int verbose = 0);

}  // namespace tenon::keras
