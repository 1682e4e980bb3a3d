// Model::fit, evaluate, predict and train_on_batch.
#include <cmath>
#include <cstring>

#include "tenon/base/log.h"
#include "tenon/data/dataset.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/callbacks/progress_bar.h"
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

// Of what is given for the outputs, where each stands among the columns; adds them there.
// `wanted`: the outputs that have a loss, for which alone targets may be given too.
StatusOr<std::vector<int>> place_columns(Tensors given, std::span<const Loss* const> losses,
                                         bool one_for_all, std::string_view what,
                                         data::Element& columns) {
  std::vector<int> places(losses.size(), -1);
  const auto any = [](const Tensor& tensor) { return tensor.has_value(); };
  if (std::none_of(given.begin(), given.end(), any)) return places;
  const auto with_loss = static_cast<size_t>(
      std::count_if(losses.begin(), losses.end(), [](const Loss* loss) { return loss; }));
  const bool shared = one_for_all && given.size() == 1;
  const bool of_losses = given.size() == with_loss;
  if (given.size() != losses.size() && !shared && !of_losses) {
    return invalid_argument("the model has ", losses.size(), " outputs, ", given.size(), " ", what,
                            " were given");
  }
  size_t next = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (given.size() != losses.size() && !losses[i]) continue;
    const size_t from = shared ? 0 : next++;
    if (!given[from].has_value()) continue;
    if (shared && i > 0 && places[0] >= 0) {
      places[i] = places[0];
      continue;
    }
    places[i] = static_cast<int>(columns.size());
    columns.push_back(given[from]);
  }
  return places;
}

Status check_class_numbers(const Loss* loss, const PartialShape& predictions, const Tensor& y) {
  const int64_t classes = predictions.rank() > 0 ? predictions[predictions.rank() - 1] : -1;
  if (!loss || !loss->wants_class_numbers() || classes <= 0) return absl::OkStatus();
  return check_classes(y, classes, 0);
}

// `losses` is empty where nothing is judged.
StatusOr<TrainingColumns> training_columns(const Network& network,
                                           std::span<const Loss* const> losses, Inputs x, Targets y,
                                           SampleWeights weights) {
  TrainingColumns data;
  match_input_ranks(network, x);
  data.layout.inputs = x.size();
  data.columns.assign(x.begin(), x.end());
  TENON_ASSIGN_OR_RETURN(data.layout.targets,
                         place_columns(std::move(y), losses, false, "targets", data.columns));
  TENON_ASSIGN_OR_RETURN(data.layout.weights, place_columns(std::move(weights), losses, true,
                                                            "sample weights", data.columns));
  TENON_RETURN_IF_ERROR(check_input_rows(network, data.columns));
  data.rows = data.columns[0].dim(0);
  for (size_t i = 0; i < losses.size(); ++i) {
    const int place = data.layout.targets[i];
    if (losses[i] && place < 0) {
      return invalid_argument(
          "training and evaluation need targets",
          losses.size() > 1 ? cat(" of output '", network.output_names()[i], "'") : "");
    }
    if (place >= 0) {
      TENON_RETURN_IF_ERROR(check_class_numbers(losses[i], network.outputs[i].shape(),
                                                data.columns[static_cast<size_t>(place)]));
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

  StatusOr<History> run(Inputs x, Targets y) {
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

  Status prepare(Inputs x, Targets y) {
    TENON_RETURN_IF_ERROR(model_.check_ready(true));
    if (options_.batch_size <= 0) {
      return invalid_argument("batch_size is ", options_.batch_size, ", expected more than 0");
    }
    if (!(options_.validation_split >= 0 && options_.validation_split < 1)) {
      return invalid_argument("validation_split is ", options_.validation_split,
                              ", expected a number from 0 to below 1");
    }
    for (const auto& callback : options_.callbacks) callback->print = output_;
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
    const std::vector<const Loss*> losses = model_.losses();
    TENON_ASSIGN_OR_RETURN(
        TrainingColumns data,
        training_columns(model_.network_, losses, std::move(x), std::move(y), weights));
    if (options_.validation_split > 0 && !options_.validation_data) {
      TENON_RETURN_IF_ERROR(split(data));
    }
    if (options_.validation_data) {
      const ValidationData& v = *options_.validation_data;
      TENON_RETURN_IF_ERROR(
          training_columns(model_.network_, losses, v.x, v.y, v.sample_weight).status());
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

StatusOr<History> Model::fit(Inputs x, Targets y, FitOptions options) {
  return Fit(*this, std::move(options)).run(std::move(x), std::move(y));
}

StatusOr<Logs> Model::evaluate(Inputs x, Targets y, EvaluateOptions options) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  if (options.batch_size <= 0) return invalid_argument("batch_size must be above 0");
  TENON_ASSIGN_OR_RETURN(
      TrainingColumns data,
      training_columns(network_, losses(), std::move(x), std::move(y), options.sample_weight));
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
                         training_columns(network_, {}, std::move(x), {}, {}));
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

StatusOr<Logs> Model::train_on_batch(Inputs x, Targets y, bool reset) {
  TENON_RETURN_IF_ERROR(check_ready(true));
  TENON_ASSIGN_OR_RETURN(TrainingColumns data,
                         training_columns(network_, losses(), std::move(x), std::move(y), {}));
  if (reset) TENON_RETURN_IF_ERROR(steps().reset_metrics());
  TENON_RETURN_IF_ERROR(steps().run(StepKind::kTrain, data.layout, data.columns));
  return steps().metrics();
}

}  // namespace tenon::keras
