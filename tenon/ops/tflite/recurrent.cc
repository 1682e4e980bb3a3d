// _LiteLstm, _LiteRnn: TensorFlow Lite's recurrent layers over a whole sequence, in floats
// (tensorflow/lite/kernels/lstm_eval.cc and basic_rnn.cc define the equations).
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/tflite/row_levels.h"

namespace tenon {
namespace {

// The optional inputs of _LiteLstm, in the order of TensorFlow Lite's operator from its second
// input on; `present` says which of them are given.
enum LstmInput : int {
  kInputWeights = 0,      // 4: input gate, forget gate, cell, output gate
  kRecurrentWeights = 4,  // 4
  kPeepholes = 8,         // 3: input, forget, output
  kGateBiases = 11,       // 4
  kProjectionWeights = 15,
  kProjectionBias = 16,
  kNormalisations = 17,  // 4
  kLstmInputs = 21,
};
constexpr int kFirstOptional = 3;  // after x, output state, cell state

struct LstmPlaces {
  std::array<int, kLstmInputs> input;  // the node's, or -1
  bool has(int i) const { return input[static_cast<size_t>(i)] >= 0; }
  int operator[](int i) const { return input[static_cast<size_t>(i)]; }
};

StatusOr<LstmPlaces> lstm_places(const AttrMap& attrs, int num_inputs) {
  const auto& present = attrs.get<std::vector<bool>>("present");
  LstmPlaces places;
  if (present.size() != kLstmInputs) {
    return invalid_argument("present has ", present.size(), " values, expected ", +kLstmInputs);
  }
  int next = kFirstOptional;
  for (size_t i = 0; i < kLstmInputs; ++i) places.input[i] = present[i] ? next++ : -1;
  if (next != num_inputs) return invalid_argument("there are ", num_inputs, " inputs");
  for (int gate = 0; gate < 4; ++gate) {
    const bool needed = gate != 0 || places.has(kInputWeights);
    if (needed && (!places.has(kInputWeights + gate) || !places.has(kRecurrentWeights + gate) ||
                   !places.has(kGateBiases + gate))) {
      return invalid_argument("weights or bias of gate ", gate, " are missing");
    }
  }
  return places;
}

Status expect_matrix(const ShapeContext& c, int i, int64_t rows, int64_t columns) {
  const PartialShape wanted = {rows, columns};
  if (PartialShape::merge(c.input(i), wanted).ok()) return absl::OkStatus();
  return invalid_argument("input ", i, " has shape ", c.input(i), ", expected ", wanted);
}

Status expect_vector(const ShapeContext& c, int i, int64_t size) {
  const PartialShape wanted = {size};
  if (PartialShape::merge(c.input(i), wanted).ok()) return absl::OkStatus();
  return invalid_argument("input ", i, " has shape ", c.input(i), ", expected ", wanted);
}

// [batch, steps, n] (or [steps, batch, n] where time is first): checks rank, sets the result.
Status sequence_shape(ShapeContext& c, int64_t units) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& x = c.input(0);
  const int batch = c.attr<bool>("time_major") ? 1 : 0;
  const PartialShape& h = c.input(1);
  if (x.has_rank() && h.has_rank() && x[batch] >= 0 && h[0] >= 0 && x[batch] != h[0]) {
    return invalid_argument("a batch of ", x[batch], " and states of ", h[0]);
  }
  c.set_output(0, x.has_rank() ? PartialShape{x[0], x[1], units} : PartialShape{-1, -1, units});
  c.set_output(1, h);
  return absl::OkStatus();
}

Status lite_lstm_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const LstmPlaces places, lstm_places(c.attrs(), c.num_inputs()));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 2));
  const PartialShape& x = c.input(0);
  const PartialShape& h = c.input(1);
  const PartialShape& state = c.input(2);
  const int64_t in = x.has_rank() && x.rank() == 3 ? x[2] : -1;
  const int64_t out = h.has_rank() && h.rank() == 2 ? h[1] : -1;
  const int64_t cells = state.has_rank() ? state[1] : -1;
  if (state.has_rank() && h.has_rank() && h.rank() == 2 && state[0] >= 0 && h[0] >= 0 &&
      state[0] != h[0]) {
    return invalid_argument("states of ", h, " and ", state);
  }
  for (int gate = 0; gate < 4; ++gate) {
    if (places.has(kInputWeights + gate)) {
      TENON_RETURN_IF_ERROR(expect_matrix(c, places[kInputWeights + gate], cells, in));
      TENON_RETURN_IF_ERROR(expect_matrix(c, places[kRecurrentWeights + gate], cells, out));
      TENON_RETURN_IF_ERROR(expect_vector(c, places[kGateBiases + gate], cells));
    }
    if (places.has(kNormalisations + gate)) {
      TENON_RETURN_IF_ERROR(expect_vector(c, places[kNormalisations + gate], cells));
    }
    if (gate < 3 && places.has(kPeepholes + gate)) {
      TENON_RETURN_IF_ERROR(expect_vector(c, places[kPeepholes + gate], cells));
    }
  }
  if (places.has(kProjectionWeights)) {
    TENON_RETURN_IF_ERROR(expect_matrix(c, places[kProjectionWeights], out, cells));
    if (places.has(kProjectionBias)) {
      TENON_RETURN_IF_ERROR(expect_vector(c, places[kProjectionBias], out));
    }
  } else if (out >= 0 && cells >= 0 && out != cells) {
    return invalid_argument("an output of ", out, " units for ", cells, " cells");
  }
  c.set_output(2, state);
  return sequence_shape(c, out);
}

