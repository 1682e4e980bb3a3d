// Model::fit, evaluate, predict and train_on_batch.
#include <cmath>
#include <cstring>

#include "tenon/base/log.h"
#include "tenon/data/dataset.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/progress_bar.h"
#include "tenon/keras/steps.h"

namespace tenon::keras {

namespace {

// Batches that are made while a step runs.
constexpr int kBatchesAhead = 2;

int64_t count_steps(int64_t rows, int64_t batch_size) {
  return (rows + batch_size - 1) / batch_size;
}

// Inputs, targets and weights as the columns of a dataset, checked.
struct TrainingColumns {
  data::Element columns;
  BatchLayout layout;
  int64_t rows = 0;
};

void match_input_ranks(const Network& network, Inputs& x) {
  for (size_t i = 0; i < std::min(x.size(), network.inputs.size()); ++i) {
    x[i] = match_input_rank(std::move(x[i]), network.inputs[i].shape());
  }
}

Status check_input_rows(const Network& network, const data::Element& columns) {
  if (columns.size() < network.inputs.size()) {
    return invalid_argument("the model has ", network.inputs.size(), " inputs, ", columns.size(),
                            " were given");
  }
  for (const Tensor& column : columns) {
    if (!column.has_value() || column.rank() == 0) {
      return invalid_argument("data without rows: a tensor of at least one dimension is expected");
    }
    if (column.dim(0) != columns[0].dim(0)) {
      std::vector<int64_t> rows;
      for (const Tensor& each : columns) rows.push_back(each.rank() > 0 ? each.dim(0) : 0);
      return invalid_argument("data cardinality is ambiguous: the arrays have ", join(rows, ", "),
                              " rows; make sure that all have the same number");
    }
  }
  if (columns[0].dim(0) == 0) return invalid_argument("there are no rows");
  return absl::OkStatus();
}

StatusOr<TrainingColumns> training_columns(const Network& network, const Loss* loss, Inputs x,
                                           Tensor y, Tensor weights) {
  TrainingColumns data;
  match_input_ranks(network, x);
  data.layout.inputs = x.size();
  data.layout.has_targets = y.has_value();
  data.layout.has_weights = weights.has_value();
  data.columns.assign(x.begin(), x.end());
  if (y.has_value()) data.columns.push_back(y);
  if (weights.has_value()) data.columns.push_back(std::move(weights));
  TENON_RETURN_IF_ERROR(check_input_rows(network, data.columns));
  data.rows = data.columns[0].dim(0);
  if (loss) {
    if (!y.has_value()) return invalid_argument("training and evaluation need targets");
    const PartialShape& predictions = network.outputs[0].shape();
    const int64_t classes = predictions.rank() > 0 ? predictions[predictions.rank() - 1] : -1;
    if (loss->wants_class_numbers() && classes > 0) {
      TENON_RETURN_IF_ERROR(check_classes(y, classes, 0));
    }
  }
  return data;
}

// Weights of rows from weights of classes.
StatusOr<Tensor> weights_of_classes(const Tensor& y, const std::map<int64_t, double>& by_class) {
  Tensor weights(DType::kFloat, Shape{y.dim(0)});
  const int64_t each = y.num_elements() / std::max<int64_t>(1, y.dim(0));
  Status status;
  const bool known = visit<RealTypes>(y.dtype(), [&]<class T>() {
    for (int64_t row = 0; row < y.dim(0); ++row) {
      const T* values = y.data<T>() + row * each;
      int64_t label = 0;
      if (each == 1) {
        label = static_cast<int64_t>(values[0]);
      } else {
        for (int64_t i = 1; i < each; ++i) label = values[i] > values[label] ? i : label;
      }
      const auto it = by_class.find(label);
      weights.mutable_data<float>()[row] =
          it == by_class.end() ? 1.0f : static_cast<float>(it->second);
    }
  });
  if (!known) return invalid_argument("class_weight needs numbers as labels, not ", y.dtype());
  return weights;
}

Logs with_validation(const Logs& logs, const Logs& validation) {
  Logs all = logs;
  for (const auto& [name, value] : validation) all.emplace_back(cat("val_", name), value);
  return all;
}

}  // namespace

// One call of fit().
class Fit {
 public:
  Fit(Model& model, FitOptions options) : model_(model), options_(std::move(options)) {
    output_ = options_.output ? options_.output : write_stdout;
  }

