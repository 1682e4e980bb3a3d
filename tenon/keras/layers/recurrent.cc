#include "tenon/keras/layers/recurrent.h"

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// RNN(cell), and LSTM, GRU and SimpleRNN, which are RNN with a cell of their own and list its
// options among theirs.
class RNNLayer final : public RecurrentLayer {
 public:
  // A null `cell` is read from the config.
  RNNLayer(std::string_view class_name, std::shared_ptr<RecurrentCell> cell)
      : class_name_(class_name), owns_cell_(cell != nullptr) {
    if (!cell) return;
    cell->set_name(to_snake_case(cell->class_name()));
    set_cell(std::move(cell));
  }
  template <class Options>
  RNNLayer(std::string_view class_name, std::shared_ptr<RecurrentCell> cell, const Options& o)
      : RNNLayer(class_name, std::move(cell)) {
    set_name(o.name);
    loop_.return_sequences = o.return_sequences;
    loop_.go_backwards = o.go_backwards;
    return_state_ = o.return_state;
    stateful_ = o.stateful;
  }

  std::string_view class_name() const override { return class_name_; }
  std::span<const std::string_view> parameters() const override {
    static constexpr std::string_view kParameters[] = {"sequences", "initial_state", "mask"};
    return kParameters;
  }
  bool supports_masking() const override { return true; }
  void fields(ConfigFields& f) override {
    f.field("return_sequences", loop_.return_sequences);
    f.field("return_state", return_state_);
    f.field("go_backwards", loop_.go_backwards);
    f.field("stateful", stateful_);
    // A loop that is unrolled computes the same.
    f.field("unroll", unroll_);
    f.field("zero_output_for_mask", loop_.zero_output_for_mask);
    if (owns_cell_) {
      rule_fields(f, {"activity_regularizer"});
      cell_->fields(f);
      return;
    }
    std::shared_ptr<Layer> cell = cell_;
    f.layer("cell", cell);
    if (cell && !cell_) {
      set_cell(std::dynamic_pointer_cast<RecurrentCell>(cell));
      if (!cell_) refused_ = cell->who();
    }
  }
  void set_policy(DTypePolicy policy) override {
    if (cell_ && owns_cell_) cell_->set_policy(policy);
    Layer::set_policy(std::move(policy));
  }
  Status build(const Shapes& inputs) override {
    if (!cell_) {
      return unimplemented("'cell' ", refused_.empty() ? "is missing" : cat("is ", refused_),
                           ", expected LSTMCell, GRUCell, SimpleRNNCell or StackedRNNCells");
    }
    const PartialShape& shape = inputs[0];
    if (shape.rank() != 3) {
      return invalid_argument("the input has shape ", shape,
                              ", expected 3 dimensions: rows, steps, features");
    }
    TENON_RETURN_IF_ERROR(
        cell_->ensure_built(Shapes(std::vector<PartialShape>{{shape[0], shape[2]}})));
    if (!stateful_) return absl::OkStatus();
    if (shape[0] < 0) {
      return invalid_argument("'stateful' needs a batch size that is known, the input has shape ",
                              shape);
    }
    for (int64_t size : cell_->state_sizes()) {
      add_weight(cat("rnn_state_", weights().size()), {shape[0], size}, "zeros",
                 WeightKind::kState);
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const std::vector<int64_t> sizes = cell_->state_sizes();
    if (!checks_inputs(g, inputs, sizes)) return {};
    std::vector<Endpoint> states;
    const std::span<const Value> given = inputs.of("initial_state");
    const Endpoint rows = g.dim(x, 0);
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!given.empty()) {
        states.push_back(g.cast(given[i].tensor, g.dtype(x)));
      } else {
        states.push_back(stateful_ ? trace.read(weight(i))
                                   : zero_state(g, rows, sizes[i], g.dtype(x)));
      }
    }
    const RecurrentResult result =
        run_recurrent(trace, *cell_, loop_, x, inputs.mask(0), std::move(states));
    if (!g.status().ok()) return {};
    for (size_t i = 0; stateful_ && i < sizes.size(); ++i) {
      trace.assign(weight(i), g.cast(result.states[i], weight(i).dtype));
    }
    Outputs outputs(result.output);
    for (size_t i = 0; return_state_ && i < sizes.size(); ++i) {
      outputs.emplace_back(result.states[i]);
    }
    return outputs;
  }
  void output_masks(Trace&, const Arguments& inputs, Outputs& outputs) const override {
    if (loop_.return_sequences) outputs[0].mask = inputs.mask(0);
  }

  const RecurrentLoop& loop() const override { return loop_; }
  bool returns_state() const override { return return_state_; }
  bool stateful() const override { return stateful_; }
  size_t num_states() const override { return cell_ ? cell_->state_sizes().size() : 0; }
  void set_zero_output_for_mask(bool zero) override { loop_.zero_output_for_mask = zero; }

 private:
  void set_cell(std::shared_ptr<RecurrentCell> cell) {
    cell_ = std::move(cell);
    if (cell_) add_child("cell", cell_);
  }
  bool checks_inputs(GraphBuilder& g, const Arguments& inputs, std::span<const int64_t> sizes) {
    if (!g.status().ok()) return false;
    const std::span<const Value> given = inputs.of("initial_state");
    if (!given.empty() && given.size() != sizes.size()) {
      g.fail(invalid_argument("initial_state has ", given.size(), " tensors, the cell has ",
                              sizes.size(), " states"));
      return false;
    }
    const PartialShape& x = g.shape(inputs[0]);
    for (size_t i = 0; i < given.size(); ++i) {
      const PartialShape wanted{x[0], sizes[i]};
      if (!given[i].tensor || !PartialShape::merge(g.shape(given[i].tensor), wanted).ok()) {
        g.fail(invalid_argument("initial_state ", i, " has shape ", g.shape(given[i].tensor),
                                ", expected ", wanted));
        return false;
      }
    }
    const Endpoint mask = inputs.mask(0);
    if (mask && !PartialShape::merge(g.shape(mask), PartialShape{x[0], x[1]}).ok()) {
      g.fail(invalid_argument("the mask has shape ", g.shape(mask), ", expected ",
                              PartialShape{x[0], x[1]}));
      return false;
    }
    return true;
  }

  std::string_view class_name_;
  bool owns_cell_;
  std::shared_ptr<RecurrentCell> cell_;
  RecurrentLoop loop_;
  bool return_state_ = false, stateful_ = false, unroll_ = false;
  std::string refused_;  // a layer that is no cell
};

}  // namespace

LayerRef LSTM(LSTMOptions o) {
  return LayerRef(std::make_shared<RNNLayer>("LSTM", make_lstm_cell(o), o));
}
LayerRef GRU(GRUOptions o) {
  return LayerRef(std::make_shared<RNNLayer>("GRU", make_gru_cell(o), o));
}
LayerRef SimpleRNN(SimpleRNNOptions o) {
  return LayerRef(std::make_shared<RNNLayer>("SimpleRNN", make_simple_rnn_cell(o), o));
}
std::shared_ptr<Layer> layers::make_rnn() { return std::make_shared<RNNLayer>("RNN", nullptr); }
std::shared_ptr<Layer> layers::make_lstm() {
  return std::make_shared<RNNLayer>("LSTM", keras::make_lstm_cell({}));
}
std::shared_ptr<Layer> layers::make_gru() {
  return std::make_shared<RNNLayer>("GRU", keras::make_gru_cell({}));
}
std::shared_ptr<Layer> layers::make_simple_rnn() {
  return std::make_shared<RNNLayer>("SimpleRNN", keras::make_simple_rnn_cell({}));
}

}  // namespace tenon::keras
