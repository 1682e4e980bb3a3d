// What recurrent layers share: cells, and the loop over the steps of a sequence.
#pragma once

#include "tenon/keras/layers.h"

namespace tenon::keras {

// One step of a recurrent layer, in two parts: what the input alone decides (project), which the
// loop works out for all steps at once, and the rest (step).
class RecurrentCell : public Layer {
 public:
  // Width of each state; the first one's is that of the output.
  virtual std::vector<int64_t> state_sizes() const = 0;
  virtual int64_t output_size() const { return state_sizes()[0]; }

  // What all steps share, in the graph that holds the loop: weights and dropout masks. `rows` of a
  // batch is an int32 scalar, `dtype` that of the computation. project() and step() are then for
  // this loop.
  virtual std::vector<Endpoint> constants(Trace& trace, Endpoint rows, DType dtype) = 0;
  // The input's part of one step, [batch, width], or of all, [batch, time, width].
  virtual Endpoint project(GraphBuilder& build, Endpoint input,
                           std::span<const Endpoint> constants) const = 0;

  struct Step {
    Endpoint output;
    std::vector<Endpoint> states;
  };
  virtual Step step(GraphBuilder& build, Endpoint projected, std::span<const Endpoint> states,
                    std::span<const Endpoint> constants) const = 0;

  // Never called: RNN(cell) runs the parts above.
  Outputs call(Trace& trace, const Arguments& inputs) override;
};

struct RecurrentLoop {
  bool go_backwards = false;
  bool zero_output_for_mask = false;
  bool return_sequences = false;
};

struct RecurrentResult {
  Endpoint output;  // [batch, time, width] or [batch, width]
  std::vector<Endpoint> states;
};

// Adds the loop. `mask`, [batch, time] or invalid, tells which steps count: at others the states
// stay, and the output is the one before or zero.
RecurrentResult run_recurrent(Trace& trace, RecurrentCell& cell, const RecurrentLoop& options,
                              Endpoint sequences, Endpoint mask, std::vector<Endpoint> states);

// [rows, width] of zeros.
Endpoint zero_state(GraphBuilder& build, Endpoint rows, int64_t width, DType dtype);

std::shared_ptr<RecurrentCell> make_lstm_cell(LSTMOptions options);
std::shared_ptr<RecurrentCell> make_gru_cell(GRUOptions options);
std::shared_ptr<RecurrentCell> make_simple_rnn_cell(SimpleRNNOptions options);

// A layer whose child runs over time: RNN, ConvLSTM and their kin.
class RecurrentLayer : public Layer {
 public:
  std::span<const std::string_view> parameters() const override;
  bool supports_masking() const override { return true; }
  void output_masks(Trace& trace, const Arguments& inputs, Outputs& outputs) const override;

  const RecurrentLoop& loop() const { return loop_; }
  bool returns_state() const { return return_state_; }
  bool stateful() const { return stateful_; }
  virtual size_t num_states() const = 0;
  // As Keras' Bidirectional sets it.
  void set_zero_output_for_mask(bool zero) { loop_.zero_output_for_mask = zero; }

 protected:
  // The options that all of them have.
  void loop_fields(ConfigFields& f);
  // A stateful layer's weights, which hold a state [rows, size] each between batches of `input`'s
  // rows; INVALID_ARGUMENT where their number is not known.
  Status add_states(const PartialShape& input, std::span<const int64_t> sizes);
  // Is there none or one tensor of initial_state for each of the states? Fails the graph if not.
  static bool has_each_state(GraphBuilder& build, size_t given, size_t states);
  // Before the first step of `x`: those that are given, each [rows, size]; else what the batch
  // before left, or zeros.
  std::vector<Endpoint> first_states(Trace& trace, Endpoint x, std::span<const Endpoint> given,
                                     std::span<const int64_t> sizes) const;
  // Keeps them for the next batch, of a stateful layer.
  void keep_states(Trace& trace, std::span<const Endpoint> states) const;

  RecurrentLoop loop_;
  bool return_state_ = false, stateful_ = false;

 private:
  bool unroll_ = false;  // a loop that is unrolled computes the same
};

}  // namespace tenon::keras
