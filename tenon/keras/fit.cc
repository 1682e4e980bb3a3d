// Model::fit, evaluate, predict and train_on_batch.
#include <cmath>
#include <cstring>

#include "tenon/base/log.h"
#include "tenon/core/device.h"
#include "tenon/data/transforms.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/callbacks/progress_bar.h"
#include "tenon/keras/training_data.h"

namespace tenon::keras {

namespace {

Logs with_validation(const Logs& logs, const Logs& validation) {
  Logs all = logs;
  for (const auto& [name, value] : validation) all.emplace_back(cat("val_", name), value);
  return all;
}

// Tensors of `room` rows like those of `results`; the first `done` rows of the old ones stay.
Status make_room_for_rows(std::span<const Tensor> results, int64_t done, int64_t room,
                          std::vector<Tensor>& outputs) {
  std::vector<Tensor> larger;
  for (size_t i = 0; i < results.size(); ++i) {
    Shape whole = results[i].shape();
    if (whole.rank() == 0) return unimplemented("an output that is a scalar has no rows");
    whole.set(0, room);
    TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(results[i].dtype(), std::move(whole)));
    if (done > 0) {
      Tensor kept = tensor.slice(0, done);
      std::memcpy(kept.mutable_raw(), outputs[i].raw(), kept.num_bytes());
    }
    larger.push_back(std::move(tensor));
  }
  outputs = std::move(larger);
  return absl::OkStatus();
}

// Reads the means after a step where that needs no waiting, or `bar` is to show them. False: they
// were not read.
StatusOr<bool> read_means(Steps& steps, const ProgressBar& bar) {
  if (!steps.metrics_are_at_hand() && !bar.is_due()) return false;
  TENON_RETURN_IF_ERROR(steps.read_metrics());
  return true;
}

// Batches of a dataset that somebody else made.
Batches given(data::DatasetPtr dataset) { return {.dataset = std::move(dataset)}; }

}  // namespace

StatusOr<const Logs*> RunningMeans::read() const {
  TENON_RETURN_IF_ERROR(steps_.read_metrics());
  return &steps_.metrics();
}
bool RunningMeans::are_at_hand() const { return steps_.metrics_are_at_hand(); }

// One call of fit(), evaluate() or predict().
class Fit {
 public:
  Fit(Model& model, FitOptions options) : model_(model), options_(std::move(options)) {
    output_ = options_.output ? options_.output : write_stdout;
  }

  StatusOr<History> run(Inputs x, Targets y) {
    TENON_RETURN_IF_ERROR(check_options());
    TENON_RETURN_IF_ERROR(prepare(std::move(x), std::move(y)));
    return run();
  }
  StatusOr<History> run(data::DatasetPtr batches) {
    TENON_RETURN_IF_ERROR(check_options());
    if (options_.validation_split > 0) {
      return invalid_argument("validation_split is for rows in memory; give validation_batches");
    }
    if (!options_.sample_weight.empty()) {
      return invalid_argument("sample weights are the last part of a dataset's elements");
    }
    if (options_.validation_data) TENON_RETURN_IF_ERROR(prepare_validation());
    batches_ = given(std::move(batches));
    return run();
  }

  static StatusOr<Logs> evaluate(Model& model, Batches batches, uint64_t pass,
                                 const EvaluateOptions& options) {
    const std::vector<const Loss*> losses = model.losses();
    const int64_t size = batches.dataset->size();
    const int64_t most = options.steps > 0 ? options.steps : INT64_MAX;
    const int64_t expected = size < 0 ? options.steps : std::min(size, most);
    ProgressBar bar(expected > 0 ? expected : -1, options.verbose,
                    options.output ? options.output : write_stdout, steady_seconds);
    const data::DatasetPtr placed = on_device(model, batches);
    const bool is_copied = placed != batches.dataset;
    TENON_ASSIGN_OR_RETURN(const auto iterator,
                           (is_copied ? data::prefetch(placed) : placed)->iterate(pass));
    TENON_RETURN_IF_ERROR(model.steps().reset_metrics());
    data::Element batch;
    int64_t step = 0;
    for (; step < most; ++step) {
      TENON_ASSIGN_OR_RETURN(const bool more, iterator->next(batch));
      if (!more) break;
      TENON_RETURN_IF_ERROR(take_batch(model.network_, losses, {}, batches, batch));
      TENON_RETURN_IF_ERROR(model.steps().run(StepKind::kTest, batches.layout, batch));
      TENON_ASSIGN_OR_RETURN(const bool read, read_means(model.steps(), bar));
      if (options.verbose == 1 && read) bar.update(step + 1, model.steps().metrics(), false);
    }
    TENON_RETURN_IF_ERROR(model.steps().read_metrics());
    if (step == 0) return invalid_argument("there are no batches to evaluate");
    if (options.steps > 0 && step < options.steps) warn_of_end();
    if (options.verbose) bar.finish(step, model.steps().metrics());
    return model.steps().metrics();
  }

