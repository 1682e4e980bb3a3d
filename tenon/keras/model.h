// Model: a network of layers that is trained, evaluated, asked and stored. Keras' semantics,
// defaults and output.
//
//   keras::Sequential model({Input({28, 28}), Flatten(), Dense({.units = 10})});
//   TENON_RETURN_IF_ERROR(model.compile({.optimizer = "adam", .loss = "mse"}));
//   TENON_ASSIGN_OR_RETURN(History history, model.fit(x, y, {.epochs = 5}));
//
// Forward pass, loss, gradients, optimizer and metrics of a step are one graph and one Executable,
// which changes the variables in place. Equal seeds give equal bits. Not thread-safe.
#pragma once

#include "tenon/data/files.h"
#include "tenon/data/reader.h"
#include "tenon/keras/logs.h"
#include "tenon/keras/metric.h"
#include "tenon/keras/network.h"
#include "tenon/keras/optimizer.h"
#include "tenon/runtime/model_state.h"

namespace tenon::keras {

class Callback;
class MirroredStrategy;
class Steps;

// One tensor for each input of the model, or for each output, in the order of the network's; rows
// in dimension 0.
struct Tensors : std::vector<Tensor> {
  using std::vector<Tensor>::vector;
  Tensors(Tensor one) : std::vector<Tensor>{std::move(one)} {}  // NOLINT: implicit
};
using Inputs = Tensors;
// Of the outputs that have a loss, or of all; a tensor without value where one is not judged.
using Targets = Tensors;
// None, one for all outputs, or one for each.
using SampleWeights = Tensors;

// A batch as Keras hands it to an input of shape `wanted`: a last dimension of 1 is added to rows
// that lack it, or dropped from rows that have one too many. Shares the elements.
Tensor match_input_rank(Tensor x, const PartialShape& wanted);

struct History {
  std::vector<int64_t> epoch;
  // One value an epoch; where a metric gives several numbers, their mean.
  std::map<std::string, std::vector<double>> history;
};

// Of a model with several outputs, losses, weights and metrics are lists in the order of the
// outputs or objects by their names, as in Keras: {"left": "mse", "right": null}.
struct CompileOptions {
  std::variant<Json, OptimizerPtr> optimizer = Json("rmsprop");  // "adam", or Adam({...})
  std::variant<Json, LossPtr> loss = Json();                     // "mse", or MeanSquaredError()
  Json loss_weights = {};
  std::vector<Json> metrics = {};  // an object by names stands alone in the list
  std::vector<Json> weighted_metrics = {};
};

struct ValidationData {
  Inputs x;
  Targets y;
  SampleWeights sample_weight = {};
};

struct FitOptions {
  int64_t batch_size = 32;
  int64_t epochs = 1;
  int verbose = 1;  // 0 silent, 1 progress bar, 2 one line an epoch
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  double validation_split = 0.0;  // the last part of the data, before shuffling
  std::optional<ValidationData> validation_data = {};
  data::DatasetPtr validation_batches = {};  // in place of validation_data
  bool shuffle = true;                       // rows in memory
  std::map<int64_t, double> class_weight = {};
  SampleWeights sample_weight = {};
  int64_t initial_epoch = 0;
  int64_t validation_batch_size = 0;  // 0: batch_size
  int64_t validation_freq = 1;
  // 0: an epoch is a pass over the data. Else it has so many steps, and the next one goes on where
  // it ended; where the data end, the epoch ends early, with a warning.
  int64_t steps_per_epoch = 0;
  int64_t validation_steps = 0;                       // 0: all; else from the beginning, each time
  data::Position initial_position = {};               // with steps_per_epoch: where the data go on
  int prefetch = data::kAutotune;                     // batches that are made ahead
  std::function<void(std::string_view)> output = {};  // of progress; empty: stdout
};

struct EvaluateOptions {
  int64_t batch_size = 32;
  int verbose = 1;
  SampleWeights sample_weight = {};
  int64_t steps = 0;  // at most; 0: all
  std::function<void(std::string_view)> output = {};
};

// What training makes small of one output, and how much it counts.
struct OutputLoss {
  LossPtr loss;  // null: none
  double weight = 1.0;
};

struct ModelOptions {
  std::string name = {};
  std::optional<uint64_t> seed = {};  // of first weights, dropout and shuffling
  bool compile = true;                // from_json() and load(): as the file says; else not at all
  // Weights that take more, or more than the machine's memory, are RESOURCE_EXHAUSTED before any is
  // made. load() lowers it to what the file holds.
  uint64_t max_weight_bytes = UINT64_MAX;
  std::shared_ptr<const MirroredStrategy> strategy =
      {};  // distribute/mirrored_strategy.h; null: one device
};

// Names of classes or features from a JSON list of texts, null for none. INVALID_ARGUMENT when it
// is no such list, or one stands in it twice.
StatusOr<std::vector<std::string>> names_from_json(const Json& json);
// Of {"classes": [...], "features": [...]}.
StatusOr<data::Names> data_names_from_json(const Json& json);
Json data_names_to_json(const data::Names& names);

// The seed of models made afterwards that are given none; 0 until it is called.
void set_random_seed(uint64_t seed);

class Model {
 public:
  Model(std::vector<KTensor> inputs, std::vector<KTensor> outputs, ModelOptions options = {});
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // From Keras' JSON (model.to_json(), the config.json of a .keras file). Untrusted.
  static StatusOr<std::unique_ptr<Model>> from_json(const Json& json, ModelOptions options = {});
  Json to_json() const;

