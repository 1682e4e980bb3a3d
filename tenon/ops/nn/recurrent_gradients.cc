// LSTMBlockCellGrad, BlockLSTMGrad, BlockLSTMGradV2, GRUBlockCellGrad: the steps of
// recurrent_cells.cc backwards. tensorflow/core/kernels/rnn/lstm_ops.cc, gru_ops.cc.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/nn/recurrent_sizes.h"

namespace tenon {
namespace {

// What one step of one row needs and gives; each points at the row's first element.
template <class T>
struct LstmStep {
  const T *cs_prev, *i, *cs, *f, *o, *ci, *co;
  const T *wci, *wcf, *wco;  // null without peepholes
};

// Gradients of the gates, laid out as the weights' columns, and of the state before.
// `d_cs`, `d_h`: what flows into the step's state and output.
struct LstmOrder {
  int64_t cell = 0;
  int64_t forget_at = 2, candidate_at = 1;  // which quarter of the gates
};

template <class T>
void lstm_row_backward(const LstmOrder& order, const LstmStep<T>& s, const float* d_cs,
                       const float* d_h, float* d_gates, float* d_cs_prev,
                       float* const* peepholes) {
  const int64_t n = order.cell;
  const auto at = [](const T* values, int64_t j) { return static_cast<float>(values[j]); };
  for (int64_t j = 0; j < n; ++j) {
    const float i = at(s.i, j), f = at(s.f, j), o = at(s.o, j), ci = at(s.ci, j);
    const float co = at(s.co, j), before = at(s.cs_prev, j);
    const float d_o = o * (1 - o) * d_h[j] * co;
    float d_state = (1 - co * co) * d_h[j] * o + d_cs[j];
    if (s.wco) d_state += d_o * at(s.wco, j);
    const float d_candidate = (1 - ci * ci) * d_state * i;
    const float d_f = f * (1 - f) * d_state * before;
    const float d_i = i * (1 - i) * d_state * ci;
    d_gates[j] = d_i;
    d_gates[order.candidate_at * n + j] = d_candidate;
    d_gates[order.forget_at * n + j] = d_f;
    d_gates[3 * n + j] = d_o;
    d_cs_prev[j] = d_state * f;
    if (!s.wco) continue;
    d_cs_prev[j] += d_i * at(s.wci, j) + d_f * at(s.wcf, j);
    peepholes[0][j] += d_i * before;
    peepholes[1][j] += d_f * before;
    peepholes[2][j] += d_o * at(s.cs, j);
  }
}

template <class T>
void store_floats(const std::vector<float>& from, T* to) {
  std::transform(from.begin(), from.end(), to, [](float x) { return static_cast<T>(x); });
}
template <class T>
std::vector<float> to_floats(const T* from, int64_t count) {
  std::vector<float> to(static_cast<size_t>(count));
  std::transform(from, from + count, to.begin(), [](T x) { return static_cast<float>(x); });
  return to;
}

// INVALID_ARGUMENT unless inputs [first, first + count) may have this shape.
Status expect_all(const ShapeContext& c, int first, int count, const PartialShape& shape) {
  for (int i = first; i < first + count; ++i) {
    if (!PartialShape::merge(c.input(i), shape).ok()) {
      return invalid_argument("input ", i, " has shape ", c.input(i), ", ", shape, " is expected");
    }
  }
  return absl::OkStatus();
}

// Inputs: x, cs_prev, h_prev, w, wci, wcf, wco, b; i, cs, f, o, ci, co; d_cs, d_h.
Status lstm_cell_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, lstm_sizes(c, 0, false));
  TENON_RETURN_IF_ERROR(expect_all(c, 8, 8, {s.batch, s.cell}));
  TENON_ASSIGN_OR_RETURN(const int64_t gates, multiply_dims(s.cell, 4));
  c.set_output(0, {s.batch, s.cell});
  c.set_output(1, {s.batch, gates});
  for (int i = 2; i < 5; ++i) c.set_output(i, {s.cell});
  return absl::OkStatus();
}