float activated(float x, int64_t activation) {
  switch (activation) {
    case 1:
      return std::max(x, 0.0F);
    case 2:
      return std::clamp(x, -1.0F, 1.0F);
    case 3:
      return std::clamp(x, 0.0F, 6.0F);
    case 4:
      return std::tanh(x);
    default:
      return x;
  }
}

float lite_sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

// A vector as a layer with 8-bit weights multiplies it. Not thread-safe: one at a time.
class RoundedRow {
 public:
  explicit RoundedRow(int64_t rounding) : rounding_(static_cast<lite::RowRounding>(rounding)) {}

  // `x` itself, or a rounded copy that lasts until the next call.
  const float* of(const float* x, int64_t count) {
    if (rounding_ == lite::RowRounding::kNone || count == 0) return x;
    copy_.resize(static_cast<size_t>(count));
    lite::round_row(x, count, rounding_ == lite::RowRounding::kAsymmetric, copy_.data());
    return copy_.data();
  }

 private:
  lite::RowRounding rounding_;
  std::vector<float> copy_;
};

// y[r] += row r of `weights` times x.
void add_product(const float* weights, const float* x, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* w = weights + r * columns;
    float lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= columns; i += 8) {
      for (int64_t k = 0; k < 8; ++k) lanes[k] += w[i + k] * x[i + k];
    }
    float sum = ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) +
                ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
    for (; i < columns; ++i) sum += w[i] * x[i];
    y[r] += sum;
  }
}

struct LstmForm {
  LstmPlaces places;
  int64_t batch, steps, in, out, cells, activation, rounding;
  bool time_major, reverse;
  float cell_clip, projection_clip;
};

class LstmRow {
 public:
  LstmRow(const LstmForm& form, KernelRun& r, int64_t row)
      : f_(form),
        r_(r),
        row_(row),
        gates_(static_cast<size_t>(4 * form.cells)),
        rounded_x_(form.rounding),
        rounded_h_(form.rounding),
        rounded_output_(form.rounding) {
    const auto h = r.in<float>(1) + row * f_.out, c = r.in<float>(2) + row * f_.cells;
    h_ = r.out<float>(1) + row * f_.out;
    c_ = r.out<float>(2) + row * f_.cells;
    std::copy_n(h, f_.out, h_);
    std::copy_n(c, f_.cells, c_);
    projected_.resize(static_cast<size_t>(f_.cells));
  }

  void run() {
    for (int64_t i = 0; i < f_.steps; ++i) step(f_.reverse ? f_.steps - 1 - i : i);
  }