  // Classes and columns of the data that the model was trained on. Stored in .keras files as the
  // member tenon.json, which Keras passes over.
  const data::Names& data_names() const { return data_names_; }
  void set_data_names(data::Names names) { data_names_ = std::move(names); }

  // What was wrong with layers or tensors; every call below then reports it.
  const Status& status() const { return status_; }
  const std::string& name() const { return name_; }
  const Network& network() const { return network_; }
  // A list of layers, as Keras stores it: without the Input among its layers.
  bool is_sequential() const { return sequential_; }

  Status compile(CompileOptions options);
  bool compiled() const { return !losses_.empty(); }
  // Of each output of a compiled model: its loss, null where it has none.
  std::vector<const Loss*> losses() const;

  StatusOr<History> fit(Inputs x, Targets y, FitOptions options = {});
  StatusOr<Logs> evaluate(Inputs x, Targets y, EvaluateOptions options = {});
  // One tensor for each output.
  StatusOr<std::vector<Tensor>> predict(Inputs x, int64_t batch_size = 32);

  // The same of batches that are read as they are needed: elements of a dataset, each the inputs,
  // then the targets of the outputs with a loss, then no weights of rows, one tensor of them for
  // all outputs, or one for each of these. Pass n of the dataset is epoch n, unless epochs have a
  // number of steps. batch_size, shuffle and sample_weight of the options do not act. predict()
  // takes the inputs and leaves the rest.
  StatusOr<History> fit(data::DatasetPtr batches, FitOptions options = {});
  StatusOr<Logs> evaluate(data::DatasetPtr batches, EvaluateOptions options = {});
  StatusOr<std::vector<Tensor>> predict(data::DatasetPtr batches);
  // Where the next epoch begins in the data: for callbacks, when an epoch has ended.
  const data::Position& data_position() const { return data_position_; }

  // One step; the running metrics after it. With `reset` (Keras' default) they start anew.
  StatusOr<Logs> train_on_batch(Inputs x, Targets y, bool reset = true);

  // Keras' table, for a terminal of `columns` columns.
  std::string summary(int columns = 80) const;

  // Keras' .keras archive, with the optimizer's state.
  Status save(const std::string& path) const;
  static StatusOr<std::unique_ptr<Model>> load(const std::string& path, ModelOptions options = {});
  // model.weights.h5 alone. Loading checks every shape before it changes anything.
  Status save_weights(const std::string& path) const;
  Status load_weights(const std::string& path);

  // The values themselves, layers in order, trainable ones first within a layer, as Keras'
  // get_weights() of each layer.
  std::vector<Weight*> weights() const;
  std::vector<Weight*> trainable_weights() const;
  // All that a checkpoint must hold to go on where training stopped, in a fixed order: weights,
  // the states of random layers, the optimizer's variables.
  std::vector<Weight*> checkpoint_variables() const;

  // The network as a function from inputs to outputs, for inference or (training) not: its graph
  // reads the model's variables by their paths. What export writes.
  StatusOr<Graph> forward_graph(bool training = false) const;
  const std::shared_ptr<ModelState>& state() const { return state_; }

  // Which way is better for what a step reports under `name`; nothing before the first step, and
  // where it reports no such loss or metric.
  std::optional<Metric::Direction> direction_of(std::string_view name) const;

  Optimizer* optimizer() const { return optimizer_.get(); }
  // FAILED_PRECONDITION when the model is not compiled, or a schedule gives the rate.
  StatusOr<double> learning_rate() const;
  Status set_learning_rate(double rate);
  void set_epochs_done(int64_t epochs) { epochs_done_ = epochs; }

  // Ends fit() after the running step; for callbacks.
  bool stop_training = false;

 protected:
  Model(StatusOr<Network> network, bool sequential, ModelOptions options);

 private:
  friend class Steps;
  friend class StepMetrics;
  friend class Fit;
  // Every layer, those within others too, once.
  void visit_all(const std::function<void(Layer&)>& visit) const;
  Status create_variables(std::span<Weight* const> weights);
  Status check_ready(bool compiled) const;
  Steps& steps();

  Status status_;
  Network network_;
  bool sequential_;
  std::string name_;
  uint64_t seed_;
  uint64_t weights_made_ = 0;
  bool trained_ = false;  // the optimizer's state is more than its first values
  int64_t epochs_done_ = 0;
  data::Position data_position_;
  std::shared_ptr<ModelState> state_;
  OptimizerPtr optimizer_;
  std::vector<OutputLoss> losses_;  // of each output; empty until compiled
  CompileOptions compile_options_;
  data::Names data_names_;
  std::shared_ptr<const MirroredStrategy> strategy_;
  std::unique_ptr<Steps> steps_;
};

class Sequential : public Model {
 public:
  // The first layer is an Input.
  explicit Sequential(std::vector<LayerRef> layers, ModelOptions options = {});
};

}  // namespace tenon::keras