  StatusOr<History> run(Inputs x, Tensor y) {
    TENON_RETURN_IF_ERROR(prepare(std::move(x), std::move(y)));
    model_.stop_training = false;
    TENON_RETURN_IF_ERROR(each_callback([&](Callback& c) { return c.on_train_begin(model_); }));
    // A callback that goes on from a checkpoint may find that training had been stopped.
    for (int64_t epoch = options_.initial_epoch; epoch < options_.epochs && !model_.stop_training;
         ++epoch) {
      TENON_RETURN_IF_ERROR(run_epoch(epoch));
    }
    TENON_RETURN_IF_ERROR(each_callback([&](Callback& c) { return c.on_train_end(model_); }));
    return std::move(history_);
  }

 private:
  Status each_callback(FunctionRef<Status(Callback&)> call) {
    for (const auto& callback : options_.callbacks) TENON_RETURN_IF_ERROR(call(*callback));
    return absl::OkStatus();
  }

  Status prepare(Inputs x, Tensor y) {
    TENON_RETURN_IF_ERROR(model_.check_ready(true));
    if (options_.batch_size <= 0) {
      return invalid_argument("batch_size is ", options_.batch_size, ", expected more than 0");
    }
    if (!(options_.validation_split >= 0 && options_.validation_split < 1)) {
      return invalid_argument("validation_split is ", options_.validation_split,
                              ", expected a number from 0 to below 1");
    }
    for (const auto& callback : options_.callbacks) callback->print = output_;
    Tensor weights = options_.sample_weight;
    if (!options_.class_weight.empty()) {
      if (weights.has_value()) {
        return invalid_argument("class_weight and sample_weight cannot be given together");
      }
      TENON_ASSIGN_OR_RETURN(weights, weights_of_classes(y, options_.class_weight));
    }
    TENON_ASSIGN_OR_RETURN(
        TrainingColumns data,
        training_columns(model_.network_, model_.loss_.get(), std::move(x), std::move(y), weights));
    if (options_.validation_split > 0 && !options_.validation_data) {
      TENON_RETURN_IF_ERROR(split(data));
    }
    if (options_.validation_data) {
      const ValidationData& v = *options_.validation_data;
      TENON_RETURN_IF_ERROR(
          training_columns(model_.network_, model_.loss_.get(), v.x, v.y, v.sample_weight)
              .status());
    }
    layout_ = data.layout;
    steps_ = count_steps(data.rows, options_.batch_size);
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, data::from_tensors(std::move(data.columns)));
    if (options_.shuffle) rows = data::shuffle(std::move(rows), data.rows, model_.seed_);
    batches_ = data::prefetch(data::batch(std::move(rows), options_.batch_size), kBatchesAhead);
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
    for (size_t i = 0; i < data.columns.size(); ++i) {
      Tensor tail = data.columns[i].slice(train, data.rows - train);
      data.columns[i] = data.columns[i].slice(0, train);
      if (i < data.layout.inputs) {
        validation.x.push_back(std::move(tail));
      } else if (i == data.layout.inputs) {
        validation.y = std::move(tail);
      } else {
        validation.sample_weight = std::move(tail);
      }
    }
    data.rows = train;
    options_.validation_data = std::move(validation);
    return absl::OkStatus();
  }

  Status run_epoch(int64_t epoch) {
    Steps& steps = model_.steps();
    TENON_RETURN_IF_ERROR(steps.reset_metrics());
    ProgressBar bar(steps_, options_.verbose, output_, steady_seconds);
    TENON_RETURN_IF_ERROR(
        each_callback([&](Callback& c) { return c.on_epoch_begin(model_, epoch); }));
    if (options_.verbose && options_.epochs > 1) {
      output_(cat("Epoch ", epoch + 1, "/", options_.epochs, "\n"));
    }
    TENON_ASSIGN_OR_RETURN(const auto batches, batches_->iterate(static_cast<uint64_t>(epoch)));
    for (int64_t step = 0;; ++step) {
      TENON_ASSIGN_OR_RETURN(const bool more, batches->next(batch_));
      if (!more) break;
      TENON_RETURN_IF_ERROR(steps.run(StepKind::kTrain, layout_, batch_));
      warn_of_nan(epoch, step);
      TENON_RETURN_IF_ERROR(each_callback(
          [&](Callback& c) { return c.on_batch_end(model_, step, steps.metrics()); }));
      if (options_.verbose == 1) bar.update(step + 1, steps.metrics(), false);
      if (model_.stop_training) break;
    }
    return finish_epoch(epoch, bar);
  }