  static StatusOr<std::vector<Tensor>> predict(Model& model, Batches batches, int64_t rows);

 private:
  // The batches in the memory of the device that runs the steps, where it has one of its own. The
  // host looks at targets and weights that were not checked before, and at no inputs.
  static data::DatasetPtr on_device(const Model& model, const Batches& batches) {
    Device* device = DeviceRegistry::global().preferred();
    if (device->host_accessible()) return batches.dataset;
    return data::on_device(batches.dataset, device,
                           batches.checked ? SIZE_MAX : model.network_.inputs.size());
  }

  Status each_callback(FunctionRef<Status(Callback&)> call) {
    for (const auto& callback : options_.callbacks) TENON_RETURN_IF_ERROR(call(*callback));
    return absl::OkStatus();
  }

  Status check_options() {
    TENON_RETURN_IF_ERROR(model_.check_ready(true));
    if (options_.batch_size <= 0) {
      return invalid_argument("batch_size is ", options_.batch_size, ", expected more than 0");
    }
    if (!(options_.validation_split >= 0 && options_.validation_split < 1)) {
      return invalid_argument("validation_split is ", options_.validation_split,
                              ", expected a number from 0 to below 1");
    }
    if (options_.steps_per_epoch < 0 || options_.validation_steps < 0) {
      return invalid_argument("steps_per_epoch and validation_steps are 0 (all) or more, not ",
                              options_.steps_per_epoch, " and ", options_.validation_steps);
    }
    for (const auto& callback : options_.callbacks) callback->print = output_;
    if (options_.validation_batches) validation_ = given(options_.validation_batches);
    return absl::OkStatus();
  }

