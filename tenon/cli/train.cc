#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "tenon/base/files.h"
#include "tenon/cli/data_flags.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/named_data.h"
#include "tenon/cli/output_check.h"
#include "tenon/cli/training/callback_spec.h"
#include "tenon/cli/training/divergence_guard.h"
#include "tenon/cli/training/evaluator.h"
#include "tenon/cli/training/model_export.h"
#include "tenon/cli/training/training_checkpoint.h"
#include "tenon/cli/training/workers.h"
#include "tenon/cli/verbs.h"
#include "tenon/data/transforms.h"
#include "tenon/keras/distribute/mirrored_strategy.h"

namespace tenon::cli {
namespace {

struct TrainFlags {
  std::string model, callbacks, validation_data, validation_labels;
  std::string export_dir, save, checkpoint_dir, log_dir, cache;
  StrategyFlags strategy;
  WorkerFlags workers;
  DataFlags data;
  CompileFlags compile;
  int64_t epochs = 1, batch_size = 32, seed = 0, threads = 0, virtual_cpus = 1;
  int64_t shuffle_buffer = 0, prefetch = 0, steps_per_epoch = 0, validation_steps = 0;
  double validation_split = 0;
  bool shuffle = true, resume = false, json = false;

  // Are rows read as they are needed?
  bool streams() const { return shuffle_buffer > 0 || !cache.empty(); }
};

// Rows that are drawn from where they are streamed and nothing else is said: make_csv_dataset()'s.
constexpr int64_t kShuffleBuffer = 10000;
// Rows that may become golden records.
constexpr int64_t kFirstRows = 8;

constexpr Usage kTrainUsage = {
    .verb = "train",
    .what = "Trains a Keras model. Names and defaults are Keras'.",
    .example =
        "tenon train --model mlp --data digits.csv --optimizer adam "
        "--loss sparse_categorical_crossentropy \\\n"
        "    --metrics accuracy --epochs 5 --validation_split 0.1 --export_dir digits/1"};

// One JSON object an epoch: {"epoch":1,"accuracy":0.9,"loss":0.3}. Whoever reads the pipe sees it
// at once.
class JsonLines final : public keras::Callback {
  Status on_epoch_end(keras::Model&, int64_t epoch, keras::Logs& logs) override {
    cli::print(cat(json_logs(cat("\"epoch\":", epoch + 1), logs), "\n"));
    std::fflush(stdout);
    return absl::OkStatus();
  }
};

// A NaN among the features spoils a model silently where an activation swallows it.
Status check_features(const std::string& path, const Tensor& x) {
  int64_t at = -1;
  visit<FloatTypes>(x.dtype(), [&]<class T>() {
    const std::span<const T> values = x.span<T>();
    const auto it = std::find_if(values.begin(), values.end(),
                                 [](T value) { return std::isnan(static_cast<float>(value)); });
    if (it != values.end()) at = it - values.begin();
  });
  if (at < 0) return absl::OkStatus();
  return invalid_argument("'", path, "': row ", at / (x.num_elements() / x.dim(0)) + 1,
                          " holds NaN; the loss would turn NaN too");
}

Status check_features(const std::string& path, const keras::Inputs& inputs) {
  for (const Tensor& x : inputs) TENON_RETURN_IF_ERROR(check_features(path, x));
  return absl::OkStatus();
}

Status check_train_flags(const TrainFlags& f) {
  const struct {
    std::string_view flag;
    bool ok;
    std::string_view expected;
  } checks[] = {
      {"epochs", f.epochs >= 1, "1 or more"},
      {"batch_size", f.batch_size >= 1, "1 or more"},
      {"seed", f.seed >= 0, "0 or more"},
      {"threads", f.threads >= 0, "0 or more"},
      {"shuffle_buffer", f.shuffle_buffer >= 0, "a number of rows, or 0: all are in memory"},
      {"prefetch", f.prefetch >= 0 && f.prefetch <= 1 << 20, "a number of batches, or 0"},
      {"steps_per_epoch", f.steps_per_epoch >= 0, "a number of steps, or 0: all"},
      {"validation_steps", f.validation_steps >= 0, "a number of steps, or 0: all"},
      {"learning_rate", f.compile.learning_rate >= 0 && std::isfinite(f.compile.learning_rate),
       "a rate above 0, or 0 for the optimizer's default"},
      {"validation_split", f.validation_split >= 0 && f.validation_split < 1,
       "a part of the data: 0 to below 1"},
  };
  for (const auto& check : checks) {
    if (!check.ok) return wrong_usage(cat("--", check.flag, ": expected ", check.expected));
  }
  if (f.resume && f.checkpoint_dir.empty()) return wrong_usage("--resume needs --checkpoint_dir");
  if (f.streams() && f.validation_split > 0) {
    return wrong_usage(
        "--validation_split is of rows in memory; with --shuffle_buffer or --cache, name "
        "--validation_data");
  }
  if (f.validation_data == "-" && f.data.data == "-") {
    return wrong_usage("only one of --data, --validation_data can be stdin");
  }
  if (!f.save.empty() && !f.save.ends_with(".keras")) {
    return wrong_usage(cat("--save=", f.save, ": expected FILE.keras"));
  }
  return absl::OkStatus();
}

class TrainRun {
 public:
  explicit TrainRun(const TrainFlags& flags)
      : flags_(flags),
        seed_(static_cast<uint64_t>(flags.seed)),
        guard_(std::make_shared<DivergenceGuard>(!flags.save.empty())) {}