  Status finish_epoch(int64_t epoch, ProgressBar& bar) {
    Logs logs = model_.steps().metrics();
    if (options_.validation_data &&
        (epoch + 1) % std::max<int64_t>(1, options_.validation_freq) == 0) {
      const ValidationData& v = *options_.validation_data;
      EvaluateOptions evaluate{.batch_size = options_.validation_batch_size > 0
                                                 ? options_.validation_batch_size
                                                 : options_.batch_size,
                               .verbose = 0,
                               .sample_weight = v.sample_weight};
      TENON_ASSIGN_OR_RETURN(const Logs validation, model_.evaluate(v.x, v.y, evaluate));
      logs = with_validation(logs, validation);
    }
    model_.epochs_done_ = epoch + 1;
    TENON_RETURN_IF_ERROR(
        each_callback([&](Callback& c) { return c.on_epoch_end(model_, epoch, logs); }));
    // As in Keras, where the bar is the last callback: it shows what the others have added.
    if (options_.verbose) bar.update(steps_, logs, true);
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

  Model& model_;
  FitOptions options_;
  std::function<void(std::string_view)> output_;
  BatchLayout layout_;
  int64_t steps_ = 0;
  data::DatasetPtr batches_;
  data::Element batch_;
  History history_;
  bool warned_ = false;
};

StatusOr<History> Model::fit(Inputs x, Tensor y, FitOptions options) {
  return Fit(*this, std::move(options)).run(std::move(x), std::move(y));
}

StatusOr<Logs> Model::evaluate(Inputs x, Tensor y, EvaluateOptions options) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  if (options.batch_size <= 0) return invalid_argument("batch_size must be above 0");
  TENON_ASSIGN_OR_RETURN(
      TrainingColumns data,
      training_columns(network_, loss_.get(), std::move(x), std::move(y), options.sample_weight));
  const int64_t count = count_steps(data.rows, options.batch_size);
  ProgressBar bar(count, options.verbose, options.output ? options.output : write_stdout,
                  steady_seconds);
  TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, data::from_tensors(std::move(data.columns)));
  TENON_ASSIGN_OR_RETURN(const auto batches, data::batch(rows, options.batch_size)->iterate(0));
  TENON_RETURN_IF_ERROR(steps().reset_metrics());
  data::Element batch;
  for (int64_t step = 1;; ++step) {
    TENON_ASSIGN_OR_RETURN(const bool more, batches->next(batch));
    if (!more) break;
    TENON_RETURN_IF_ERROR(steps().run(StepKind::kTest, data.layout, batch));
    if (options.verbose == 1) bar.update(step, steps().metrics(), false);
  }
  if (options.verbose) bar.update(count, steps().metrics(), true);
  return steps().metrics();
}

StatusOr<std::vector<Tensor>> Model::predict(Inputs x, int64_t batch_size) {
  TENON_RETURN_IF_ERROR(check_ready(false));
  if (batch_size <= 0) return invalid_argument("batch_size must be above 0");
  TENON_ASSIGN_OR_RETURN(TrainingColumns data,
                         training_columns(network_, nullptr, std::move(x), {}, {}));
  TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, data::from_tensors(std::move(data.columns)));
  TENON_ASSIGN_OR_RETURN(const auto batches, data::batch(rows, batch_size)->iterate(0));
  std::vector<Tensor> outputs;
  data::Element batch;
  int64_t done = 0;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, batches->next(batch));
    if (!more) return outputs;
    TENON_RETURN_IF_ERROR(steps().run(StepKind::kPredict, data.layout, batch));
    const std::vector<Tensor>& results = steps().outputs();
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i].rank() == 0 || results[i].dim(0) != batch[0].dim(0)) {
        return unimplemented("an output of shape ", results[i].shape(), " has no row for each of ",
                             batch[0].dim(0), " input rows");
      }
      if (done == 0) {
        Shape whole = results[i].shape();
        whole.set(0, data.rows);
        TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(results[i].dtype(), whole));
        outputs.push_back(std::move(tensor));
      }
      Tensor part = outputs[i].slice(done, batch[0].dim(0));
      std::memcpy(part.mutable_raw(), results[i].raw(), results[i].num_bytes());
    }
    done += batch[0].dim(0);
  }
}

StatusOr<Logs> Model::train_on_batch(Inputs x, Tensor y, bool reset) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  match_input_ranks(network_, x);
  BatchLayout layout{.inputs = x.size()};
  x.push_back(std::move(y));
  if (reset) TENON_RETURN_IF_ERROR(steps().reset_metrics());
  TENON_RETURN_IF_ERROR(steps().run(StepKind::kTrain, layout, x));
  return steps().metrics();
}

}  // namespace tenon::keras