StatusOr<Kernel> make_lstm_cell_grad(Prepare& p) {
  const int64_t batch = p.input_shape(0)[0], n = p.input_shape(1)[1];
  const bool peephole = p.attr<bool>("use_peephole");
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const LstmOrder order{n};
      const auto cell = static_cast<size_t>(n);
      std::array<std::vector<float>, 3> holes;
      for (auto& one : holes) one.assign(cell, 0);
      float* const sums[] = {holes[0].data(), holes[1].data(), holes[2].data()};
      std::vector<float> d_gates(4 * cell), d_before(cell);
      for (int64_t row = 0; row < batch; ++row) {
        const auto at = [&](int input) { return r.in<T>(input) + row * n; };
        const auto hole = [&](int input) { return peephole ? r.in<T>(input) : nullptr; };
        const LstmStep<T> step{at(1),  at(8),  at(9),   at(10),  at(11),
                               at(12), at(13), hole(4), hole(5), hole(6)};
        lstm_row_backward(order, step, to_floats(at(14), n).data(), to_floats(at(15), n).data(),
                          d_gates.data(), d_before.data(), sums);
        store_floats(d_before, r.out<T>(0) + row * n);
        store_floats(d_gates, r.out<T>(1) + row * 4 * n);
      }
      for (size_t k = 0; k < 3; ++k) store_floats(holes[k], r.out<T>(static_cast<int>(k) + 2));
      return absl::OkStatus();
    };
  });
  return kernel;
}

// Inputs: seq_len_max, x, cs_prev, h_prev, w, wci, wcf, wco, b; i, cs, f, o, ci, co, h; d_cs, d_h.
Status block_lstm_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, lstm_sizes(c, 1, true));
  const int64_t steps = c.input(1).has_rank() ? c.input(1)[0] : -1;
  TENON_RETURN_IF_ERROR(expect_all(c, 9, 9, {steps, s.batch, s.cell}));
  for (int i = 0; i < 8; ++i) c.set_output(i, c.input(i + 1));
  return absl::OkStatus();
}

// The sums over all steps and rows, and what flows back from a step to the one before it.
struct LstmGradients {
  std::vector<float> d_w, d_b, d_cs, d_h;
  std::array<std::vector<float>, 3> holes;
  LstmGradients(int64_t batch, int64_t input, int64_t cell)
      : d_w(static_cast<size_t>((input + cell) * 4 * cell)),
        d_b(static_cast<size_t>(4 * cell)),
        d_cs(static_cast<size_t>(batch * cell)),
        d_h(static_cast<size_t>(batch * cell)) {
    for (auto& one : holes) one.assign(static_cast<size_t>(cell), 0);
  }
};

// d_x and d_h of one row from the gates' gradients: products with the weights' rows; adds the row's
// part of the weights' gradient.
template <class T>
void spread_gates(const T* w, const T* x, int64_t input, const T* h_prev, int64_t cell,
                  const float* d_gates, T* d_x, float* d_h_prev, LstmGradients& sums) {
  const int64_t gates = 4 * cell;
  for (int64_t k = 0; k < input + cell; ++k) {
    const auto value = static_cast<float>(k < input ? x[k] : h_prev[k - input]);
    float* d_w = sums.d_w.data() + k * gates;
    float sum = 0;
    for (int64_t j = 0; j < gates; ++j) {
      sum += d_gates[j] * static_cast<float>(w[k * gates + j]);
      d_w[j] += value * d_gates[j];
    }
    if (k < input) {
      d_x[k] = static_cast<T>(sum);
    } else {
      d_h_prev[k - input] = sum;
    }
  }
  for (int64_t j = 0; j < gates; ++j) sums.d_b[static_cast<size_t>(j)] += d_gates[j];
}

