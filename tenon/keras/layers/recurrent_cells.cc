#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/layers/recurrent.h"

namespace tenon::keras {

namespace {

// What LSTM, GRU and SimpleRNN have in common: a kernel for the input, one for the state, a bias,
// `gates` blocks wide, and dropout of input and state by masks that all steps share.
template <class Options>
class GatedCell : public RecurrentCell {
 public:
  GatedCell(Options o, int64_t gates) : o_(std::move(o)), gates_(gates) {}

  // Keras' classes list the same options in other orders, which JSON does not tell apart.
  void fields(ConfigFields& f) override {
    f.field("units", o_.units);
    f.activation("activation", o_.activation);
    own_fields(f);
    f.field("use_bias", o_.use_bias);
    f.field("kernel_initializer", o_.kernel_initializer);
    f.field("recurrent_initializer", o_.recurrent_initializer);
    f.field("bias_initializer", o_.bias_initializer);
    rule_fields(f, {"kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
                    "kernel_constraint", "recurrent_constraint", "bias_constraint"});
    f.field("dropout", o_.dropout);
    f.field("recurrent_dropout", o_.recurrent_dropout);
  }
  Status build(const Shapes& inputs) override {
    if (o_.units <= 0) return invalid_argument("units is ", o_.units, ", expected more than 0");
    for (const auto& [name, rate] :
         {std::pair("dropout", o_.dropout), std::pair("recurrent_dropout", o_.recurrent_dropout)}) {
      if (!(rate >= 0 && rate <= 1)) {
        return invalid_argument(name, " is ", rate, ", expected a number from 0 to 1");
      }
    }
    TENON_ASSIGN_OR_RETURN(const int64_t width, layers::known_dim(inputs[0], -1, -1));
    int64_t wide;
    if (__builtin_mul_overflow(o_.units, gates_, &wide) || wide > INT32_MAX) {
      return invalid_argument("units is ", o_.units, ", which is too large");
    }
    add_weight("kernel", {width, wide}, o_.kernel_initializer);
    add_weight("recurrent_kernel", {o_.units, wide}, o_.recurrent_initializer);
    if (o_.use_bias) add_bias(wide);
    seed_ = layers::add_dropout_seed(*this, o_.dropout + o_.recurrent_dropout, o_.seed);
    return absl::OkStatus();
  }

  // Kernel, recurrent kernel, biases, then the masks of input and state, in the order in which
  // Keras draws them.
  std::vector<Endpoint> constants(Trace& trace, Endpoint rows, DType dtype) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> constants;
    for (size_t i = 0; i < (o_.use_bias ? 3u : 2u); ++i) constants.push_back(trace.read(weight(i)));
    // Keras draws a mask for each gate where the state is dropped too.
    const size_t masks = o_.recurrent_dropout != 0 ? static_cast<size_t>(gates_) : 1;
    const auto draw = [&](double rate, int64_t width) -> size_t {
      if (!trace.training() || rate <= 0 || rate >= 1) return 0;
      const Endpoint shape =
          g.op("Pack", {rows, g.scalar(static_cast<int32_t>(width))}, {{"N", int64_t{2}}});
      const Endpoint ones = g.op("Fill", {shape, g.scalar_of(dtype, 1)});
      for (size_t i = 0; i < masks; ++i) {
        constants.push_back(layers::dropout(trace, ones, rate, weight(seed_)));
      }
      return masks;
    };
    input_masks_ = draw(o_.dropout, weight(0).shape[0]);
    state_masks_ = draw(o_.recurrent_dropout, o_.units);
    return constants;
  }
  Endpoint project(GraphBuilder& g, Endpoint x,
                   std::span<const Endpoint> constants) const override {
    std::vector<Endpoint> parts;
    for (size_t i = 0; i < std::max<size_t>(1, input_masks_); ++i) {
      Endpoint kept = x;
      if (input_masks_ > 0) {
        Endpoint mask = constants[(o_.use_bias ? 3 : 2) + i];
        if (g.shape(x).rank() == 3) mask = g.op("ExpandDims", {mask, g.scalar<int32_t>(1)});
        kept = g.mul(x, mask);
      }
      const auto of = static_cast<int64_t>(std::max<size_t>(1, input_masks_));
      parts.push_back(times_kernel(g, kept, gate_of(g, constants[0], static_cast<int64_t>(i), of)));
    }
    const Endpoint y = join_gates(g, std::move(parts));
    return o_.use_bias ? g.op("BiasAdd", {y, input_bias(g, constants[2])}) : y;
  }