  Status run() {
    TENON_RETURN_IF_ERROR(check_train_flags(flags_));
    TENON_RETURN_IF_ERROR(start_engine(flags_.threads));
    TENON_RETURN_IF_ERROR(set_virtual_cpus(flags_.virtual_cpus));
    if (flags_.strategy.strategy == "multi_worker") {
      TENON_ASSIGN_OR_RETURN(cluster_, read_cluster(flags_.workers));
      if (cluster_.evaluator) return judge_checkpoints();
      TENON_ASSIGN_OR_RETURN(workers_, join_workers(flags_.workers, cluster_));
    }
    Status status = train();
    if (!workers_) return status;
    if (status.ok()) status = workers_->leave();
    if (!status.ok()) workers_->fail(status);
    const Status lost = workers_->lost();
    lost_worker_ = !lost.ok() && absl::IsUnavailable(status);
    return lost_worker_ ? lost_worker(lost) : status;
  }

  // Did the training end because another worker did?
  bool has_lost_worker() const { return lost_worker_; }

 private:
  Status train() {
    TENON_RETURN_IF_ERROR(make_strategy());
    if (writes()) TENON_RETURN_IF_ERROR(check_outputs(0));
    TENON_RETURN_IF_ERROR(read_callbacks());
    if (flags_.resume || backup_) {
      TENON_ASSIGN_OR_RETURN(from_, newest_checkpoint(checkpoint_dir_));
    }
    TENON_RETURN_IF_ERROR(read_data_and_model());
    if (writes()) TENON_RETURN_IF_ERROR(check_outputs(bytes_of_model()));
    if (!flags_.export_dir.empty()) {
      TENON_RETURN_IF_ERROR(with_context(check_export(*model_, data_.x), "--export_dir"));
    }
    keras::FitOptions options;
    TENON_RETURN_IF_ERROR(fill_options(options));
    if (from_) {
      TENON_RETURN_IF_ERROR(resume_training(*model_, *from_, seed_));
      options.initial_epoch = from_->checkpoint.progress.epoch;
      log_info("resuming after epoch ", options.initial_epoch, " of ", flags_.epochs);
    }
    if (workers_) TENON_RETURN_IF_ERROR(workers_->agree("training", description()));
    const Status status = fit(std::move(options));
    if (!status.ok()) return guard_->diverged() ? keep_last_good(status) : status;
    if (!writes()) return absl::OkStatus();
    if (!flags_.save.empty()) TENON_RETURN_IF_ERROR(model_->save(flags_.save));
    if (!flags_.export_dir.empty()) {
      TENON_RETURN_IF_ERROR(export_model(*model_, flags_.export_dir, &data_.x, false));
    }
    return backup_ && backup_->is_deleted ? delete_backup(backup_->folder) : absl::OkStatus();
  }