 private:
  const float* weights(int input) const { return r_.in<float>(f_.places[input]); }
  float* gate(int index) { return gates_.data() + index * f_.cells; }

  // The sum of a gate before its activation.
  void collect(int index, const float* x, const float* h, int peephole) {
    float* g = gate(index);
    const bool normalised = f_.places.has(kNormalisations + index);
    if (normalised) {
      std::fill_n(g, f_.cells, 0.0F);
    } else {
      std::copy_n(weights(kGateBiases + index), f_.cells, g);
    }
    add_product(weights(kInputWeights + index), x, f_.cells, f_.in, g);
    add_product(weights(kRecurrentWeights + index), h, f_.cells, f_.out, g);
    if (peephole >= 0 && f_.places.has(kPeepholes + peephole)) {
      const float* p = weights(kPeepholes + peephole);
      for (int64_t i = 0; i < f_.cells; ++i) g[i] += p[i] * c_[i];
    }
    if (normalised) normalise(index, g);
  }

  void normalise(int index, float* g) const {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < f_.cells; ++i) {
      sum += g[i];
      squares += double{g[i]} * g[i];
    }
    const auto n = static_cast<double>(f_.cells);
    const double mean = sum / n;
    double variance = squares / n - mean * mean;
    if (variance == 0) variance = 1e-8;
    const auto scale = static_cast<float>(1 / std::sqrt(variance));
    const float* coefficients = weights(kNormalisations + index);
    const float* bias = weights(kGateBiases + index);
    for (int64_t i = 0; i < f_.cells; ++i) {
      g[i] = (g[i] - static_cast<float>(mean)) * scale * coefficients[i] + bias[i];
    }
  }

  void step(int64_t t) {
    const int64_t place = f_.time_major ? t * f_.batch + row_ : row_ * f_.steps + t;
    const float* x = rounded_x_.of(r_.in<float>(0) + place * f_.in, f_.in);
    const float* h = rounded_h_.of(h_, f_.out);
    const bool coupled = !f_.places.has(kInputWeights);
    if (!coupled) collect(0, x, h, 0);
    collect(1, x, h, 1);
    collect(2, x, h, -1);
    float *input = gate(0), *forget = gate(1), *cell = gate(2), *output = gate(3);
    for (int64_t i = 0; i < f_.cells; ++i) {
      forget[i] = lite_sigmoid(forget[i]);
      input[i] = coupled ? 1 - forget[i] : lite_sigmoid(input[i]);
      c_[i] = forget[i] * c_[i] + input[i] * activated(cell[i], f_.activation);
      if (f_.cell_clip > 0) c_[i] = std::clamp(c_[i], -f_.cell_clip, f_.cell_clip);
    }
    collect(3, x, h, 2);
    for (int64_t i = 0; i < f_.cells; ++i) {
      projected_[static_cast<size_t>(i)] =
          lite_sigmoid(output[i]) * activated(c_[i], f_.activation);
    }
    if (f_.places.has(kProjectionWeights)) {
      if (f_.places.has(kProjectionBias)) {
        std::copy_n(weights(kProjectionBias), f_.out, h_);
      } else {
        std::fill_n(h_, f_.out, 0.0F);
      }
      add_product(weights(kProjectionWeights), rounded_output_.of(projected_.data(), f_.cells),
                  f_.out, f_.cells, h_);
      for (int64_t i = 0; f_.projection_clip > 0 && i < f_.out; ++i) {
        h_[i] = std::clamp(h_[i], -f_.projection_clip, f_.projection_clip);
      }
    } else {
      std::copy_n(projected_.data(), f_.out, h_);
    }
    std::copy_n(h_, f_.out, r_.out<float>(0) + place * f_.out);
  }

  const LstmForm& f_;
  KernelRun& r_;
  int64_t row_;
  std::vector<float> gates_, projected_;
  RoundedRow rounded_x_, rounded_h_, rounded_output_;
  float *h_, *c_;
};

