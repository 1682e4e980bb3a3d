#include "tenon/base/files.h"
#include "tenon/cli/arrays/expression.h"
#include "tenon/cli/data_flags.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/model_source.h"
#include "tenon/cli/named_data.h"
#include "tenon/cli/output_check.h"
#include "tenon/cli/predictions.h"
#include "tenon/cli/training/model_export.h"
#include "tenon/cli/verbs.h"

namespace tenon::cli {
namespace {

struct PredictFlags {
  std::string model, output;
  DataFlags data;
  int64_t batch_size = 32, threads = 0;
};

constexpr Usage kPredictUsage = {
    .verb = "predict",
    .what =
        "Predicts for each row of the data, with a Keras model or a SavedModel. A CSV column of "
        "labels is left out\nwhen its header says label, target, class or y, or --label_column "
        "names it.",
    .example = "tenon predict --model digits.keras --data test.csv --output predictions.npy"};

// Outputs batch by batch, and at the end as one tensor each.
class OutputRows {
 public:
  Status append(std::span<const Tensor> results, int64_t rows) {
    parts_.resize(results.size());
    for (size_t i = 0; i < results.size(); ++i) {
      const Tensor& result = results[i];
      if (result.rank() == 0 || result.dim(0) != rows || is_object(result.dtype())) {
        return unimplemented("an output of ", result.dtype(), " ", result.shape(),
                             " has no number row for each of ", rows, " input rows");
      }
      const auto row = [](const Tensor& part) { return Shape(part.shape().dims().subspan(1)); };
      if (!parts_[i].empty() && !(row(parts_[i][0]) == row(result))) {
        return unimplemented("the shape of an output changes from batch to batch: ",
                             result.shape());
      }
      parts_[i].push_back(result.clone());
    }
    rows_ += rows;
    return absl::OkStatus();
  }
  StatusOr<std::vector<Tensor>> build() && {
    std::vector<Tensor> outputs;
    for (std::vector<Tensor>& parts : parts_) {
      Shape shape = parts[0].shape();
      shape.set(0, rows_);
      TENON_ASSIGN_OR_RETURN(Tensor whole, Tensor::allocate(parts[0].dtype(), std::move(shape)));
      char* to = static_cast<char*>(whole.mutable_raw());
      for (const Tensor& part : parts) {
        std::memcpy(to, part.raw(), part.num_bytes());
        to += part.num_bytes();
      }
      outputs.push_back(std::move(whole));
      parts.clear();
    }
    return outputs;
  }