  Status read_callbacks() {
    TENON_ASSIGN_OR_RETURN(CallbackSpecs specs, parse_callbacks(flags_.callbacks, writes()));
    callbacks_ = std::move(specs.callbacks);
    backup_ = std::move(specs.backup);
    checkpoint_dir_ = flags_.checkpoint_dir;
    if (!backup_) return absl::OkStatus();
    if (!checkpoint_dir_.empty()) {
      return wrong_usage("checkpoints go to --checkpoint_dir or to BackupAndRestore's folder");
    }
    checkpoint_dir_ = backup_->folder;
    return check_output_folder("callbacks", checkpoint_dir_, 0);
  }

  // Of several workers the chief alone writes and prints.
  bool writes() const { return cluster_.is_chief(); }

  // What all workers must do alike, a line each.
  std::string description() const {
    const int64_t rows = data_.x.empty() || flags_.streams() ? 0 : data_.x[0].dim(0);
    const int64_t done = from_ ? from_->checkpoint.progress.epoch : 0;
    return cat("--epochs=", flags_.epochs, "\n--batch_size=", flags_.batch_size,
               "\n--seed=", flags_.seed, "\n--shuffle=", flags_.shuffle,
               "\n--shuffle_buffer=", flags_.shuffle_buffer,
               "\n--steps_per_epoch=", flags_.steps_per_epoch,
               "\n--validation_split=", flags_.validation_split, "\n--callbacks=", flags_.callbacks,
               "\n", rows, " rows in memory\n", done, " epochs done in its checkpoint\n",
               from_ ? from_->checkpoint.progress.step : 0, " steps done in its checkpoint");
  }

  // The task `evaluator`.
  Status judge_checkpoints() {
    if (flags_.checkpoint_dir.empty() || flags_.validation_data.empty()) {
      return wrong_usage("the evaluator needs --checkpoint_dir and --validation_data");
    }
    TENON_RETURN_IF_ERROR(read_data_and_model());
    keras::FitOptions held;
    TENON_RETURN_IF_ERROR(read_validation_data(held));
    keras::EvaluateOptions options{
        .batch_size = flags_.batch_size, .verbose = 0, .steps = flags_.validation_steps};
    const auto evaluate = [&]() -> StatusOr<keras::Logs> {
      if (held.validation_batches) return model_->evaluate(held.validation_batches, options);
      return model_->evaluate(held.validation_data->x, held.validation_data->y, options);
    };
    return evaluate_checkpoints(*model_,
                                {.checkpoint_dir = flags_.checkpoint_dir,
                                 .log_dir = flags_.log_dir,
                                 .epochs = flags_.epochs,
                                 .json = flags_.json},
                                evaluate);
  }

  Status make_strategy() {
    TENON_ASSIGN_OR_RETURN(strategy_, open_strategy(flags_.strategy, workers_));
    if (!strategy_ || workers_) return absl::OkStatus();
    std::vector<std::string> names;
    for (const Device* device : strategy_->devices()) names.push_back(device->name());
    log_info("training is mirrored on ", join(names, ", "));
    return absl::OkStatus();
  }

  Status fit(keras::FitOptions options) {
    if (!flags_.streams()) return model_->fit(data_.x, data_.y, std::move(options)).status();
    data::DatasetPtr rows = rows_;
    if (!flags_.cache.empty()) rows = data::cache(std::move(rows), flags_.cache);
    const int64_t buffer = flags_.shuffle_buffer > 0 ? flags_.shuffle_buffer : kShuffleBuffer;
    if (flags_.shuffle) rows = data::shuffle(std::move(rows), buffer, seed_);
    return model_->fit(data::batch(std::move(rows), flags_.batch_size), std::move(options))
        .status();
  }

