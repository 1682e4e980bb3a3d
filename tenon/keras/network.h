// Network: the layers between input and output tensors and the order in which they run, as Keras'
// Functional finds them (keras/src/ops/function.py, map_graph).
#pragma once

#include "tenon/keras/layers.h"

namespace tenon::keras {

// More layer calls than any model has.
inline constexpr size_t kMaxCalls = 20000;

struct Network {
  // In the order in which Keras lists, counts and stores them. One layer may be called often.
  std::vector<std::shared_ptr<Layer>> layers;
  // In the order in which Keras runs them.
  std::vector<std::shared_ptr<const Call>> calls;
  std::vector<KTensor> inputs, outputs;
  // How Keras nests them: lists and objects with `true` for each (Call::Argument::form). Null: one
  // alone, or a list.
  Json input_form, output_form;
  // A chain without branches or shared layers: summary() then shows no connections.
  bool is_chain = false;

  // Names layers that have no name yet ("dense", "dense_1", ... in the order in which they were
  // made) and gives weights their paths. INVALID_ARGUMENT: an error that a tensor carries, inputs
  // that are no Input, outputs that depend on other inputs, or a name used twice.
  static StatusOr<Network> create(std::vector<KTensor> inputs, std::vector<KTensor> outputs);

  // Adds the ops of the whole network. `values` in the order of `inputs`; the results in the order
  // of `outputs`, with masks.
  Outputs trace(Trace& trace, std::span<const Value> values) const;

  // How Keras calls inputs and outputs where data, losses and metrics are given by name: by their
  // keys, or else by their layers.
  std::vector<std::string> input_names() const;
  std::vector<std::string> output_names() const;
  // The layers themselves, as `layers` without the operations of keras.ops.
  std::vector<std::shared_ptr<Layer>> own_layers() const;
  // Calls of layers that one run makes, those of models within it too.
  size_t calls_within() const;

  // Position of `call` among the calls of its layer.
  int call_index(const Call& call) const;

  // The layers with their places in files of weights: the class in snake case, counted from the
  // second on.
  std::vector<Layer::Child> file_groups(bool sequential) const;

  // A model of these layers as Keras serialises it, without compile_config.
  Json describe_model(std::string_view name, bool sequential, bool trainable) const;
  // The "layers", "input_layers" and "output_layers" of a functional model's config.
  void describe(Json& config) const;
  // The "layers" and "build_input_shape" of a sequential model's config.
  void describe_sequential(Json& config) const;

  // From such configs. Untrusted: a class that is not known is UNIMPLEMENTED, whatever does not fit
  // together INVALID_ARGUMENT.
  static StatusOr<Network> from_functional(const Json& config, SharedLayers& shared);
  static StatusOr<Network> from_sequential(const Json& config, SharedLayers& shared);
};

// Calls a list of layers one after the other; the first must be an Input.
StatusOr<Network> chain_layers(std::span<const LayerRef> layers);

}  // namespace tenon::keras
