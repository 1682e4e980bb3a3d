// ConvLSTM1D, 2D and 3D: an LSTM whose products are convolutions. The states go through the loop as
// rows of numbers, which an image is too.
#include "tenon/keras/layers/builtin.h"
#include "tenon/keras/layers/recurrent.h"

namespace tenon::keras {

namespace {

constexpr int64_t kLstmGates = 4;

class ConvLSTMCell final : public RecurrentCell {
 public:
  // `rank`: axes of an image beside channels, 1 to 3.
  explicit ConvLSTMCell(size_t rank)
      : rank_(rank), kernel_size_(rank, 0), strides_(rank, 1), dilation_rate_(rank, 1) {
    set_name("conv_lstm_cell");
  }
  std::string_view class_name() const override { return "ConvLSTMCell"; }
  void fields(ConfigFields& f) override {
    f.field("filters", filters_);
    f.sizes("kernel_size", kernel_size_);
    f.sizes("strides", strides_);
    f.field("padding", padding_);
    f.only("data_format", "channels_last");
    f.sizes("dilation_rate", dilation_rate_);
    f.activation("activation", activation_);
    f.activation("recurrent_activation", recurrent_activation_);
    f.field("use_bias", use_bias_);
    f.field("kernel_initializer", kernel_initializer_);
    f.field("recurrent_initializer", recurrent_initializer_);
    f.field("bias_initializer", bias_initializer_);
    f.field("unit_forget_bias", unit_forget_bias_);
    rule_fields(f, {"kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
                    "kernel_constraint", "recurrent_constraint", "bias_constraint"});
    f.field("dropout", dropout_);
    f.field("recurrent_dropout", recurrent_dropout_);
    f.field("seed", seed_);
  }
  // inputs[0]: [rows, spatial..., channels].
  Status build(const Shapes& inputs) override {
    TENON_RETURN_IF_ERROR(layers::check_window("kernel_size", kernel_size_));
    TENON_RETURN_IF_ERROR(layers::check_window("strides", strides_));
    TENON_RETURN_IF_ERROR(layers::check_window("dilation_rate", dilation_rate_));
    if (filters_ <= 0 || filters_ > INT32_MAX / kLstmGates) {
      return invalid_argument("filters is ", filters_, ", expected more than 0 and no more than ",
                              INT32_MAX / kLstmGates);
    }
    for (const auto& [name, rate] :
         {std::pair("dropout", dropout_), std::pair("recurrent_dropout", recurrent_dropout_)}) {
      if (!(rate >= 0 && rate <= 1)) {
        return invalid_argument(name, " is ", rate, ", expected a number from 0 to 1");
      }
    }
    const int input_rank = static_cast<int>(rank_) + 2;
    for (size_t i = 0; i < rank_; ++i) {
      TENON_ASSIGN_OR_RETURN(const int64_t from,
                             layers::known_dim(inputs[0], input_rank, static_cast<int>(i) + 1));
      const int64_t reach = padding_ == "same" ? 0 : (kernel_size_[i] - 1) * dilation_rate_[i];
      if (from <= reach) {
        return invalid_argument("the input has shape ", inputs[0], ", too small for kernel_size ",
                                kernel_size_[i]);
      }
      input_.push_back(from);
      image_.push_back((from - reach + strides_[i] - 1) / strides_[i]);
    }
    TENON_ASSIGN_OR_RETURN(const int64_t channels, layers::known_dim(inputs[0], input_rank, -1));
    input_.push_back(channels);
    image_.push_back(filters_);
    TENON_ASSIGN_OR_RETURN(const Shape state, Shape::make(image_));
    state_size_ = state.num_elements();
    std::vector<int64_t> kernel = kernel_size_;
    kernel.insert(kernel.end(), {channels, kLstmGates * filters_});
    add_weight("kernel", Shape(kernel), kernel_initializer_);
    kernel[rank_] = filters_;
    add_weight("recurrent_kernel", Shape(kernel), recurrent_initializer_);
    if (use_bias_) {
      add_weight(
          "bias", {kLstmGates * filters_},
          unit_forget_bias_ ? Initializer::forget_bias(bias_initializer_) : bias_initializer_);
    }
    seed_at_ = layers::add_dropout_seed(*this, dropout_ + recurrent_dropout_, seed_);
    return absl::OkStatus();
  }

  // Of a state and of the output: [spatial..., filters].
  const std::vector<int64_t>& image() const { return image_; }
  std::vector<int64_t> state_sizes() const override { return {state_size_, state_size_}; }