  // Classes and features are the model's: of the checkpoint or its file, where these know any. A
  // built-in model is made for the data. Compiles the model.
  Status read_data_and_model() {
    const keras::ModelOptions options{.seed = seed_, .strategy = strategy_};
    data::Names names;
    if (!is_builtin_model(flags_.model)) {
      TENON_ASSIGN_OR_RETURN(model_, open_model(flags_.model, nullptr, options));
      names = model_->data_names();
    }
    if (from_) names = from_->data_names;
    if (model_ && wants_named_data(*model_)) {
      // Which targets are wanted, the losses say.
      TENON_RETURN_IF_ERROR(compile_model(*model_, flags_.compile));
      if (flags_.streams()) {
        TENON_ASSIGN_OR_RETURN(rows_, open_named_data(flags_.data, *model_, data::Labels::kNumber));
        return look_at_rows();
      }
      TENON_ASSIGN_OR_RETURN(data_, read_named_data(flags_.data, *model_, data::Labels::kNumber));
      return check_features(flags_.data.data, data_.x);
    }
    TENON_RETURN_IF_ERROR(flags_.streams() ? open_data(names, options) : read_data(names, options));
    return compile_model(*model_, flags_.compile);
  }

  Status read_data(const data::Names& names, const keras::ModelOptions& options) {
    StatusOr<data::Table> table = flags_.data.read(
        data::Labels::kNumber, names, model_ ? features_of(*model_) : data::Features::kFloats);
    if (absl::IsResourceExhausted(table.status())) {
      return make_status(table.status().code(),
                         cat(message_of(table.status()), "; --shuffle_buffer=", kShuffleBuffer,
                             " reads rows as they are needed"));
    }
    TENON_RETURN_IF_ERROR(table.status());
    if (!model_) {
      TENON_ASSIGN_OR_RETURN(const Problem problem, problem_of(*table));
      TENON_ASSIGN_OR_RETURN(model_, open_model(flags_.model, &problem, options));
    }
    set_data_names(names, table->names);
    data_ = {keras::Inputs(std::move(table->x)), keras::Targets(std::move(table->y))};
    return check_features(flags_.data.data, data_.x);
  }

  // data_ then holds the first rows alone.
  Status open_data(const data::Names& names, const keras::ModelOptions& options) {
    TENON_ASSIGN_OR_RETURN(
        const data::RowStream stream,
        flags_.data.open(data::Labels::kNumber, names,
                         model_ ? features_of(*model_) : data::Features::kFloats));
    if (!model_) {
      TENON_ASSIGN_OR_RETURN(const Problem problem, problem_of(stream));
      TENON_ASSIGN_OR_RETURN(model_, open_model(flags_.model, &problem, options));
    }
    set_data_names(names, stream.names);
    rows_ = stream.rows;
    return look_at_rows();
  }

  // Of kinds that are held in memory all the same, at all; the others are looked at as they are
  // read, here at the first rows.
  Status look_at_rows() {
    const size_t inputs = model_->network().inputs.size();
    if (const std::optional<data::Columns> columns = rows_->columns(0)) {
      const auto x = std::span(*columns->values).first(inputs);
      TENON_RETURN_IF_ERROR(check_features(flags_.data.data, keras::Inputs(x.begin(), x.end())));
    }
    TENON_ASSIGN_OR_RETURN(const auto first,
                           data::batch(data::take(rows_, kFirstRows), kFirstRows)->iterate(0));
    data::Element batch;
    TENON_RETURN_IF_ERROR(first->next(batch).status());
    batch.resize(std::min(batch.size(), inputs));
    data_.x.assign(batch.begin(), batch.end());
    return absl::OkStatus();
  }

  // What the data say of classes and features, else what was known before.
  void set_data_names(data::Names names, const data::Names& found) {
    if (!found.classes.empty()) names.classes = found.classes;
    if (!found.features.empty()) names.features = found.features;
    model_->set_data_names(std::move(names));
  }

  uint64_t bytes_of_model() const {
    uint64_t bytes = 0;
    for (const keras::Weight* weight : model_->checkpoint_variables()) {
      bytes += static_cast<uint64_t>(weight->shape.num_elements()) * size_of(weight->dtype);
    }
    return bytes;
  }

