// LSTMBlockCell, BlockLSTM, BlockLSTMV2, GRUBlockCell: recurrent steps as one op.
// tensorflow/core/kernels/rnn/lstm_ops.cc, gru_ops.cc.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/recurrent_sizes.h"

namespace tenon {
namespace {

float sigmoid_of(float x) { return 1 / (1 + std::exp(-x)); }

Status expect_sizes(const ShapeContext& c, int input, std::initializer_list<int64_t> sizes) {
  TENON_RETURN_IF_ERROR(c.expect_rank(input, static_cast<int>(sizes.size())));
  const PartialShape wanted(std::span<const int64_t>(sizes.begin(), sizes.size()));
  if (PartialShape::merge(c.input(input), wanted).ok()) return absl::OkStatus();
  return invalid_argument("input ", input, " has shape ", c.input(input), ", ", wanted,
                          " is expected");
}

}  // namespace

StatusOr<LstmSizes> lstm_sizes(const ShapeContext& c, int first, bool sequence) {
  LstmSizes s;
  const int batch_axis = sequence ? 1 : 0;
  TENON_RETURN_IF_ERROR(c.expect_rank(first, batch_axis + 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(first + 1, 2));
  if (c.input(first).has_rank()) {
    s.batch = c.input(first)[batch_axis];
    s.input = c.input(first)[batch_axis + 1];
  }
  if (c.input(first + 1).has_rank()) {
    if (s.batch < 0) s.batch = c.input(first + 1)[0];
    s.cell = c.input(first + 1)[1];
  }
  for (int i = 1; i < 3; ++i) TENON_RETURN_IF_ERROR(expect_sizes(c, first + i, {s.batch, s.cell}));
  TENON_ASSIGN_OR_RETURN(const int64_t inner, add_dims(s.input, s.cell));
  TENON_ASSIGN_OR_RETURN(const int64_t gates, multiply_dims(s.cell, 4));
  TENON_RETURN_IF_ERROR(expect_sizes(c, first + 3, {inner, gates}));
  for (int i = 4; i < 7; ++i) TENON_RETURN_IF_ERROR(expect_sizes(c, first + i, {s.cell}));
  TENON_RETURN_IF_ERROR(expect_sizes(c, first + 7, {gates}));
  return s;
}

StatusOr<LstmSizes> gru_sizes(const ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  LstmSizes s;
  if (c.input(0).has_rank()) s = {c.input(0)[0], c.input(0)[1], -1};
  if (c.input(1).has_rank()) s.cell = c.input(1)[1];
  TENON_ASSIGN_OR_RETURN(const int64_t inner, add_dims(s.input, s.cell));
  TENON_ASSIGN_OR_RETURN(const int64_t gates, multiply_dims(s.cell, 2));
  TENON_RETURN_IF_ERROR(expect_sizes(c, 1, {s.batch, s.cell}));
  TENON_RETURN_IF_ERROR(expect_sizes(c, 2, {inner, gates}));
  TENON_RETURN_IF_ERROR(expect_sizes(c, 3, {inner, s.cell}));
  TENON_RETURN_IF_ERROR(expect_sizes(c, 4, {gates}));
  TENON_RETURN_IF_ERROR(expect_sizes(c, 5, {s.cell}));
  return s;
}

namespace {

Status lstm_cell_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, lstm_sizes(c, 0, false));
  for (int i = 0; i < 7; ++i) c.set_output(i, {s.batch, s.cell});
  return absl::OkStatus();
}
Status block_lstm_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, lstm_sizes(c, 1, true));
  const int64_t steps = c.input(1).has_rank() ? c.input(1)[0] : -1;
  for (int i = 0; i < 7; ++i) c.set_output(i, {steps, s.batch, s.cell});
  return absl::OkStatus();
}

struct LstmForm {
  int first = 0;  // the input x
  int64_t input = 0, cell = 0;
  float forget_bias = 0, clip = 0;
  bool peephole = false;
  int64_t forget_at = 2, candidate_at = 1;  // which quarter of the gates