  std::vector<Endpoint> constants(Trace& trace, Endpoint rows, DType dtype) override {
    GraphBuilder& g = trace.build();
    std::vector<Endpoint> constants;
    for (size_t i = 0; i < (use_bias_ ? 3u : 2u); ++i) constants.push_back(trace.read(weight(i)));
    first_mask_ = constants.size();
    // One mask for each gate.
    const auto draw = [&](double rate, const std::vector<int64_t>& form) {
      if (!trace.training() || rate <= 0 || rate >= 1) return false;
      const Endpoint all = g.concat({g.reshape(rows, g.integers({1})), g.integers(form)}, 0);
      const Endpoint ones = g.op("Fill", {all, g.scalar_of(dtype, 1)});
      for (int64_t i = 0; i < kLstmGates; ++i) {
        constants.push_back(layers::dropout(trace, ones, rate, weight(seed_at_)));
      }
      return true;
    };
    drops_input_ = draw(dropout_, input_);
    drops_state_ = draw(recurrent_dropout_, image_);
    return constants;
  }

  Endpoint project(GraphBuilder& g, Endpoint x,
                   std::span<const Endpoint> constants) const override {
    if (!g.status().ok()) return {};
    const PartialShape shape = g.shape(x);
    const bool steps = shape.rank() == static_cast<int>(rank_) + 3;
    std::vector<Endpoint> gates;
    const std::vector<Endpoint> kernels = blocks(g, constants[0], drops_input_);
    for (size_t i = 0; i < kernels.size(); ++i) {
      Endpoint kept = x;
      if (drops_input_) {
        Endpoint mask = constants[first_mask_ + i];
        if (steps) mask = g.op("ExpandDims", {mask, g.scalar<int32_t>(1)});
        kept = g.mul(x, mask);
      }
      gates.push_back(convolve(g, g.reshape(kept, with_rows(input_)), kernels[i], strides_,
                               padding_, dilation_rate_));
    }
    Endpoint y = gates.size() == 1 ? gates[0] : g.concat(std::move(gates), -1);
    if (use_bias_) y = g.op("BiasAdd", {y, constants[2]});
    if (!steps) return y;
    std::vector<int64_t> form = image_;
    form.back() *= kLstmGates;
    if (shape[1] >= 0) {
      form.insert(form.begin(), {-1, shape[1]});
      return g.reshape(y, form);
    }
    return g.reshape(y, g.concat({g.slice(g.shape_of(x), 0, 2), g.integers(form)}, 0));
  }

  Step step(GraphBuilder& g, Endpoint x, std::span<const Endpoint> states,
            std::span<const Endpoint> constants) const override {
    const Endpoint h = g.reshape(states[0], with_rows(image_));
    const Endpoint before = g.reshape(states[1], with_rows(image_));
    const std::vector<int64_t> ones(rank_, 1);
    std::vector<Endpoint> parts;
    const std::vector<Endpoint> kernels = blocks(g, constants[1], drops_state_);
    for (size_t i = 0; i < kernels.size(); ++i) {
      const size_t mask = first_mask_ + (drops_input_ ? kLstmGates : 0) + i;
      const Endpoint kept = drops_state_ ? g.mul(h, constants[mask]) : h;
      parts.push_back(convolve(g, kept, kernels[i], ones, "same", ones));
    }
    const Endpoint recurrent = parts.size() == 1 ? parts[0] : g.concat(std::move(parts), -1);
    const std::vector<Endpoint> gates = blocks(g, g.add(x, recurrent), true);
    if (gates.size() != kLstmGates) return {};
    const Endpoint i = activate(g, recurrent_activation_, gates[0]);
    const Endpoint f = activate(g, recurrent_activation_, gates[1]);
    const Endpoint c = g.add(g.mul(f, before), g.mul(i, activate(g, activation_, gates[2])));
    const Endpoint o = activate(g, recurrent_activation_, gates[3]);
    const Endpoint y = g.reshape(g.mul(o, activate(g, activation_, c)), with_rows({state_size_}));
    return {y, {y, g.reshape(c, with_rows({state_size_}))}};
  }

  static std::vector<int64_t> with_rows(std::vector<int64_t> form) {
    form.insert(form.begin(), -1);
    return form;
  }

 private:
  // Those of the gates, along the last axis; or all as one.
  std::vector<Endpoint> blocks(GraphBuilder& g, Endpoint x, bool apart) const {
    if (!apart || !g.status().ok()) return {x};
    const auto axis = static_cast<int32_t>(g.shape(x).rank() - 1);
    return g.ops("Split", {g.scalar(axis), x}, {{"num_split", kLstmGates}});
  }
  Endpoint convolve(GraphBuilder& g, Endpoint x, Endpoint kernel, std::vector<int64_t> strides,
                    std::string_view padding, std::vector<int64_t> dilations) const {
    const bool line = rank_ == 1;  // of an image
    if (line) {
      x = g.op("ExpandDims", {x, g.scalar<int32_t>(1)});
      kernel = g.op("ExpandDims", {kernel, g.scalar<int32_t>(0)});
      strides.insert(strides.begin(), 1);
      dilations.insert(dilations.begin(), 1);
    }
    for (std::vector<int64_t>* window : {&strides, &dilations}) {
      window->insert(window->begin(), 1);
      window->push_back(1);
    }
    const Endpoint y = g.op(rank_ == 3 ? "Conv3D" : "Conv2D", {x, kernel},
                            {{"strides", strides},
                             {"dilations", dilations},
                             {"padding", layers::padding_attr(g, padding)}});
    return line ? g.op("Squeeze", {y}, {{"squeeze_dims", std::vector<int64_t>{1}}}) : y;
  }