 protected:
  virtual void own_fields(ConfigFields& f) = 0;
  virtual Endpoint input_bias(GraphBuilder&, Endpoint bias) const { return bias; }
  virtual void add_bias(int64_t wide) { add_weight("bias", {wide}, o_.bias_initializer); }

  // Block `gate` of `of` equal ones along the last axis.
  Endpoint gate_of(GraphBuilder& g, Endpoint x, int64_t gate, int64_t of) const {
    if (of == 1) return x;
    const std::vector<Endpoint> parts =
        g.ops("Split", {g.scalar<int32_t>(1), x}, {{"num_split", of}});
    return parts.empty() ? Endpoint() : parts[static_cast<size_t>(gate)];
  }
  std::vector<Endpoint> gates_of(GraphBuilder& g, Endpoint x, int64_t count) const {
    std::vector<Endpoint> parts = g.ops("Split", {g.scalar<int32_t>(1), x}, {{"num_split", count}});
    parts.resize(static_cast<size_t>(count));
    return parts;
  }
  Endpoint join_gates(GraphBuilder& g, std::vector<Endpoint> parts) const {
    if (parts.size() == 1) return parts[0];
    return g.concat(std::move(parts), -1);
  }
  // [batch, time, width] times [width, n].
  Endpoint times_kernel(GraphBuilder& g, Endpoint x, Endpoint kernel) const {
    if (!g.status().ok()) return {};
    const int64_t wide = g.shape(kernel)[1];
    const Endpoint rows = g.matmul(g.reshape(x, g.integers({-1, weight(0).shape[0]})), kernel);
    const PartialShape& shape = g.shape(x);
    if (shape.rank() == 2) return rows;
    if (shape[1] >= 0) return g.reshape(rows, g.integers({-1, shape[1], wide}));
    const Endpoint first = g.slice(g.shape_of(x), 0, 2);
    return g.reshape(rows, g.concat({first, g.integers({wide})}, 0));
  }
  // The state times blocks [from, to) of the recurrent kernel, with dropout.
  Endpoint times_recurrent(GraphBuilder& g, Endpoint h, std::span<const Endpoint> constants,
                           int64_t from, int64_t to) const {
    if (state_masks_ <= 1 && from == 0 && to == gates_) {
      return g.matmul(dropped_state(g, h, constants, 0), constants[1]);
    }
    const std::vector<Endpoint> kernels = gates_of(g, constants[1], gates_);
    std::vector<Endpoint> parts;
    for (int64_t i = from; i < to; ++i) {
      const auto gate = static_cast<size_t>(i);
      parts.push_back(g.matmul(dropped_state(g, h, constants, gate), kernels[gate]));
    }
    return join_gates(g, std::move(parts));
  }
  // The state as gate `gate` sees it.
  Endpoint dropped_state(GraphBuilder& g, Endpoint h, std::span<const Endpoint> constants,
                         size_t gate) const {
    if (state_masks_ == 0) return h;
    const size_t first = (o_.use_bias ? 3 : 2) + input_masks_;
    return g.mul(h, constants[first + std::min(gate, state_masks_ - 1)]);
  }

