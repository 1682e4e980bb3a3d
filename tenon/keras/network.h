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
  // In an order in which they can run.
  std::vector<std::shared_ptr<const Call>> calls;
  std::vector<KTensor> inputs, outputs;
  // A chain without branches or shared layers: summary() then shows no connections.
  bool is_chain = false;

  // Names layers that have no name yet ("dense", "dense_1", ... in the order in which they were
  // made) and gives weights their paths. INVALID_ARGUMENT: an error that a tensor carries, inputs
  // that are no Input, outputs that depend on other inputs, or a name used twice.
  static StatusOr<Network> create(std::vector<KTensor> inputs, std::vector<KTensor> outputs);

  // Adds the ops of the whole network. `values` in the order of `inputs`; the results in the order
  // of `outputs`.
  std::vector<Endpoint> trace(Trace& trace, std::span<const Endpoint> values) const;

  // Position of `call` among the calls of its layer.
  int call_index(const Call& call) const;

  // The "layers", "input_layers" and "output_layers" of a functional model's config.
  void describe(Json& config) const;
  // The "layers" and "build_input_shape" of a sequential model's config.
  void describe_sequential(Json& config) const;

  // From such configs. Untrusted: a class that is not known is UNIMPLEMENTED, whatever does not fit
  // together INVALID_ARGUMENT.
  static StatusOr<Network> from_functional(const Json& config);
  static StatusOr<Network> from_sequential(const Json& config);
};

// Calls a list of layers one after the other; the first must be an Input.
StatusOr<Network> chain_layers(std::span<const LayerRef> layers);

}  // namespace tenon::keras
