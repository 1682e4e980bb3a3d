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

// Rows [begin, begin + count) through one signature; the outputs are appended to `outputs`.
Status predict_rows(Executable& executable, const Tensor& rows, int64_t begin, int64_t whole,
                    std::vector<Tensor>& outputs) {
  std::vector<Tensor> results;
  TENON_RETURN_IF_ERROR(executable.run({&rows, 1}, results));
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor& result = results[i];
    if (result.rank() == 0 || result.dim(0) != rows.dim(0) || is_object(result.dtype())) {
      return unimplemented("an output of ", result.dtype(), " ", result.shape(),
                           " has no number row for each of ", rows.dim(0), " input rows");
    }
    if (begin == 0) {
      Shape shape = result.shape();
      shape.set(0, whole);
      TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(result.dtype(), std::move(shape)));
      outputs.push_back(std::move(tensor));
    }
    Tensor part = outputs[i].slice(begin, rows.dim(0));
    if (part.num_bytes() != result.num_bytes()) {
      return unimplemented("the shape of an output changes from batch to batch: ", result.shape());
    }
    std::memcpy(part.mutable_raw(), result.raw(), result.num_bytes());
  }
  return absl::OkStatus();
}

// A CSV without a header, as `evaluate` takes it, holds one column more than the model's features.
Status check_columns(const PredictFlags& flags, const Tensor& x, const PartialShape& wanted) {
  if (x.rank() != 2 || !wanted.has_rank()) return absl::OkStatus();
  int64_t features = 1;
  for (int axis = 1; axis < wanted.rank(); ++axis) features *= wanted[axis];
  if (features <= 0 || x.dim(1) != features + 1) return absl::OkStatus();
  return invalid_argument("'", flags.data.data, "' has ", x.dim(1), " columns, the model takes ",
                          features, ": if one of them holds labels, say so with --label=", features,
                          " (the last) or another number or name, or pick with --features");
}

StatusOr<Tensor> read_features(const PredictFlags& flags, const data::Names& names) {
  TENON_ASSIGN_OR_RETURN(data::Table table, flags.data.read(data::Labels::kNone, names));
  return std::move(table.x);
}

StatusOr<Predictions> predict_saved_model(const PredictFlags& flags) {
  Predictions predictions;
  TENON_ASSIGN_OR_RETURN(const data::Names names, exported_data_names(flags.model));
  TENON_ASSIGN_OR_RETURN(const Tensor x, read_features(flags, names));
  predictions.classes = names.classes;
  TENON_ASSIGN_OR_RETURN(const auto model, SavedModel::load(flags.model));
  TENON_ASSIGN_OR_RETURN(const Signature* signature, require_signature(*model, "serving_default"));
  if (signature->inputs.size() != 1) {
    return unimplemented("signature serving_default has ", signature->inputs.size(),
                         " inputs; `tenon run` feeds each by name");
  }
  const SignatureTensor& input = signature->inputs[0];
  TENON_RETURN_IF_ERROR(check_columns(flags, x, input.shape));
  TENON_ASSIGN_OR_RETURN(const auto executable, model->executable(*signature));
  TENON_ASSIGN_OR_RETURN(const Tensor rows,
                         convert_tensor(keras::match_input_rank(x, input.shape), input.dtype));
  for (int64_t begin = 0; begin < rows.dim(0); begin += flags.batch_size) {
    const int64_t count = std::min(flags.batch_size, rows.dim(0) - begin);
    TENON_RETURN_IF_ERROR(predict_rows(*executable, rows.slice(begin, count), begin, rows.dim(0),
                                       predictions.outputs));
  }
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
  data::Names names = model->data_names();
  TENON_ASSIGN_OR_RETURN(const ModelData data,
                         read_model_data(flags.data, *model, data::Labels::kNone, names));
  if (!wants_named_data(*model)) {
    TENON_RETURN_IF_ERROR(check_columns(flags, data.x[0], model->network().inputs[0].shape()));
  }
  TENON_ASSIGN_OR_RETURN(predictions.outputs, model->predict(data.x, flags.batch_size));
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