  Options o_;
  int64_t gates_;
  size_t seed_ = 0;
  size_t input_masks_ = 0, state_masks_ = 0;  // among the constants
};

class LSTMCellLayer final : public GatedCell<LSTMOptions> {
 public:
  explicit LSTMCellLayer(LSTMOptions o) : GatedCell(std::move(o), 4) {}
  std::string_view class_name() const override { return "LSTMCell"; }
  std::vector<int64_t> state_sizes() const override { return {o_.units, o_.units}; }
  void own_fields(ConfigFields& f) override {
    f.activation("recurrent_activation", o_.recurrent_activation);
    f.field("unit_forget_bias", o_.unit_forget_bias);
    f.field("seed", o_.seed);
  }
  void add_bias(int64_t wide) override {
    Initializer bias = o_.bias_initializer;
    if (o_.unit_forget_bias) bias = Initializer::forget_bias(bias);
    add_weight("bias", {wide}, bias);
  }
  Step step(GraphBuilder& g, Endpoint x, std::span<const Endpoint> states,
            std::span<const Endpoint> constants) const override {
    const Endpoint z = g.add(x, times_recurrent(g, states[0], constants, 0, 4));
    const std::vector<Endpoint> gates = gates_of(g, z, 4);
    const Endpoint i = activate(g, o_.recurrent_activation, gates[0]);
    const Endpoint f = activate(g, o_.recurrent_activation, gates[1]);
    const Endpoint c = g.add(g.mul(f, states[1]), g.mul(i, activate(g, o_.activation, gates[2])));
    const Endpoint o = activate(g, o_.recurrent_activation, gates[3]);
    const Endpoint h = g.mul(o, activate(g, o_.activation, c));
    return {h, {h, c}};
  }
};

class GRUCellLayer final : public GatedCell<GRUOptions> {
 public:
  explicit GRUCellLayer(GRUOptions o) : GatedCell(std::move(o), 3) {}
  std::string_view class_name() const override { return "GRUCell"; }
  std::vector<int64_t> state_sizes() const override { return {o_.units}; }
  void own_fields(ConfigFields& f) override {
    f.activation("recurrent_activation", o_.recurrent_activation);
    f.field("reset_after", o_.reset_after);
    f.field("seed", o_.seed);
  }
  // With reset_after, one row for the input and one for the state.
  void add_bias(int64_t wide) override {
    add_weight("bias", o_.reset_after ? Shape{2, wide} : Shape{wide}, o_.bias_initializer);
  }
  Endpoint input_bias(GraphBuilder& g, Endpoint bias) const override {
    return o_.reset_after ? bias_row(g, bias, 0) : bias;
  }
  Step step(GraphBuilder& g, Endpoint x, std::span<const Endpoint> states,
            std::span<const Endpoint> constants) const override {
    const Endpoint h = states[0];
    const std::vector<Endpoint> in = gates_of(g, x, 3);
    const bool after = o_.reset_after;
    Endpoint inner = times_recurrent(g, h, constants, 0, after ? 3 : 2);
    if (after && o_.use_bias) inner = g.op("BiasAdd", {inner, bias_row(g, constants[2], 1)});
    const std::vector<Endpoint> gates = gates_of(g, inner, after ? 3 : 2);
    const Endpoint z = activate(g, o_.recurrent_activation, g.add(in[0], gates[0]));
    const Endpoint r = activate(g, o_.recurrent_activation, g.add(in[1], gates[1]));
    const Endpoint recurrent = after ? g.mul(r, gates[2]) : reset_before(g, r, h, constants);
    const Endpoint candidate = activate(g, o_.activation, g.add(in[2], recurrent));
    const Endpoint one = g.scalar_of(g.dtype(z), 1);
    const Endpoint next = g.add(g.mul(z, h), g.mul(g.sub(one, z), candidate));
    return {next, {next}};
  }

 private:
  Endpoint bias_row(GraphBuilder& g, Endpoint bias, size_t row) const {
    const std::vector<Endpoint> rows = g.ops("Unpack", {bias}, {{"num", int64_t{2}}});
    return rows.empty() ? Endpoint() : rows[row];
  }
  Endpoint reset_before(GraphBuilder& g, Endpoint r, Endpoint h,
                        std::span<const Endpoint> constants) const {
    const Endpoint kept = dropped_state(g, h, constants, 2);
    return g.matmul(g.mul(r, kept), gate_of(g, constants[1], 2, 3));
  }
};

class SimpleRNNCellLayer final : public GatedCell<SimpleRNNOptions> {
 public:
  explicit SimpleRNNCellLayer(SimpleRNNOptions o) : GatedCell(std::move(o), 1) {}
  std::string_view class_name() const override { return "SimpleRNNCell"; }
  std::vector<int64_t> state_sizes() const override { return {o_.units}; }
  void own_fields(ConfigFields& f) override {
    if (!within_layer_) f.field("seed", o_.seed);
  }
  // Keras' SimpleRNN, alone among its kin, does not write its cell's seed.
  void set_within_layer() { within_layer_ = true; }
  Step step(GraphBuilder& g, Endpoint x, std::span<const Endpoint> states,
            std::span<const Endpoint> constants) const override {
    const Endpoint sum = g.add(x, times_recurrent(g, states[0], constants, 0, 1));
    const Endpoint h = activate(g, o_.activation, sum);
    return {h, {h}};
  }