  size_t rank_;
  int64_t filters_ = 0;
  std::vector<int64_t> kernel_size_, strides_, dilation_rate_;
  std::string padding_ = "valid", activation_ = "tanh", recurrent_activation_ = "sigmoid";
  bool use_bias_ = true, unit_forget_bias_ = true;
  Initializer kernel_initializer_ = "glorot_uniform", recurrent_initializer_ = "orthogonal",
              bias_initializer_ = "zeros";
  double dropout_ = 0, recurrent_dropout_ = 0;
  std::optional<int64_t> seed_;
  std::vector<int64_t> input_, image_;  // [spatial..., channels] of a step's input and output
  int64_t state_size_ = 0;
  size_t seed_at_ = 0, first_mask_ = 0;
  bool drops_input_ = false, drops_state_ = false;  // in the loop that is being made
};

class ConvLSTMLayer final : public RecurrentLayer {
 public:
  ConvLSTMLayer(std::string_view class_name, size_t rank)
      : class_name_(class_name), rank_(rank), cell_(std::make_shared<ConvLSTMCell>(rank)) {
    add_child("cell", cell_);
  }
  std::string_view class_name() const override { return class_name_; }
  void fields(ConfigFields& f) override {
    loop_fields(f);
    rule_fields(f, {"activity_regularizer"});
    cell_->fields(f);
  }
  void set_policy(DTypePolicy policy) override {
    cell_->set_policy(policy);
    Layer::set_policy(std::move(policy));
  }
  Status build(const Shapes& inputs) override {
    const PartialShape& shape = inputs[0];
    const int rank = static_cast<int>(rank_) + 3;
    if (shape.rank() != rank) {
      return invalid_argument("the input has shape ", shape, ", expected ", rank,
                              " dimensions: rows, steps, an image and channels");
    }
    std::vector<int64_t> step = {shape[0]};
    step.insert(step.end(), shape.dims().begin() + 2, shape.dims().end());
    TENON_RETURN_IF_ERROR(cell_->ensure_built(
        Shapes(std::vector<PartialShape>{PartialShape(std::span<const int64_t>(step))})));
    return add_states(shape, cell_->state_sizes());
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint x = inputs[0];
    const std::vector<int64_t> sizes = cell_->state_sizes();
    const std::span<const Value> images = inputs.of("initial_state");
    if (!has_each_state(g, images.size(), sizes.size())) return {};
    std::vector<Endpoint> given;
    for (size_t i = 0; i < images.size(); ++i) {
      given.push_back(g.reshape(images[i].tensor, ConvLSTMCell::with_rows({sizes[i]})));
    }
    const RecurrentResult result = run_recurrent(trace, *cell_, loop_, x, inputs.mask(0),
                                                 first_states(trace, x, given, sizes));
    if (!g.status().ok()) return {};
    keep_states(trace, result.states);
    Outputs outputs(as_images(g, x, result.output));
    const std::vector<int64_t> image = ConvLSTMCell::with_rows(cell_->image());
    for (size_t i = 0; return_state_ && i < sizes.size(); ++i) {
      outputs.emplace_back(g.reshape(result.states[i], image));
    }
    return outputs;
  }
  size_t num_states() const override { return 2; }

 private:
  Endpoint as_images(GraphBuilder& g, Endpoint x, Endpoint output) const {
    std::vector<int64_t> form = ConvLSTMCell::with_rows(cell_->image());
    if (!loop_.return_sequences) return g.reshape(output, form);
    const int64_t steps = g.shape(x)[1];
    if (steps >= 0) {
      form.insert(form.begin() + 1, steps);
      return g.reshape(output, form);
    }
    return g.reshape(output,
                     g.concat({g.slice(g.shape_of(x), 0, 2), g.integers(cell_->image())}, 0));
  }

  std::string_view class_name_;
  size_t rank_;
  std::shared_ptr<ConvLSTMCell> cell_;
};

}  // namespace

std::shared_ptr<Layer> layers::make_conv_lstm1d() {
  return std::make_shared<ConvLSTMLayer>("ConvLSTM1D", 1);
}
std::shared_ptr<Layer> layers::make_conv_lstm2d() {
  return std::make_shared<ConvLSTMLayer>("ConvLSTM2D", 2);
}
std::shared_ptr<Layer> layers::make_conv_lstm3d() {
  return std::make_shared<ConvLSTMLayer>("ConvLSTM3D", 3);
}

}  // namespace tenon::keras