  LstmForm(const Prepare& p, int first, bool v2)
      : first(first),
        input(p.input_shape(first)[p.input_shape(first).rank() - 1]),
        cell(p.input_shape(first + 1)[1]),
        forget_bias(p.attrs().get_or<float>("forget_bias", 0)),
        clip(p.attr<float>("cell_clip")),
        peephole(p.attr<bool>("use_peephole")),
        forget_at(v2 ? 1 : 2),
        candidate_at(v2 ? 2 : 1) {}
};

// gates[j] = b[j] + sum of x[k] w[k, j] + sum of h[k] w[input + k, j].
template <class T>
void gate_sums(const T* x, int64_t input, const T* h, int64_t cell, const T* w, const T* b,
               int64_t gates, float* sums) {
  for (int64_t j = 0; j < gates; ++j) sums[j] = static_cast<float>(b[j]);
  for (int64_t k = 0; k < input + cell; ++k, w += gates) {
    const auto value = static_cast<float>(k < input ? x[k] : h[k - input]);
    for (int64_t j = 0; j < gates; ++j) sums[j] += value * static_cast<float>(w[j]);
  }
}

// One step of one row. Outputs: i, cs, f, o, ci, co, h, from element `at` on.
template <class T>
void lstm_row(const LstmForm& form, const KernelRun& r, const T* x, const T* cs_prev,
              const T* h_prev, T* const* outputs, int64_t at, float* sums) {
  const int64_t n = form.cell;
  gate_sums(x, form.input, h_prev, n, r.in<T>(form.first + 3), r.in<T>(form.first + 7), 4 * n,
            sums);
  const auto hole = [&](int which, int64_t j) {
    return static_cast<float>(r.in<T>(form.first + 4 + which)[j]);
  };
  for (int64_t j = 0; j < n; ++j) {
    const auto before = static_cast<float>(cs_prev[j]);
    float in = sums[j], forget = sums[form.forget_at * n + j] + form.forget_bias;
    float out = sums[3 * n + j];
    if (form.peephole) {
      in += before * hole(0, j);
      forget += before * hole(1, j);
    }
    const float i = sigmoid_of(in), f = sigmoid_of(forget);
    const float candidate = std::tanh(sums[form.candidate_at * n + j]);
    float state = candidate * i + before * f;
    if (form.clip > 0) state = std::min(std::max(state, -form.clip), form.clip);
    if (form.peephole) out += state * hole(2, j);
    const float o = sigmoid_of(out), shown = std::tanh(state);
    const float values[] = {i, state, f, o, candidate, shown, o * shown};
    for (size_t k = 0; k < 7; ++k) outputs[k][at + j] = static_cast<T>(values[k]);
  }
}

template <class T>
std::array<T*, 7> lstm_outputs(KernelRun& r) {
  std::array<T*, 7> outputs;
  for (int i = 0; i < 7; ++i) outputs[static_cast<size_t>(i)] = r.out<T>(i);
  return outputs;
}