// One row of step `t`; what flows back replaces the row's part of `sums.d_cs` and `sums.d_h`.
template <class T>
void block_lstm_step_back(KernelRun& r, const LstmOrder& order, bool peephole, int64_t batch,
                          int64_t input, int64_t t, int64_t row, LstmGradients& sums) {
  const int64_t n = order.cell, at = (t * batch + row) * n, before = at - batch * n;
  const T* cs_prev = t == 0 ? r.in<T>(2) + row * n : r.in<T>(10) + before;
  const T* h_prev = t == 0 ? r.in<T>(3) + row * n : r.in<T>(15) + before;
  const auto hole = [&](int index) { return peephole ? r.in<T>(index) : nullptr; };
  const LstmStep<T> step{cs_prev,          r.in<T>(9) + at,  r.in<T>(10) + at, r.in<T>(11) + at,
                         r.in<T>(12) + at, r.in<T>(13) + at, r.in<T>(14) + at, hole(5),
                         hole(6),          hole(7)};
  float* d_cs = sums.d_cs.data() + row * n;
  float* d_h = sums.d_h.data() + row * n;
  for (int64_t j = 0; j < n; ++j) {
    d_cs[j] += static_cast<float>(r.in<T>(16)[at + j]);
    d_h[j] += static_cast<float>(r.in<T>(17)[at + j]);
  }
  const auto cell = static_cast<size_t>(n);
  std::vector<float> d_gates(4 * cell), d_before(cell), d_h_before(cell);
  float* const holes[] = {sums.holes[0].data(), sums.holes[1].data(), sums.holes[2].data()};
  lstm_row_backward(order, step, d_cs, d_h, d_gates.data(), d_before.data(), holes);
  const int64_t x_at = (t * batch + row) * input;
  spread_gates(r.in<T>(4), r.in<T>(1) + x_at, input, h_prev, n, d_gates.data(), r.out<T>(0) + x_at,
               d_h_before.data(), sums);
  std::ranges::copy(d_before, d_cs);
  std::ranges::copy(d_h_before, d_h);
}

template <bool v2>
StatusOr<Kernel> make_block_lstm_grad(Prepare& p) {
  const Shape& x = p.input_shape(1);
  const int64_t steps = x[0], batch = x[1], input = x[2];
  const LstmOrder order{p.input_shape(2)[1], v2 ? 1 : 2, v2 ? 2 : 1};
  const bool peephole = p.attr<bool>("use_peephole");
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(1), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      const int64_t length = *r.in<int64_t>(0);
      if (length > steps || length < 0) {
        return invalid_argument("seq_len_max ", length, " is not in [0, ", steps, "]");
      }
      LstmGradients sums(batch, input, order.cell);
      std::fill_n(r.out<T>(0), steps * batch * input, T(0));
      for (int64_t t = length - 1; t >= 0; --t) {
        for (int64_t row = 0; row < batch; ++row) {
          block_lstm_step_back<T>(r, order, peephole, batch, input, t, row, sums);
        }
      }
      store_floats(sums.d_cs, r.out<T>(1));
      store_floats(sums.d_h, r.out<T>(2));
      store_floats(sums.d_w, r.out<T>(3));
      for (int k = 0; k < 3; ++k) store_floats(sums.holes[static_cast<size_t>(k)], r.out<T>(4 + k));
      store_floats(sums.d_b, r.out<T>(7));
      return absl::OkStatus();
    };
  });
  return kernel;
}

// Inputs: x, h_prev, w_ru, w_c, b_ru, b_c, r, u, c, d_h.
Status gru_cell_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const LstmSizes s, gru_sizes(c));
  TENON_RETURN_IF_ERROR(expect_all(c, 6, 4, {s.batch, s.cell}));
  TENON_ASSIGN_OR_RETURN(const int64_t gates, multiply_dims(s.cell, 2));
  c.set_output(0, {s.batch, s.input});
  c.set_output(1, {s.batch, s.cell});
  c.set_output(2, {s.batch, s.cell});
  c.set_output(3, {s.batch, gates});
  return absl::OkStatus();
}