  Status prepare(Inputs x, Targets y) {
    SampleWeights weights = options_.sample_weight;
    if (!options_.class_weight.empty()) {
      if (!weights.empty() && weights[0].has_value()) {
        return invalid_argument("class_weight and sample_weight cannot be given together");
      }
      if (y.size() != 1 || !y[0].has_value() || y[0].rank() == 0) {
        return invalid_argument(
            "class_weight is for models with one output, whose targets have "
            "rows");
      }
      TENON_ASSIGN_OR_RETURN(Tensor by_row, weights_of_classes(y[0], options_.class_weight));
      weights = SampleWeights(std::move(by_row));
    }
    TENON_ASSIGN_OR_RETURN(
        TrainingColumns data,
        training_columns(model_.network_, model_.losses(), std::move(x), std::move(y), weights));
    if (options_.validation_split > 0 && !options_.validation_data && !validation_) {
      TENON_RETURN_IF_ERROR(split(data));
    }
    if (options_.validation_data) TENON_RETURN_IF_ERROR(prepare_validation());
    batches_.checked = true;
    batches_.layout = std::move(data.layout);
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, data::from_tensors(std::move(data.columns)));
    if (options_.shuffle) rows = data::shuffle(std::move(rows), data.rows, model_.seed_);
    batches_.dataset = data::batch(std::move(rows), options_.batch_size);
    return absl::OkStatus();
  }

  Status prepare_validation() {
    const ValidationData& v = *options_.validation_data;
    TENON_ASSIGN_OR_RETURN(TrainingColumns data, training_columns(model_.network_, model_.losses(),
                                                                  v.x, v.y, v.sample_weight));
    const int64_t size = options_.validation_batch_size;
    TENON_ASSIGN_OR_RETURN(validation_,
                           batches_of(std::move(data), size > 0 ? size : options_.batch_size));
    return absl::OkStatus();
  }

  // Keras: the last part of the rows, as they stand, validates.
  Status split(TrainingColumns& data) {
    const auto train = static_cast<int64_t>(
        std::floor(static_cast<double>(data.rows) * (1 - options_.validation_split)));
    if (train == 0 || train == data.rows) {
      return invalid_argument("validation_split is ", options_.validation_split, ", which leaves ",
                              train, " of ", data.rows, " rows to train on and ", data.rows - train,
                              " to judge on; both need one at least");
    }
    ValidationData validation;
    data::Element tails;
    for (Tensor& column : data.columns) {
      tails.push_back(column.slice(train, data.rows - train));
      column = column.slice(0, train);
    }
    const auto tail_at = [&](int place) {
      return place < 0 ? Tensor() : tails[static_cast<size_t>(place)];
    };
    for (size_t i = 0; i < data.layout.inputs; ++i) validation.x.push_back(tails[i]);
    for (int place : data.layout.targets) validation.y.push_back(tail_at(place));
    for (int place : data.layout.weights) validation.sample_weight.push_back(tail_at(place));
    data.rows = train;
    options_.validation_data = std::move(validation);
    return absl::OkStatus();
  }

  StatusOr<History> run() {
    batches_.dataset = data::prefetch(
        model_.strategy_ ? batches_.dataset : on_device(model_, batches_), options_.prefetch);
    losses_ = model_.losses();
    reader_.emplace(batches_.dataset);
    TENON_RETURN_IF_ERROR(reader_->restore(options_.steps_per_epoch > 0
                                               ? options_.initial_position
                                               : data::Position{first_pass(), 0}));
    model_.stop_training = false;
    TENON_RETURN_IF_ERROR(each_callback([&](Callback& c) { return c.on_train_begin(model_); }));
    // A callback that goes on from a checkpoint may find that training had been stopped.
    for (int64_t epoch = options_.initial_epoch; epoch < options_.epochs && !model_.stop_training;
         ++epoch) {
      TENON_RETURN_IF_ERROR(run_epoch(epoch));
    }
    if (model_.trained_) TENON_RETURN_IF_ERROR(model_.optimizer_->take_averages());
    TENON_RETURN_IF_ERROR(each_callback([&](Callback& c) { return c.on_train_end(model_); }));
    return std::move(history_);
  }

  uint64_t first_pass() const { return static_cast<uint64_t>(options_.initial_epoch); }

  // How many steps an epoch is expected to have; -1: that is not known.
  int64_t expected_steps() const {
    const int64_t size = batches_.dataset->size();
    if (options_.steps_per_epoch > 0) return options_.steps_per_epoch;
    return size >= 0 ? size : steps_seen_;
  }

  Status run_epoch(int64_t epoch) {
    Steps& steps = model_.steps();
    TENON_RETURN_IF_ERROR(steps.reset_metrics());
    ProgressBar bar(expected_steps(), options_.verbose, output_, steady_seconds);
    TENON_RETURN_IF_ERROR(
        each_callback([&](Callback& c) { return c.on_epoch_begin(model_, epoch); }));
    if (options_.verbose && options_.epochs > 1) {
      output_(cat("Epoch ", epoch + 1, "/", options_.epochs, "\n"));
    }
    const int64_t most = options_.steps_per_epoch > 0 ? options_.steps_per_epoch : INT64_MAX;
    const double begun = steady_seconds();
    double waited = 0;
    int64_t step = 0;
    while (step < most && !model_.stop_training) {
      const double asked = steady_seconds();
      TENON_ASSIGN_OR_RETURN(const bool more, next_batch(step));
      waited += steady_seconds() - asked;
      if (!more) break;
      TENON_RETURN_IF_ERROR(steps.run(StepKind::kTrain, batches_.layout, batch_));
      TENON_ASSIGN_OR_RETURN(const bool read, read_means(steps, bar));
      if (read) warn_of_nan(epoch, step);
      TENON_RETURN_IF_ERROR(each_callback(
          [&](Callback& c) { return c.on_batch_end(model_, step, RunningMeans(steps)); }));
      ++step;
      if (options_.verbose == 1 && read) bar.update(step, steps.metrics(), false);
    }
    TENON_RETURN_IF_ERROR(steps.read_metrics());
    warn_of_nan(epoch, step - 1);
    if (options_.steps_per_epoch > 0 && step < most && !model_.stop_training) warn_of_end();
    steps_seen_ = step;
    warn_of_slow_input(epoch, waited, steady_seconds() - begun);
    TENON_RETURN_IF_ERROR(end_of_epoch());
    return finish_epoch(epoch, step, bar);
  }

  // False at the end of the data; the next pass has then begun. Where an epoch of a given number of
  // steps begins there, its first batch is the next pass's.
  StatusOr<bool> next_batch(int64_t step) {
    TENON_ASSIGN_OR_RETURN(bool more, reader_->next(batch_));
    if (!more && step == 0 && options_.steps_per_epoch > 0) {
      TENON_ASSIGN_OR_RETURN(more, reader_->next(batch_));
    }
    if (!more && step == 0) return invalid_argument("there are no batches to train on");
    if (more) {
      TENON_RETURN_IF_ERROR(
          take_batch(model_.network_, losses_, options_.class_weight, batches_, batch_));
    }
    return more;
  }

  // An epoch is a pass, unless it has a number of steps: then passes go on from epoch to epoch.
  Status end_of_epoch() {
    const data::Position& at = reader_->position();
    const int64_t size = batches_.dataset->size();
    const bool whole = options_.steps_per_epoch == 0 ? at.elements > 0 : at.elements == size;
    if (whole) TENON_RETURN_IF_ERROR(reader_->restore({at.epoch + 1, 0}));
    model_.data_position_ = reader_->position();
    return absl::OkStatus();
  }

  Status finish_epoch(int64_t epoch, int64_t steps, ProgressBar& bar) {
    Logs logs = model_.steps().metrics();
    if (validation_ && (epoch + 1) % std::max<int64_t>(1, options_.validation_freq) == 0) {
      // As Keras' reset(): each time from the beginning.
      const EvaluateOptions evaluate{.verbose = 0, .steps = options_.validation_steps};
      TENON_ASSIGN_OR_RETURN(
          const Logs validation,
          Fit::evaluate(model_, *validation_, static_cast<uint64_t>(epoch), evaluate));
      logs = with_validation(logs, validation);
    }
    model_.epochs_done_ = epoch + 1;
    TENON_RETURN_IF_ERROR(
        each_callback([&](Callback& c) { return c.on_epoch_end(model_, epoch, logs); }));
    // As in Keras, where the bar is the last callback: it shows what the others have added.
    if (options_.verbose) bar.finish(steps, logs);
    history_.epoch.push_back(epoch);
    for (const auto& [name, value] : logs) history_.history[name].push_back(value);
    return absl::OkStatus();
  }

  void warn_of_nan(int64_t epoch, int64_t step) {
    const double* loss = find_log(model_.steps().metrics(), "loss");
    if (warned_ || !loss || std::isfinite(*loss)) return;
    warned_ = true;
    log_warning("the loss is no longer a finite number at epoch ", epoch + 1, ", step ", step + 1,
                "; a lower learning rate or clipnorm may help, TerminateOnNaN stops here");
  }

  // Not of epochs that are over soon, nor where faster data would gain little.
  static void warn_of_slow_input(int64_t epoch, double waited, double whole) {
    constexpr double kShortest = 1, kLeastShare = 0.2;
    if (whole < kShortest || waited < kLeastShare * whole) return;
    log_warning("input-bound: ", std::lround(100 * waited / whole), " % of epoch ", epoch + 1,
                " went by waiting for batches; rows that are cached once they are decoded, or "
                "decoded by more threads, would make it shorter");
  }

  static void warn_of_end() {
    log_warning(
        "Your input ran out of data; interrupting training. Make sure that your dataset or "
        "generator can generate at least `steps_per_epoch * epochs` batches. You may need "
        "to use the `.repeat()` function when building your dataset.");
  }

  Model& model_;
  FitOptions options_;
  std::function<void(std::string_view)> output_;
  std::vector<const Loss*> losses_;
  Batches batches_;
  std::optional<Batches> validation_;
  std::optional<data::Reader> reader_;
  data::Element batch_;
  int64_t steps_seen_ = -1;  // in the epoch before
  History history_;
  bool warned_ = false;
};