StatusOr<Kernel> make_lstm_cell(Prepare& p) {
  const LstmForm form(p, 0, false);
  const int64_t batch = p.input_shape(0)[0];
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const auto outputs = lstm_outputs<T>(r);
      parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>(4 * form.cell));
        for (int64_t b = begin; b < end; ++b) {
          lstm_row(form, r, r.in<T>(0) + b * form.input, r.in<T>(1) + b * form.cell,
                   r.in<T>(2) + b * form.cell, outputs.data(), b * form.cell, sums.data());
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// Steps past seq_len_max are zeros.
template <bool v2>
StatusOr<Kernel> make_block_lstm(Prepare& p) {
  const LstmForm form(p, 1, v2);
  const int64_t steps = p.input_shape(1)[0], batch = p.input_shape(1)[1];
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(1), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      const int64_t length = *r.in<int64_t>(0);
      if (length > steps || length < 0) {
        return invalid_argument("seq_len_max ", length, " is not in [0, ", steps, "]");
      }
      const auto outputs = lstm_outputs<T>(r);
      const int64_t step_size = batch * form.cell;
      for (T* y : outputs) std::fill(y + length * step_size, y + steps * step_size, T(0));
      parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>(4 * form.cell));
        for (int64_t b = begin; b < end; ++b) {
          for (int64_t t = 0; t < length; ++t) {
            const int64_t at = t * step_size + b * form.cell;
            const T* cs = t == 0 ? r.in<T>(2) + b * form.cell : outputs[1] + at - step_size;
            const T* h = t == 0 ? r.in<T>(3) + b * form.cell : outputs[6] + at - step_size;
            lstm_row(form, r, r.in<T>(1) + (t * batch + b) * form.input, cs, h, outputs.data(), at,
                     sums.data());
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// Outputs: r, u, c, h.
Status gru_cell_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, gru_sizes(c));
  for (int i = 0; i < 4; ++i) c.set_output(i, {s.batch, s.cell});
  return absl::OkStatus();
}

StatusOr<Kernel> make_gru_cell(Prepare& p) {
  const int64_t batch = p.input_shape(0)[0], input = p.input_shape(0)[1];
  const int64_t cell = p.input_shape(1)[1];
  return Kernel([=](KernelRun& r) {
    parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> sums(static_cast<size_t>(2 * cell)), reset(static_cast<size_t>(cell));
      for (int64_t b = begin; b < end; ++b) {
        const float* x = r.in<float>(0) + b * input;
        const float* h = r.in<float>(1) + b * cell;
        gate_sums(x, input, h, cell, r.in<float>(2), r.in<float>(4), 2 * cell, sums.data());
        for (int64_t j = 0; j < cell; ++j) {
          const float gate = sigmoid_of(sums[static_cast<size_t>(j)]);
          r.out<float>(0)[b * cell + j] = gate;
          r.out<float>(1)[b * cell + j] = sigmoid_of(sums[static_cast<size_t>(cell + j)]);
          reset[static_cast<size_t>(j)] = gate * h[j];
        }
        gate_sums(x, input, static_cast<const float*>(reset.data()), cell, r.in<float>(3),
                  r.in<float>(5), cell, sums.data());
        for (int64_t j = 0; j < cell; ++j) {
          const float candidate = std::tanh(sums[static_cast<size_t>(j)]);
          const float update = r.out<float>(1)[b * cell + j];
          r.out<float>(2)[b * cell + j] = candidate;
          r.out<float>(3)[b * cell + j] = update * h[j] + (1 - update) * candidate;
        }
      }
    });
    return absl::OkStatus();
  });
}

// rnn_grad.py, _block_lstm_grad: TensorFlow takes the gradient op of the first version, with its
// order of the gates, for both.
Status block_lstm_gradient(Gradient& g) {
  std::vector<Endpoint> inputs = g.forward().inputs;
  for (int i = 0; i < 7; ++i) inputs.push_back(g.output(i));
  inputs.push_back(g.dy(1));
  inputs.push_back(g.dy(6));
  const std::vector<Endpoint> dx = g.build().ops("BlockLSTMGrad", std::move(inputs),
                                                 {{"use_peephole", g.attr<bool>("use_peephole")}});
  for (size_t i = 0; i < dx.size(); ++i) g.set_dx(static_cast<int>(i) + 1, dx[i]);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(LSTMBlockCell) = {
    .inputs = "x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T",
    .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
    .attrs =
        "forget_bias: float = 1; cell_clip: float = 3; use_peephole: bool = false; T: {half, "
        "float}",
    .shape = lstm_cell_shape,
    .gradient = not_differentiable,
    .kernels = {make_lstm_cell},
};
TENON_OP(BlockLSTM) = {
    .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T",
    .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
    .attrs =
        "forget_bias: float = 1; cell_clip: float = 3; use_peephole: bool = false; T: {half, "
        "float}",
    .shape = block_lstm_shape,
    .gradient = block_lstm_gradient,
    .kernels = {make_block_lstm<false>},
};
TENON_OP(BlockLSTMV2) = {
    .inputs = "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T",
    .outputs = "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T",
    .attrs = "cell_clip: float = 0; use_peephole: bool = false; T: {half, float}",
    .shape = block_lstm_shape,
    .gradient = block_lstm_gradient,
    .kernels = {make_block_lstm<true>},
};
TENON_OP(GRUBlockCell) = {
    .inputs = "x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T",
    .outputs = "r: T, u: T, c: T, h: T",
    .attrs = "T: {float}",
    .shape = gru_cell_shape,
    .gradient = not_differentiable,
    .kernels = {make_gru_cell},
};

}  // namespace tenon
