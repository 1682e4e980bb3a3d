// Where the models of `train`, `evaluate`, `predict`, `export` and `bench --train` come from.
#pragma once

#include "tenon/data/open_rows.h"
#include "tenon/keras/distribute/mirrored_strategy.h"
#include "tenon/keras/model.h"

namespace tenon::cli {

// Is `source` named as a file of Keras that holds a model: .keras, .h5, .hdf5?
bool is_keras_file(std::string_view source);

// What a built-in model learns: rows of one shape, labels 0 ... classes-1.
struct Problem {
  PartialShape row;
  int64_t classes = 0;
};
StatusOr<Problem> problem_of(const data::Table& table);
StatusOr<Problem> problem_of(const data::RowStream& stream);

// FILE.keras (compiled where the file says how), FILE.h5 (not compiled), FILE.json (Keras'
// to_json(), with new weights), or a built-in name made for a problem: "mlp" (Flatten, Dense 128
// relu, Dense softmax) and "cnn" (two convolutions with pooling, Dropout, Dense softmax; images
// [rows, height, width] or with channels). NOT_FOUND for anything else.
StatusOr<std::unique_ptr<keras::Model>> open_model(const std::string& source,
                                                   const Problem* problem,
                                                   keras::ModelOptions options = {});

// Is `source` a built-in name, which needs data?
bool is_builtin_model(std::string_view source);

struct StrategyFlags {
  std::string strategy;  // "mirrored", "multi_worker", or empty: none
  std::string devices;   // "GPU:0,GPU:1"; empty: all of the kind where models run
};

// `workers` are those of --strategy multi_worker, null for others. Null without a strategy. What is
// not mirrored, evaluation, runs on its first device from then on.
StatusOr<std::shared_ptr<const keras::MirroredStrategy>> open_strategy(
    const StrategyFlags& flags, std::shared_ptr<dist::WorkerGroup> workers = {});

struct CompileFlags {
  std::string optimizer;  // a name, or Keras' JSON
  std::string loss;
  std::vector<std::string> metrics;
  double learning_rate = 0;  // 0: the optimizer's default
  bool from_logits = false;
};

// Compiles a model by the flags; one whose file says how stays as it is when none is given.
Status compile_model(keras::Model& model, const CompileFlags& flags);

}  // namespace tenon::cli
