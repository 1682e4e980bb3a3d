#include <unistd.h>

#include <cmath>

#include "tenon/base/files.h"
#include "tenon/cli/callback_spec.h"
#include "tenon/cli/data_flags.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/json_text.h"
#include "tenon/cli/model_export.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/training_checkpoint.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

struct TrainFlags {
  std::string model, callbacks, validation_data, validation_labels;
  std::string export_dir, save, checkpoint_dir, log_dir;
  DataFlags data;
  CompileFlags compile;
  int64_t epochs = 1, batch_size = 32, seed = 0, threads = 0;
  double validation_split = 0;
  bool shuffle = true, resume = false, json = false;
};

constexpr Usage kTrainUsage = {
    .verb = "train",
    .what = "Trains a Keras model. Names and defaults are Keras'.",
    .example =
        "tenon train --model mlp --data digits.csv --optimizer adam "
        "--loss sparse_categorical_crossentropy \\\n"
        "    --metrics accuracy --epochs 5 --validation_split 0.1 --export_dir digits/1"};

// One JSON object an epoch: {"epoch":1,"accuracy":0.9,"loss":0.3}.
class JsonLines final : public keras::Callback {
  Status on_epoch_end(keras::Model&, int64_t epoch, keras::Logs& logs) override {
    cli::print(cat(json_logs(cat("\"epoch\":", epoch + 1), logs), "\n"));
    return absl::OkStatus();
  }
};

// A loss that is no number ends training before anything is saved.
class FailOnNaN final : public keras::Callback {
  Status on_batch_end(keras::Model&, int64_t step, const keras::Logs& logs) override {
    return check(logs, cat("step ", step + 1));
  }
  Status on_epoch_begin(keras::Model&, int64_t epoch) override {
    epoch_ = epoch + 1;
    return absl::OkStatus();
  }
  Status check(const keras::Logs& logs, std::string_view where) const {
    const double* loss = keras::find_log(logs, "loss");
    if (!loss || std::isfinite(*loss)) return absl::OkStatus();
    return failed_precondition("the loss is ", std::isnan(*loss) ? "NaN" : "infinite", " at epoch ",
                               epoch_, ", ", where,
                               "; look for NaN in the data, or lower the learning rate");
  }
  int64_t epoch_ = 0;
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
  return invalid_argument("'", path, "': row ", at / (x.num_elements() / x.dim(0)),
                          " (from 0) holds NaN; the loss would turn NaN too");
}

class TrainRun {
 public:
  explicit TrainRun(const TrainFlags& flags) : flags_(flags) {}

  Status run() {
    TENON_RETURN_IF_ERROR(start_engine(flags_.threads));
    TENON_RETURN_IF_ERROR(check_outputs());
    TENON_ASSIGN_OR_RETURN(table_, flags_.data.read(true));
    TENON_RETURN_IF_ERROR(check_features(flags_.data.data, table_.x));
    TENON_ASSIGN_OR_RETURN(
        model_, open_model(flags_.model, &table_, {.seed = static_cast<uint64_t>(flags_.seed)}));
    TENON_RETURN_IF_ERROR(compile_model(*model_, flags_.compile));
    keras::FitOptions options;
    TENON_RETURN_IF_ERROR(fill_options(options));
    if (!flags_.checkpoint_dir.empty()) {
      if (flags_.resume) {
        TENON_ASSIGN_OR_RETURN(options.initial_epoch,
                               resume_training(*model_, flags_.checkpoint_dir));
        if (options.initial_epoch > 0) {
          log_info("resuming after epoch ", options.initial_epoch, " of ", flags_.epochs);
        }
      }
      options.callbacks.push_back(
          checkpoint_callback(flags_.checkpoint_dir, static_cast<uint64_t>(flags_.seed)));
    }
    TENON_RETURN_IF_ERROR(
        model_->fit(keras::Inputs(table_.x), table_.y, std::move(options)).status());
    if (!flags_.save.empty()) TENON_RETURN_IF_ERROR(model_->save(flags_.save));
    if (!flags_.export_dir.empty()) {
      TENON_RETURN_IF_ERROR(export_model(*model_, flags_.export_dir, &table_.x, false));
    }
    return absl::OkStatus();
  }

