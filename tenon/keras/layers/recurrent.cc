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
  void fields(ConfigFields& f) override {
    loop_fields(f);
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
    return add_states(shape, cell_->state_sizes());
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const std::vector<int64_t> sizes = cell_->state_sizes();
    if (!checks_inputs(g, inputs, sizes)) return {};
    std::vector<Endpoint> given;
    for (const Value& state : inputs.of("initial_state")) given.push_back(state.tensor);
    const RecurrentResult result = run_recurrent(trace, *cell_, loop_, x, inputs.mask(0),
                                                 first_states(trace, x, given, sizes));
    if (!g.status().ok()) return {};
    keep_states(trace, result.states);
    Outputs outputs(result.output);
    for (size_t i = 0; return_state_ && i < sizes.size(); ++i) {
      outputs.emplace_back(result.states[i]);
    }
    return outputs;
  }
  size_t num_states() const override { return cell_ ? cell_->state_sizes().size() : 0; }

 private:
  void set_cell(std::shared_ptr<RecurrentCell> cell) {
    cell_ = std::move(cell);
    if (cell_) add_child("cell", cell_);
  }
  bool checks_inputs(GraphBuilder& g, const Arguments& inputs, std::span<const int64_t> sizes) {
    if (!g.status().ok()) return false;
    const std::span<const Value> given = inputs.of("initial_state");
    if (!has_each_state(g, given.size(), sizes.size())) return false;
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