 private:
  bool within_layer_ = false;
};

// Cells one above the other. The first one's inputs are worked out before the loop, the others'
// within it.
class StackedRNNCellsLayer final : public RecurrentCell {
 public:
  std::string_view class_name() const override { return "StackedRNNCells"; }
  void fields(ConfigFields& f) override {
    std::vector<std::shared_ptr<Layer>> cells;
    for (const auto& cell : cells_) cells.push_back(cell);
    f.layers("cells", cells);
    if (!cells_.empty()) return;
    for (const auto& layer : cells) {
      cells_.push_back(std::dynamic_pointer_cast<RecurrentCell>(layer));
      if (!cells_.back()) refused_ = layer->who();
    }
    std::map<std::string, int> counts;
    for (const auto& layer : cells) {
      const std::string base = to_snake_case(layer->class_name());
      const int count = counts[base]++;
      add_child(cat("cells/", base, count == 0 ? "" : cat("_", count)), layer);
    }
  }
  std::vector<int64_t> state_sizes() const override {
    std::vector<int64_t> sizes;
    for (const auto& cell : cells_) {
      const std::vector<int64_t> own = cell ? cell->state_sizes() : std::vector<int64_t>();
      sizes.insert(sizes.end(), own.begin(), own.end());
    }
    return sizes;
  }
  int64_t output_size() const override {
    return cells_.empty() || !cells_.back() ? 0 : cells_.back()->output_size();
  }
  Status build(const Shapes& inputs) override {
    if (cells_.empty()) return invalid_argument("there are no cells");
    if (!refused_.empty()) return unimplemented(refused_, " is no cell that is known");
    PartialShape shape = inputs[0];
    for (const auto& cell : cells_) {
      const Status status = cell->ensure_built(Shapes(std::vector<PartialShape>{shape}));
      if (!status.ok()) return with_context(status, cell->who());
      shape = PartialShape{-1, cell->output_size()};
    }
    return absl::OkStatus();
  }
  std::vector<Endpoint> constants(Trace& trace, Endpoint rows, DType dtype) override {
    std::vector<Endpoint> whole;
    constants_.clear();
    for (const auto& cell : cells_) {
      const std::vector<Endpoint> own = cell->constants(trace, rows, dtype);
      whole.insert(whole.end(), own.begin(), own.end());
      constants_.push_back(own.size());
    }
    return whole;
  }
  Endpoint project(GraphBuilder& g, Endpoint x,
                   std::span<const Endpoint> constants) const override {
    return cells_[0]->project(g, x, constants.first(constants_[0]));
  }
  Step step(GraphBuilder& g, Endpoint input, std::span<const Endpoint> states,
            std::span<const Endpoint> constants) const override {
    Step whole;
    for (size_t i = 0; i < cells_.size(); ++i) {
      const auto own_states = states.first(cells_[i]->state_sizes().size());
      const auto own_constants = constants.first(constants_[i]);
      states = states.subspan(own_states.size());
      constants = constants.subspan(own_constants.size());
      if (i > 0) input = cells_[i]->project(g, input, own_constants);
      const Step made = cells_[i]->step(g, input, own_states, own_constants);
      whole.states.insert(whole.states.end(), made.states.begin(), made.states.end());
      input = whole.output = made.output;
    }
    return whole;
  }

 private:
  std::vector<std::shared_ptr<RecurrentCell>> cells_;
  std::vector<size_t> constants_;  // of each cell, how many
  std::string refused_;
};

}  // namespace

std::shared_ptr<RecurrentCell> make_lstm_cell(LSTMOptions options) {
  return std::make_shared<LSTMCellLayer>(std::move(options));
}
std::shared_ptr<RecurrentCell> make_gru_cell(GRUOptions options) {
  return std::make_shared<GRUCellLayer>(std::move(options));
}
std::shared_ptr<RecurrentCell> make_simple_rnn_cell(SimpleRNNOptions options) {
  auto cell = std::make_shared<SimpleRNNCellLayer>(std::move(options));
  cell->set_within_layer();
  return cell;
}
std::shared_ptr<Layer> layers::make_lstm_cell() { return keras::make_lstm_cell({}); }
std::shared_ptr<Layer> layers::make_gru_cell() { return keras::make_gru_cell({}); }
std::shared_ptr<Layer> layers::make_simple_rnn_cell() {
  return std::make_shared<SimpleRNNCellLayer>(SimpleRNNOptions{});
}
std::shared_ptr<Layer> layers::make_stacked_rnn_cells() {
  return std::make_shared<StackedRNNCellsLayer>();
}

}  // namespace tenon::keras