 private:
  std::vector<std::vector<Tensor>> parts_;  // of each output
  int64_t rows_ = 0;
};

// A CSV without a header, as `evaluate` takes it, holds one column more than the model's features.
Status check_columns(const PredictFlags& flags, const Shape& row, const PartialShape& wanted) {
  if (row.rank() != 1 || !wanted.has_rank()) return absl::OkStatus();
  int64_t features = 1;
  for (int axis = 1; axis < wanted.rank(); ++axis) features *= wanted[axis];
  if (features <= 0 || row[0] != features + 1) return absl::OkStatus();
  return invalid_argument("'", flags.data.data, "' has ", row[0], " columns, the model takes ",
                          features, ": if one of them holds labels, say so with --label=", features,
                          " (the last) or another number or name, or pick with --features");
}

// Rows of what the signature takes, in its order; `classes` are those of the model's labels.
StatusOr<data::DatasetPtr> rows_for(const PredictFlags& flags, const Signature& signature,
                                    std::vector<std::string>& classes) {
  TENON_ASSIGN_OR_RETURN(const data::Names names, exported_data_names(flags.model));
  classes = names.classes;
  if (signature.inputs.size() == 1) {
    TENON_ASSIGN_OR_RETURN(
        const data::RowStream stream,
        flags.data.open(data::Labels::kNone, names, features_of(signature.inputs[0].dtype)));
    TENON_RETURN_IF_ERROR(check_columns(flags, stream.shape, signature.inputs[0].shape));
    return stream.rows;
  }
  if (signature.inputs.empty()) return unimplemented("signature serving_default has no inputs");
  std::vector<data::NamedTensor> wanted;
  for (const SignatureTensor& input : signature.inputs) {
    if (!input.shape.has_rank() || input.shape.rank() == 0) {
      return unimplemented("input '", input.name, "' has no rows; `tenon run` feeds it by name");
    }
    wanted.push_back({.name = input.name,
                      .row = PartialShape(input.shape.dims().subspan(1)),
                      .is_text = input.dtype == DType::kString,
                      .is_integer = is_integer(input.dtype)});
  }
  TENON_ASSIGN_OR_RETURN(const data::NamedRows found,
                         open_named_data(flags.data, std::move(wanted), data::Labels::kNone));
  return found.rows;
}

StatusOr<Predictions> predict_saved_model(const PredictFlags& flags) {
  Predictions predictions;
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(flags.model));
  TENON_ASSIGN_OR_RETURN(const Signature* signature, require_signature(*model, "serving_default"));
  TENON_ASSIGN_OR_RETURN(data::DatasetPtr all, rows_for(flags, *signature, predictions.classes));
  TENON_ASSIGN_OR_RETURN(const auto executable, model->executable(*signature));
  TENON_ASSIGN_OR_RETURN(const auto batches,
                         data::prefetch(data::batch(std::move(all), flags.batch_size))->iterate(0));
  OutputRows rows;
  std::vector<Tensor> args, results;
  for (data::Element batch;;) {
    TENON_ASSIGN_OR_RETURN(const bool more, batches->next(batch));
    if (!more) break;
    args.clear();
    for (size_t i = 0; i < signature->inputs.size(); ++i) {
      const SignatureTensor& input = signature->inputs[i];
      TENON_ASSIGN_OR_RETURN(
          Tensor x, convert_tensor(keras::match_input_rank(batch[i], input.shape), input.dtype));
      args.push_back(std::move(x));
    }
    TENON_RETURN_IF_ERROR(executable->run(args, results));
    TENON_RETURN_IF_ERROR(rows.append(results, args[0].dim(0)));
  }
  TENON_ASSIGN_OR_RETURN(predictions.outputs, std::move(rows).build());
  for (const SignatureTensor& output : signature->outputs) predictions.names.push_back(output.name);
  return predictions;
}

StatusOr<Predictions> predict_keras(const PredictFlags& flags) {
  if (!is_keras_file(flags.model)) {
    return invalid_argument("--model=", flags.model,
                            ": expected a trained model, FILE.keras or a SavedModel's folder");
  }
  Predictions predictions;
  TENON_ASSIGN_OR_RETURN(const auto model, open_model(flags.model, nullptr, {.compile = false}));
  TENON_RETURN_IF_ERROR(model->status());
  if (wants_named_data(*model)) {
    TENON_ASSIGN_OR_RETURN(data::DatasetPtr rows,
                           open_named_data(flags.data, *model, data::Labels::kNone));
    TENON_ASSIGN_OR_RETURN(predictions.outputs,
                           model->predict(data::batch(std::move(rows), flags.batch_size)));
  } else {
    TENON_ASSIGN_OR_RETURN(
        const data::RowStream stream,
        flags.data.open(data::Labels::kNone, model->data_names(), features_of(*model)));
    TENON_RETURN_IF_ERROR(check_columns(flags, stream.shape, model->network().inputs[0].shape()));
    TENON_ASSIGN_OR_RETURN(predictions.outputs,
                           model->predict(data::batch(stream.rows, flags.batch_size)));
  }
  predictions.names = model->network().output_names();
  predictions.classes = model->data_names().classes;
  TENON_ASSIGN_OR_RETURN(const Graph graph, model->forward_graph());
  predictions.first_is_probability = graph.node(graph.results[0].node).is("Sigmoid");
  return predictions;
}

Status predict(const PredictFlags& flags) {
  if (flags.batch_size <= 0) return wrong_usage("--batch_size: expected 1 or more");
  if (!flags.output.empty()) {
    TENON_RETURN_IF_ERROR(check_predictions_path(flags.output));
    TENON_RETURN_IF_ERROR(check_output_file("output", flags.output, 0));
  }
  TENON_RETURN_IF_ERROR(start_engine(flags.threads));
  TENON_ASSIGN_OR_RETURN(const Predictions predictions, is_directory(flags.model)
                                                            ? predict_saved_model(flags)
                                                            : predict_keras(flags));
  if (!flags.output.empty()) return write_predictions(flags.output, predictions);
  TENON_ASSIGN_OR_RETURN(const std::string text, predictions_to_csv(predictions, false));
  print(text);
  return absl::OkStatus();
}

}  // namespace

int predict_command(Words words) {
  PredictFlags f;
  std::vector<Flag> flags = {
      {"model", &f.model, "FILE|DIR", "FILE.keras, or a SavedModel's version folder", true}};
  for (const Flag& flag : f.data.flags()) flags.push_back(flag);
  const Flag own[] = {
      {"output", &f.output, "FILE", "FILE.csv, .json, .npy or .npz; without it, one line a row"},
      {"batch_size", &f.batch_size, "N", "rows a step"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
  };
  flags.insert(flags.end(), std::begin(own), std::end(own));
  return run_verb(kPredictUsage, flags, words, [&](const Operands&) { return predict(f); });
}

}  // namespace tenon::cli