  // What would fail after the training fails before it.
  Status check_outputs(uint64_t bytes) const {
    if (!flags_.save.empty()) {
      TENON_RETURN_IF_ERROR(check_output_file("save", flags_.save, bytes));
    }
    const std::pair<std::string_view, const std::string&> folders[] = {
        {"export_dir", flags_.export_dir},
        {"checkpoint_dir", flags_.checkpoint_dir},
        {"log_dir", flags_.log_dir}};
    for (const auto& [flag, folder] : folders) {
      if (!folder.empty()) TENON_RETURN_IF_ERROR(check_output_folder(flag, folder, bytes));
    }
    if (flags_.export_dir.empty() || !path_exists(flags_.export_dir)) return absl::OkStatus();
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(flags_.export_dir));
    if (names.empty()) return absl::OkStatus();
    return already_exists("--export_dir: '", flags_.export_dir,
                          "' is not empty; name a new version's folder");
  }

  Status fill_options(keras::FitOptions& options) {
    options.batch_size = flags_.batch_size;
    options.epochs = flags_.epochs;
    options.verbose = flags_.json || !writes() ? 0 : isatty(STDOUT_FILENO) ? 1 : 2;
    // Nothing but the objects goes where a program reads them.
    if (flags_.json) options.output = print_to_stderr;
    options.validation_split = flags_.validation_split;
    options.shuffle = flags_.shuffle;
    options.steps_per_epoch = flags_.steps_per_epoch;
    options.validation_steps = flags_.validation_steps;
    if (flags_.prefetch > 0) options.prefetch = static_cast<int>(flags_.prefetch);
    if (from_) options.initial_position = from_->data_position;
    if (!flags_.validation_data.empty()) TENON_RETURN_IF_ERROR(read_validation_data(options));
    options.callbacks.push_back(guard_);
    options.callbacks.insert(options.callbacks.end(), callbacks_.begin(), callbacks_.end());
    if (!flags_.log_dir.empty() && writes()) {
      options.callbacks.push_back(keras::TensorBoard(flags_.log_dir));
    }
    if (flags_.json && writes()) options.callbacks.push_back(std::make_shared<JsonLines>());
    if (!checkpoint_dir_.empty()) {
      options.callbacks.push_back(checkpoint_callback(checkpoint_dir_, seed_, callbacks_,
                                                      from_ ? &*from_ : nullptr, writes()));
    }
    return absl::OkStatus();
  }

  StatusOr<data::DatasetPtr> open_validation(const DataFlags& flags,
                                             const data::Names& names) const {
    if (wants_named_data(*model_)) return open_named_data(flags, *model_, data::Labels::kKnown);
    TENON_ASSIGN_OR_RETURN(const data::RowStream stream,
                           flags.open(data::Labels::kKnown, names, features_of(*model_)));
    return stream.rows;
  }

  Status read_validation_data(keras::FitOptions& options) const {
    DataFlags validation = flags_.data;
    validation.data = flags_.validation_data;
    validation.labels = flags_.validation_labels;
    data::Names names = model_->data_names();
    if (flags_.streams()) {
      TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows, open_validation(validation, names));
      options.validation_batches = data::batch(std::move(rows), flags_.batch_size);
      return absl::OkStatus();
    }
    TENON_ASSIGN_OR_RETURN(const ModelData held,
                           read_model_data(validation, *model_, data::Labels::kKnown, names));
    TENON_RETURN_IF_ERROR(check_features(validation.data, held.x));
    options.validation_data = keras::ValidationData{held.x, held.y};
    return absl::OkStatus();
  }

  // After a training that diverged, what --save names holds the last epoch that ended well.
  Status keep_last_good(const Status& status) {
    const int64_t epoch = guard_->good_epoch();
    if (epoch == 0 || flags_.save.empty() || !writes()) return status;
    TENON_RETURN_IF_ERROR(guard_->restore_values(*model_));
    TENON_RETURN_IF_ERROR(model_->save(flags_.save));
    return make_status(status.code(), cat(message_of(status), "; '", flags_.save,
                                          "' holds the weights after epoch ", epoch));
  }