// `rows`: how many there are; -1: that is not known.
StatusOr<std::vector<Tensor>> Fit::predict(Model& model, Batches batches, int64_t rows) {
  TENON_ASSIGN_OR_RETURN(const auto iterator, batches.dataset->iterate(0));
  std::vector<Tensor> outputs;
  data::Element batch;
  int64_t done = 0, room = 0;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, iterator->next(batch));
    if (!more) break;
    TENON_RETURN_IF_ERROR(take_batch(model.network_, {}, {}, batches, batch));
    TENON_RETURN_IF_ERROR(model.steps().run(StepKind::kPredict, batches.layout, batch));
    const std::vector<Tensor>& results = model.steps().outputs();
    const int64_t count = batch[0].dim(0);
    if (done + count > room) {
      room = rows >= 0 ? rows : std::max(done + count, 2 * room);
      TENON_RETURN_IF_ERROR(make_room_for_rows(results, done, room, outputs));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].rank() == 0 || results[i].dim(0) != count) {
        return unimplemented("an output of shape ", results[i].shape(), " has no row for each of ",
                             count, " input rows");
      }
      Tensor part = outputs[i].slice(done, count);
      if (part.num_bytes() != results[i].num_bytes()) {
        return unimplemented("the shape of an output changes from batch to batch: ",
                             results[i].shape());
      }
      std::memcpy(part.mutable_raw(), results[i].raw(), results[i].num_bytes());
    }
    done += count;
  }
  if (done == 0) return invalid_argument("there are no rows");
  for (Tensor& output : outputs) output = output.slice(0, done);
  return outputs;
}