// sums[k] = sum over j of values[j] w[k, j].
void times_rows(const float* w, int64_t rows, int64_t columns, const float* values, float* sums) {
  for (int64_t k = 0; k < rows; ++k, w += columns) {
    sums[k] = 0;
    for (int64_t j = 0; j < columns; ++j) sums[k] += values[j] * w[j];
  }
}

StatusOr<Kernel> make_gru_cell_grad(Prepare& p) {
  const int64_t batch = p.input_shape(0)[0], input = p.input_shape(0)[1];
  const int64_t n = p.input_shape(1)[1];
  return Kernel([=](KernelRun& r) {
    const auto inner = static_cast<size_t>(input + n);
    std::vector<float> by_candidate(inner), by_gates(inner);
    for (int64_t row = 0; row < batch; ++row) {
      const auto at = [&](int index) { return r.in<float>(index) + row * n; };
      const float *h = at(1), *reset = at(6), *update = at(7), *c = at(8), *d_h = at(9);
      float* d_candidate = r.out<float>(2) + row * n;
      float* d_gates = r.out<float>(3) + row * 2 * n;
      for (int64_t j = 0; j < n; ++j) {
        d_candidate[j] = d_h[j] * (1 - update[j]) * (1 - c[j] * c[j]);
        d_gates[n + j] = d_h[j] * (h[j] - c[j]) * update[j] * (1 - update[j]);
      }
      times_rows(r.in<float>(3), input + n, n, d_candidate, by_candidate.data());
      const float* d_reset_h = by_candidate.data() + input;
      for (int64_t j = 0; j < n; ++j) {
        d_gates[j] = d_reset_h[j] * h[j] * reset[j] * (1 - reset[j]);
      }
      times_rows(r.in<float>(2), input + n, 2 * n, d_gates, by_gates.data());
      for (int64_t k = 0; k < input; ++k) {
        const auto i = static_cast<size_t>(k);
        r.out<float>(0)[row * input + k] = by_gates[i] + by_candidate[i];
      }
      for (int64_t j = 0; j < n; ++j) {
        r.out<float>(1)[row * n + j] =
            by_gates[static_cast<size_t>(input + j)] + d_reset_h[j] * reset[j] + d_h[j] * update[j];
      }
    }
    return absl::OkStatus();
  });
}

constexpr OpDecl block_lstm_grad(KernelFactory factory) {
  return {
      .inputs =
          "seq_len_max: int64, x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, "
          "i: T, cs: T, f: T, o: T, ci: T, co: T, h: T, cs_grad: T, h_grad: T",
      .outputs =
          "x_grad: T, cs_prev_grad: T, h_prev_grad: T, w_grad: T, wci_grad: T, wcf_grad: T, "
          "wco_grad: T, b_grad: T",
      .attrs = "use_peephole: bool; T: {half, float}",
      .shape = block_lstm_grad_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(LSTMBlockCellGrad) = {
    .inputs =
        "x: T, cs_prev: T, h_prev: T, w: T, wci: T, wcf: T, wco: T, b: T, i: T, cs: T, f: T, o: T, "
        "ci: T, co: T, cs_grad: T, h_grad: T",
    .outputs = "cs_prev_grad: T, dicfo: T, wci_grad: T, wcf_grad: T, wco_grad: T",
    .attrs = "use_peephole: bool; T: {half, float}",
    .shape = lstm_cell_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_lstm_cell_grad},
};

TENON_OP(BlockLSTMGrad) = block_lstm_grad(make_block_lstm_grad<false>);
TENON_OP(BlockLSTMGradV2) = block_lstm_grad(make_block_lstm_grad<true>);

TENON_OP(GRUBlockCellGrad) = {
    .inputs = "x: T, h_prev: T, w_ru: T, w_c: T, b_ru: T, b_c: T, r: T, u: T, c: T, d_h: T",
    .outputs = "d_x: T, d_h_prev: T, d_c_bar: T, d_r_bar_u_bar: T",
    .attrs = "T: {float}",
    .shape = gru_cell_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_gru_cell_grad},
};

}  // namespace tenon