  static void print_to_stderr(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stderr);
  }

  const TrainFlags& flags_;
  const uint64_t seed_;
  ModelData data_;
  data::DatasetPtr rows_;  // where they are read as they are needed
  dist::Cluster cluster_;
  std::shared_ptr<dist::WorkerGroup> workers_;  // of --strategy multi_worker
  bool lost_worker_ = false;
  std::shared_ptr<const keras::MirroredStrategy> strategy_;
  std::unique_ptr<keras::Model> model_;
  std::vector<keras::CallbackPtr> callbacks_;
  std::optional<Backup> backup_;
  std::string checkpoint_dir_;  // --checkpoint_dir, or the backup's
  std::shared_ptr<DivergenceGuard> guard_;
  std::optional<TrainingCheckpoint> from_;
};

std::vector<Flag> train_table(TrainFlags& f) {
  std::vector<Flag> flags = {
      {"model", &f.model, "FILE|NAME", "FILE.json, FILE.keras, or a built-in: mlp, cnn", true}};
  for (const Flag& flag : f.data.flags()) flags.push_back(flag);
  const Flag own[] = {
      {"validation_data", &f.validation_data, "FILE", "data that is judged after each epoch"},
      {"validation_labels", &f.validation_labels, "FILE", "its labels, of IDX and NPY data"},
      {"validation_split", &f.validation_split, "PART", "of the data, its last rows, to judge on"},
      {"optimizer", &f.compile.optimizer, "NAME|JSON", "sgd, adam, adamw, adagrad, rmsprop"},
      {"learning_rate", &f.compile.learning_rate, "RATE", "0: the optimizer's default"},
      {"loss", &f.compile.loss, "NAME|JSON", "sparse_categorical_crossentropy, mse, ..."},
      {"from_logits", &f.compile.from_logits, "", "the model's outputs are logits"},
      {"metrics", &f.compile.metrics, "NAMES", "accuracy, mae, ..."},
      {"epochs", &f.epochs, "N", "passes over the data"},
      {"batch_size", &f.batch_size, "N", "rows a step"},
      {"steps_per_epoch", &f.steps_per_epoch, "N", "steps of an epoch; 0: all the data"},
      {"validation_steps", &f.validation_steps, "N", "steps of a validation; 0: all the data"},
      {"shuffle", &f.shuffle, "", "draw rows in a new order each epoch"},
      {"shuffle_buffer", &f.shuffle_buffer, "N", "read rows as they are needed, draw among N"},
      {"cache", &f.cache, "FILE", "keep the rows in FILE for later epochs; reads as needed, too"},
      {"prefetch", &f.prefetch, "N", "batches made ahead; 0: as many as help"},
      {"seed", &f.seed, "N", "of first weights, dropout and shuffling"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"strategy", &f.strategy.strategy, "NAME",
       "mirrored: one replica on each device; multi_worker"},
      {"devices", &f.strategy.devices, "NAMES", "of --strategy: 'GPU:0,GPU:1'; else all there are"},
      {"workers", &f.workers.workers, "HOST:PORT,...",
       "of multi_worker; else TF_CONFIG or Slurm's"},
      {"task_index", &f.workers.task_index, "N", "which of --workers this process is"},
      {"health_timeout", &f.workers.health_timeout, "S", "all stop S seconds after one is lost"},
      {"virtual_cpus", &f.virtual_cpus, "N", "logical devices that the processor is"},
      {"callbacks", &f.callbacks, "LIST", "'EarlyStopping(patience=3),CSVLogger(log.csv)'"},
      {"save", &f.save, "FILE.keras", "write the trained model"},
      {"export_dir", &f.export_dir, "DIR/1", "write a SavedModel for serving"},
      {"checkpoint_dir", &f.checkpoint_dir, "DIR", "write a checkpoint after each epoch"},
      {"resume", &f.resume, "", "go on from the newest checkpoint, if there is one"},
      {"log_dir", &f.log_dir, "DIR", "write TensorBoard events"},
      {"json", &f.json, "", "one JSON object an epoch"},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  return flags;
}

}  // namespace

int train_command(Words words) {
  TrainFlags f;
  bool has_lost_worker = false;
  const int code = run_verb(kTrainUsage, train_table(f), words, [&](const Operands&) {
    TrainRun run(f);
    const Status status = run.run();
    has_lost_worker = run.has_lost_worker();
    return status;
  });
  return has_lost_worker ? kLostWorkerExitCode : code;
}

}  // namespace tenon::cli