StatusOr<History> Model::fit(Inputs x, Targets y, FitOptions options) {
  return Fit(*this, std::move(options)).run(std::move(x), std::move(y));
}

StatusOr<History> Model::fit(data::DatasetPtr batches, FitOptions options) {
  return Fit(*this, std::move(options)).run(std::move(batches));
}

StatusOr<Logs> Model::evaluate(Inputs x, Targets y, EvaluateOptions options) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  if (options.batch_size <= 0) return invalid_argument("batch_size must be above 0");
  TENON_ASSIGN_OR_RETURN(
      TrainingColumns data,
      training_columns(network_, losses(), std::move(x), std::move(y), options.sample_weight));
  TENON_ASSIGN_OR_RETURN(Batches batches, batches_of(std::move(data), options.batch_size));
  return Fit::evaluate(*this, std::move(batches), 0, options);
}

StatusOr<Logs> Model::evaluate(data::DatasetPtr batches, EvaluateOptions options) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  return Fit::evaluate(*this, given(data::prefetch(std::move(batches))), 0, options);
}

StatusOr<std::vector<Tensor>> Model::predict(Inputs x, int64_t batch_size) {
  TENON_RETURN_IF_ERROR(check_ready(false));
  if (batch_size <= 0) return invalid_argument("batch_size must be above 0");
  TENON_ASSIGN_OR_RETURN(TrainingColumns data,
                         training_columns(network_, {}, std::move(x), {}, {}));
  const int64_t rows = data.rows;
  TENON_ASSIGN_OR_RETURN(Batches batches, batches_of(std::move(data), batch_size));
  return Fit::predict(*this, std::move(batches), rows);
}

StatusOr<std::vector<Tensor>> Model::predict(data::DatasetPtr batches) {
  TENON_RETURN_IF_ERROR(check_ready(false));
  return Fit::predict(*this, given(data::prefetch(std::move(batches))), -1);
}

StatusOr<Logs> Model::train_on_batch(Inputs x, Targets y, bool reset) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  TENON_ASSIGN_OR_RETURN(TrainingColumns data,
                         training_columns(network_, losses(), std::move(x), std::move(y), {}));
  if (reset) TENON_RETURN_IF_ERROR(steps().reset_metrics());
  TENON_RETURN_IF_ERROR(steps().run(StepKind::kTrain, data.layout, data.columns));
  TENON_RETURN_IF_ERROR(steps().read_metrics());
  return steps().metrics();
}

}  // namespace tenon::keras