 private:
  // What would fail after the training fails before it.
  Status check_outputs() const {
    if (flags_.resume && flags_.checkpoint_dir.empty()) {
      return wrong_usage("--resume needs --checkpoint_dir");
    }
    if (!flags_.save.empty() && !flags_.save.ends_with(".keras")) {
      return wrong_usage(cat("--save=", flags_.save, ": expected FILE.keras"));
    }
    if (!flags_.export_dir.empty() && path_exists(flags_.export_dir)) {
      TENON_ASSIGN_OR_RETURN(const auto names, list_directory(flags_.export_dir));
      if (!names.empty()) {
        return already_exists("--export_dir: '", flags_.export_dir,
                              "' is not empty; name a new version's folder");
      }
    }
    return absl::OkStatus();
  }

  Status fill_options(keras::FitOptions& options) {
    options.batch_size = flags_.batch_size;
    options.epochs = flags_.epochs;
    options.verbose = flags_.json ? 0 : isatty(STDOUT_FILENO) ? 1 : 2;
    options.validation_split = flags_.validation_split;
    options.shuffle = flags_.shuffle;
    if (!flags_.validation_data.empty()) {
      DataFlags validation = flags_.data;
      validation.data = flags_.validation_data;
      validation.labels = flags_.validation_labels;
      TENON_ASSIGN_OR_RETURN(const data::Table table, validation.read(true));
      options.validation_data = keras::ValidationData{keras::Inputs(table.x), table.y};
    }
    TENON_ASSIGN_OR_RETURN(options.callbacks, parse_callbacks(flags_.callbacks));
    if (!flags_.log_dir.empty()) options.callbacks.push_back(keras::TensorBoard(flags_.log_dir));
    if (flags_.callbacks.find("TerminateOnNaN") == std::string::npos) {
      options.callbacks.push_back(std::make_shared<FailOnNaN>());
    }
    if (flags_.json) options.callbacks.push_back(std::make_shared<JsonLines>());
    return absl::OkStatus();
  }

  const TrainFlags& flags_;
  data::Table table_;
  std::unique_ptr<keras::Model> model_;
};

std::vector<Flag> train_table(TrainFlags& f) {
  std::vector<Flag> flags = {
      {"model", &f.model, "FILE|NAME", "FILE.json, FILE.keras, or a built-in: mlp, cnn", true}};
  for (const Flag& flag : f.data.flags()) flags.push_back(flag);
  const Flag own[] = {
      {"validation_data", &f.validation_data, "FILE", "data that is judged after each epoch"},
      {"validation_labels", &f.validation_labels, "FILE", "its labels, of IDX and NPY data"},
      {"validation_split", &f.validation_split, "PART", "of the data, its last rows, to judge on"},
      {"optimizer", &f.compile.optimizer, "NAME|JSON", "sgd, adam, adamw, rmsprop"},
      {"learning_rate", &f.compile.learning_rate, "RATE", "0: the optimizer's default"},
      {"loss", &f.compile.loss, "NAME|JSON", "sparse_categorical_crossentropy, mse, ..."},
      {"from_logits", &f.compile.from_logits, "", "the model's outputs are logits"},
      {"metrics", &f.compile.metrics, "NAMES", "accuracy, mae, ..."},
      {"epochs", &f.epochs, "N", "passes over the data"},
      {"batch_size", &f.batch_size, "N", "rows a step"},
      {"shuffle", &f.shuffle, "", "draw rows in a new order each epoch"},
      {"seed", &f.seed, "N", "of first weights, dropout and shuffling"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
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
  return run_verb(kTrainUsage, train_table(f), words,
                  [&](const Operands&) { return TrainRun(f).run(); });
}

}  // namespace tenon::cli