StatusOr<Kernel> make_lite_lstm(Prepare& p) {
  LstmForm form;
  TENON_ASSIGN_OR_RETURN(form.places, lstm_places(p.attrs(), p.num_inputs()));
  const Shape& x = p.input_shape(0);
  form.time_major = p.attr<bool>("time_major");
  form.reverse = p.attr<bool>("reverse");
  form.batch = x[form.time_major ? 1 : 0];
  form.steps = x[form.time_major ? 0 : 1];
  form.in = x[2];
  form.out = p.input_shape(1)[1];
  form.cells = p.input_shape(2)[1];
  if (form.out == 0) form.steps = 0;  // there is nothing to give, however long it takes
  form.activation = p.attr<int64_t>("activation");
  form.rounding = p.attr<int64_t>("rounding");
  form.cell_clip = p.attr<float>("cell_clip");
  form.projection_clip = p.attr<float>("projection_clip");
  return [form](KernelRun& r) {
    parallel_for(form.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) LstmRow(form, r, row).run();
    });
    return absl::OkStatus();
  };
}

Status lite_rnn_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const PartialShape& h = c.input(1);
  const int64_t in = x.has_rank() && x.rank() == 3 ? x[2] : -1;
  const int64_t units = h.has_rank() && h.rank() == 2 ? h[1] : -1;
  TENON_RETURN_IF_ERROR(expect_matrix(c, 2, units, in));
  TENON_RETURN_IF_ERROR(expect_matrix(c, 3, units, units));
  TENON_RETURN_IF_ERROR(expect_vector(c, 4, units));
  return sequence_shape(c, units);
}

StatusOr<Kernel> make_lite_rnn(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const bool time_major = p.attr<bool>("time_major"), reverse = p.attr<bool>("reverse");
  const int64_t batch = x[time_major ? 1 : 0], in = x[2], units = p.input_shape(1)[1];
  const int64_t steps = units == 0 ? 0 : x[time_major ? 0 : 1];
  const int64_t activation = p.attr<int64_t>("activation");
  const int64_t rounding = p.attr<int64_t>("rounding");
  return [=](KernelRun& r) {
    parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> next(static_cast<size_t>(units));
      RoundedRow rounded_x(rounding), rounded_h(rounding);
      for (int64_t row = begin; row < end; ++row) {
        float* h = r.out<float>(1) + row * units;
        std::copy_n(r.in<float>(1) + row * units, units, h);
        for (int64_t i = 0; i < steps; ++i) {
          const int64_t t = reverse ? steps - 1 - i : i;
          const int64_t place = time_major ? t * batch + row : row * steps + t;
          std::copy_n(r.in<float>(4), units, next.data());
          const float* x = rounded_x.of(r.in<float>(0) + place * in, in);
          add_product(r.in<float>(2), x, units, in, next.data());
          add_product(r.in<float>(3), rounded_h.of(h, units), units, units, next.data());
          for (int64_t k = 0; k < units; ++k) {
            h[k] = activated(next[static_cast<size_t>(k)], activation);
          }
          std::copy_n(h, units, r.out<float>(0) + place * units);
        }
      }
    });
    return absl::OkStatus();
  };
}

}  // namespace

TENON_OP(_LiteLstm) = {
    .inputs = "x: float, output_state: float, cell_state: float, weights: N * float",
    .outputs = "y: float, last_output_state: float, last_cell_state: float",
    .attrs =
        "N: int >= 1; present: list(bool); activation: int; cell_clip: float; "
        "projection_clip: float; time_major: bool; reverse: bool = false; rounding: int = 0",
    .shape = lite_lstm_shape,
    .gradient = not_differentiable,
    .kernels = {make_lite_lstm},
};

TENON_OP(_LiteRnn) = {
    .inputs = "x: float, state: float, weights: float, recurrent_weights: float, bias: float",
    .outputs = "y: float, last_state: float",
    .attrs = "activation: int; time_major: bool; reverse: bool = false; rounding: int = 0",
    .shape = lite_rnn_shape,
    .gradient = not_differentiable,
    .kernels = {make_lite_rnn},
};

}  // namespace tenon
