// CudnnRNN, CudnnRNNV2, CudnnRNNV3 and the ops over their parameters: whole recurrent networks as
// models that were exported on a GPU hold them, by the recurrences that cuDNN documents
// (cudnnRNNMode_t). Their parameters are one vector: the matrices of every layer and direction (of
// the inputs, then of the state, gate by gate), then the biases in the same order.
// tensorflow/core/kernels/cudnn_rnn_ops.cc, tensorflow/core/ops/cudnn_rnn_ops.cc.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

int64_t cudnn_gates(std::string_view mode) { return mode == "lstm" ? 4 : mode == "gru" ? 3 : 1; }
int64_t cudnn_directions(const AttrMap& attrs) {
  return attrs.get<std::string>("direction") == "bidirectional" ? 2 : 1;
}

// What is not computed: projections, inputs without a matrix.
Status check_cudnn_form(const AttrMap& attrs, int64_t input_size, int64_t units) {
  if (attrs.get_or<int64_t>("num_proj", 0) != 0) return unimplemented("num_proj is not supported");
  const auto& mode = attrs.get<std::string>("input_mode");
  if (mode == "skip_input" || (mode == "auto_select" && input_size == units)) {
    return unimplemented("input_mode skip_input is not supported, only linear_input");
  }
  return absl::OkStatus();
}

// The matrices and biases of a network, in the order in which they lie among the parameters.
struct CudnnLayout {
  int64_t layers = 0, directions = 1, gates = 1, units = 0, input = 0;

  int64_t width(int64_t layer) const { return layer == 0 ? input : units * directions; }
  int64_t parts() const { return layers * directions * gates * 2; }
  // Elements of matrix `part` of parts().
  int64_t matrix_width(int64_t part) const {
    const int64_t of_cell = part % (2 * gates), layer = part / (2 * gates) / directions;
    return of_cell < gates ? width(layer) : units;
  }
  // INVALID_ARGUMENT where the parameters have more elements than a tensor may.
  StatusOr<int64_t> size() const {
    TENON_ASSIGN_OR_RETURN(const int64_t wide, multiply_dims(units, directions));
    TENON_ASSIGN_OR_RETURN(const int64_t cells, multiply_dims(layers, directions * 2 * gates));
    TENON_ASSIGN_OR_RETURN(int64_t columns, multiply_dims(wide, layers - 1));
    TENON_ASSIGN_OR_RETURN(columns, add_dims(columns, input));
    TENON_ASSIGN_OR_RETURN(const int64_t state, multiply_dims(units, layers));
    TENON_ASSIGN_OR_RETURN(columns, add_dims(columns, state));
    TENON_ASSIGN_OR_RETURN(columns, multiply_dims(columns, directions * gates));
    TENON_ASSIGN_OR_RETURN(columns, add_dims(columns, cells));
    return multiply_dims(columns, units);
  }
};

// From inputs 0 to 2: num_layers, num_units, input_size. Without layers where they are not known.
StatusOr<CudnnLayout> layout_of_inputs(const ShapeContext& c) {
  for (int i = 0; i < 3; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  CudnnLayout layout;
  if (!c.constant(0) || !c.constant(1) || !c.constant(2)) return layout;
  layout = {integer_at(*c.constant(0), 0), cudnn_directions(c.attrs()),
            cudnn_gates(c.attr<std::string>("rnn_mode")), integer_at(*c.constant(1), 0),
            integer_at(*c.constant(2), 0)};
  if (layout.layers < 1 || layout.units < 1 || layout.input < 1) {
    return invalid_argument("num_layers, num_units and input_size must be positive, they are ",
                            layout.layers, ", ", layout.units, " and ", layout.input);
  }
  TENON_RETURN_IF_ERROR(check_cudnn_form(c.attrs(), layout.input, layout.units));
  return layout;
}

Status cudnn_params_size_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(layout_of_inputs(c).status());
  c.set_output(0, {1});
  return absl::OkStatus();
}

CudnnLayout layout_of_constants(const Prepare& p) {
  return {integer_at(*p.constant(0), 0), cudnn_directions(p.attrs()),
          cudnn_gates(p.attr<std::string>("rnn_mode")), integer_at(*p.constant(1), 0),
          integer_at(*p.constant(2), 0)};
}

StatusOr<Kernel> make_cudnn_params_size(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const int64_t size, layout_of_constants(p).size());
  if (p.output_dtype(0) == DType::kInt32 && size > std::numeric_limits<int32_t>::max()) {
    return invalid_argument("the parameters have ", size, " elements, which int32 does not hold");
  }
  return Kernel([size](KernelRun& r) {
    if (r.output(0).dtype() == DType::kInt32) {
      *r.out<int32_t>(0) = static_cast<int32_t>(size);
    } else {
      *r.out<int64_t>(0) = size;
    }
    return absl::OkStatus();
  });
}

// Both lists have as many tensors in the first version.
int64_t cudnn_count(const AttrMap& attrs, std::string_view of) {
  return attrs.get_or<int64_t>(cat("num_params_", of), attrs.get_or<int64_t>("num_params", 0));
}

Status check_cudnn_counts(const ShapeContext& c, const CudnnLayout& layout) {
  for (const char* of : {"weights", "biases"}) {
    const int64_t count = cudnn_count(c.attrs(), of);
    if (layout.layers > 0 && layout.parts() != count) {
      return invalid_argument("a network of ", layout.layers, " layers has ", layout.parts(), " ",
                              of, ", ", count, " are given");
    }
  }
  return absl::OkStatus();
}

Status cudnn_to_params_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const CudnnLayout layout, layout_of_inputs(c));
  TENON_RETURN_IF_ERROR(check_cudnn_counts(c, layout));
  c.set_output(0, {-1});
  if (layout.layers == 0) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const int64_t size, layout.size());
  c.set_output(0, {size});
  for (int64_t part = 0; part < 2 * layout.parts(); ++part) {
    const bool matrix = part < layout.parts();
    const int64_t wanted = layout.units * (matrix ? layout.matrix_width(part) : 1);
    const int64_t given = c.input(static_cast<int>(part) + 3).num_elements();
    if (given >= 0 && given != wanted) {
      return invalid_argument(matrix ? "matrix " : "bias ", matrix ? part : part - layout.parts(),
                              " has ", given, " elements, ", wanted, " are expected");
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_cudnn_to_params(Prepare&) {
  return Kernel([](KernelRun& r) {
    auto* params = static_cast<char*>(r.output(0).mutable_raw());
    for (int i = 3; i < r.num_inputs(); ++i) {
      const size_t bytes = r.input(i).num_bytes();
      if (bytes != 0) std::memcpy(params, r.input(i).raw(), bytes);
      params += bytes;
    }
    return absl::OkStatus();
  });
}

Status cudnn_from_params_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const CudnnLayout layout, layout_of_inputs(c));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 1));
  TENON_RETURN_IF_ERROR(check_cudnn_counts(c, layout));
  const int64_t matrices = cudnn_count(c.attrs(), "weights");
  for (int i = 0; i < c.num_outputs(); ++i) {
    PartialShape shape = i < matrices ? PartialShape{-1, -1} : PartialShape{-1};
    if (layout.layers > 0) {
      shape.set(0, layout.units);
      if (i < matrices) shape.set(1, layout.matrix_width(i));
    }
    c.set_output(i, shape);
  }
  if (layout.layers == 0) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const int64_t size, layout.size());
  if (c.input(3).has_rank() && c.input(3)[0] >= 0 && c.input(3)[0] != size) {
    return invalid_argument("params has ", c.input(3)[0], " elements, ", size, " are expected");
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_cudnn_from_params(Prepare&) {
  return Kernel([](KernelRun& r) {
    const auto* params = static_cast<const char*>(r.input(3).raw());
    for (int i = 0; i < r.num_outputs(); ++i) {
      const size_t bytes = r.output(i).num_bytes();
      std::memcpy(r.output(i).mutable_raw(), params, bytes);
      params += bytes;
    }
    return absl::OkStatus();
  });
}

// Inputs: input [steps, batch, width], input_h [layers * directions, batch, units], input_c,
// params, and sequence_lengths [batch] of the third version, which may put the batch first.
// Outputs: output, output_h, output_c (of an LSTM), two that only a gradient would read.
Status cudnn_rnn_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 1));
  if (c.num_inputs() > 4) TENON_RETURN_IF_ERROR(c.expect_rank(4, 1));
  const bool lstm = c.attr<std::string>("rnn_mode") == "lstm";
  if (lstm) TENON_RETURN_IF_ERROR(c.expect_rank(2, 3));
  const PartialShape &x = c.input(0), &h = c.input(1);
  const int64_t units = h.has_rank() ? h[2] : -1;
  TENON_ASSIGN_OR_RETURN(const int64_t wide, multiply_dims(units, cudnn_directions(c.attrs())));
  c.set_output(0, {x.has_rank() ? x[0] : -1, x.has_rank() ? x[1] : -1, wide});
  c.set_output(1, h.has_rank() ? h : PartialShape{-1, -1, -1});
  c.set_output(2, lstm ? h : PartialShape(Shape{}));
  c.set_output(3, PartialShape(Shape{}));
  if (c.num_outputs() > 4) c.set_output(4, PartialShape(Shape{}));
  return absl::OkStatus();
}

struct CudnnForm {
  CudnnLayout layout;
  int64_t steps = 0, batch = 0;
  bool lstm = false, gru = false, relu = false, time_major = true;

  // Where the row of a step and an element of the batch begins, in rows.
  int64_t row(int64_t step, int64_t b) const {
    return time_major ? step * batch + b : b * steps + step;
  }
  int64_t state_row(int64_t cell, int64_t b) const {
    return time_major ? cell * batch + b : b * layout.layers * layout.directions + cell;
  }
};

StatusOr<CudnnForm> cudnn_form(const Prepare& p) {
  CudnnForm form;
  const auto& mode = p.attr<std::string>("rnn_mode");
  form.lstm = mode == "lstm";
  form.gru = mode == "gru";
  form.relu = mode == "rnn_relu";
  form.time_major = p.attrs().get_or<bool>("time_major", true);
  const Shape &x = p.input_shape(0), &h = p.input_shape(1);
  form.steps = x[form.time_major ? 0 : 1];
  form.batch = x[form.time_major ? 1 : 0];
  const int64_t cells = h[form.time_major ? 0 : 1];
  const int64_t directions = cudnn_directions(p.attrs());
  form.layout = {cells / directions, directions, cudnn_gates(mode), h[2], x[2]};
  if (cells == 0 || cells % directions != 0 || h[form.time_major ? 1 : 0] != form.batch) {
    return invalid_argument("input_h has shape ", h, ", the input ", x);
  }
  if (form.lstm && !(p.input_shape(2) == h)) {
    return invalid_argument("input_c has shape ", p.input_shape(2), ", input_h ", h);
  }
  if (p.num_inputs() > 4 && p.input_shape(4)[0] != form.batch) {
    return invalid_argument("sequence_lengths has ", p.input_shape(4)[0], " elements, the batch ",
                            form.batch);
  }
  TENON_RETURN_IF_ERROR(check_cudnn_form(p.attrs(), x[2], h[2]));
  if (p.attr<bool>("is_training") && p.attr<float>("dropout") > 0 && form.layout.layers > 1) {
    return unimplemented("dropout between the layers in training is not supported");
  }
  TENON_ASSIGN_OR_RETURN(const int64_t size, form.layout.size());
  if (p.input_shape(3)[0] != size) {
    return invalid_argument("params has ", p.input_shape(3)[0], " elements, ", size,
                            " are expected");
  }
  return form;
}

// What sums are kept in.
template <class T>
using CudnnSum = std::conditional_t<std::is_same_v<T, double>, double, float>;

// sums[j] += bias[j] + sum of w[j, k] x[k].
template <class T, class X, class Sum>
void add_product(const T* w, const T* bias, const X* x, int64_t width, int64_t rows, Sum* sums) {
  for (int64_t j = 0; j < rows; ++j, w += width) {
    Sum sum = static_cast<Sum>(bias[j]);
    for (int64_t k = 0; k < width; ++k) sum += static_cast<Sum>(w[k]) * static_cast<Sum>(x[k]);
    sums[j] += sum;
  }
}

template <class Sum>
Sum cudnn_sigmoid(Sum x) {
  return 1 / (1 + std::exp(-x));
}

// One cell over one sequence. `gates` has room for the sums of the inputs and of the state.
template <class T>
class CudnnCell {
 public:
  using Sum = CudnnSum<T>;
  CudnnCell(const CudnnForm& form, const T* matrices, const T* biases, int64_t width)
      : form_(form),
        inputs_(matrices),
        states_(matrices + form.layout.gates * form.layout.units * width),
        biases_(biases),
        width_(width),
        sums_(static_cast<size_t>(2 * form.layout.gates * form.layout.units)) {}

  // h and c become the next state.
  void step(const T* x, Sum* h, Sum* c) {
    const int64_t n = form_.layout.units, rows = form_.layout.gates * n;
    std::fill(sums_.begin(), sums_.end(), Sum(0));
    Sum* a = sums_.data();
    Sum* r = a + rows;
    add_product(inputs_, biases_, x, width_, rows, a);
    add_product(states_, biases_ + rows, static_cast<const Sum*>(h), n, rows, r);
    for (int64_t j = 0; j < n; ++j) {
      if (form_.lstm) {
        const Sum in = cudnn_sigmoid(a[j] + r[j]), forget = cudnn_sigmoid(a[n + j] + r[n + j]);
        const Sum candidate = std::tanh(a[2 * n + j] + r[2 * n + j]);
        c[j] = forget * c[j] + in * candidate;
        h[j] = cudnn_sigmoid(a[3 * n + j] + r[3 * n + j]) * std::tanh(c[j]);
      } else if (form_.gru) {
        const Sum reset = cudnn_sigmoid(a[j] + r[j]), update = cudnn_sigmoid(a[n + j] + r[n + j]);
        h[j] = (1 - update) * std::tanh(a[2 * n + j] + reset * r[2 * n + j]) + update * h[j];
      } else {
        const Sum sum = a[j] + r[j];
        h[j] = form_.relu ? std::max(sum, Sum(0)) : std::tanh(sum);
      }
    }
  }

 private:
  const CudnnForm& form_;
  const T *inputs_, *states_, *biases_;
  int64_t width_;
  std::vector<Sum> sums_;
};

// One element of the batch through all layers; `x` and `y` hold its steps. The last layer's values
// are left in `y`. Steps behind `length` are zeros.
template <class T>
void run_cudnn_row(const CudnnForm& form, KernelRun& r, int64_t b, int64_t length) {
  using Sum = CudnnSum<T>;
  const CudnnLayout& layout = form.layout;
  const int64_t n = layout.units, wide = n * layout.directions, per_cell = 2 * layout.gates * n;
  std::vector<T> x(static_cast<size_t>(form.steps * layout.input)), y;
  for (int64_t t = 0; t < form.steps; ++t) {
    std::copy_n(r.in<T>(0) + form.row(t, b) * layout.input, layout.input,
                x.begin() + t * layout.input);
  }
  const T* matrices = r.in<T>(3);
  const T* biases =
      matrices + r.input(3).num_elements() - layout.layers * layout.directions * per_cell;
  for (int64_t layer = 0; layer < layout.layers; ++layer, x.swap(y)) {
    const int64_t width = layout.width(layer);
    y.assign(static_cast<size_t>(form.steps * wide), T(0));
    for (int64_t d = 0; d < layout.directions; ++d, biases += per_cell) {
      const int64_t at = form.state_row(layer * layout.directions + d, b) * n;
      std::vector<Sum> h(r.in<T>(1) + at, r.in<T>(1) + at + n), c(static_cast<size_t>(n));
      if (form.lstm) c.assign(r.in<T>(2) + at, r.in<T>(2) + at + n);
      CudnnCell<T> cell(form, matrices, biases, width);
      matrices += layout.gates * n * (width + n);
      for (int64_t step = 0; step < length; ++step) {
        const int64_t t = d == 0 ? step : length - 1 - step;
        cell.step(x.data() + t * width, h.data(), c.data());
        for (int64_t j = 0; j < n; ++j) {
          y[static_cast<size_t>(t * wide + d * n + j)] = static_cast<T>(h[static_cast<size_t>(j)]);
        }
      }
      for (int64_t j = 0; j < n; ++j) {
        r.out<T>(1)[at + j] = static_cast<T>(h[static_cast<size_t>(j)]);
        if (form.lstm) r.out<T>(2)[at + j] = static_cast<T>(c[static_cast<size_t>(j)]);
      }
    }
  }
  for (int64_t t = 0; t < form.steps; ++t) {
    std::copy_n(x.begin() + t * wide, wide, r.out<T>(0) + form.row(t, b) * wide);
  }
}

StatusOr<Kernel> make_cudnn_rnn(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const CudnnForm form, cudnn_form(p));
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [form](KernelRun& r) -> Status {
      const int32_t* lengths = r.num_inputs() > 4 ? r.in<int32_t>(4) : nullptr;
      for (int64_t b = 0; lengths && b < form.batch; ++b) {
        if (lengths[b] < 0 || lengths[b] > form.steps) {
          return invalid_argument("sequence_lengths(", b, ") is ", lengths[b],
                                  ", which is not in [0, ", form.steps, "]");
        }
      }
      for (int i = form.lstm ? 3 : 2; i < r.num_outputs(); ++i) {
        std::memset(r.output(i).mutable_raw(), 0, r.output(i).num_bytes());
      }
      parallel_for(form.batch, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          run_cudnn_row<T>(form, r, b, lengths ? lengths[b] : form.steps);
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status cudnn_gradient(Gradient& g) {
  return unimplemented("the gradient of ", g.forward().op->name(), " is not supported");
}

}  // namespace

#define TENON_CUDNN_ATTRS                                                                    \
  "T: {bfloat16, half, float, double}; rnn_mode: {'rnn_relu', 'rnn_tanh', 'lstm', 'gru'} = " \
  "'lstm'; input_mode: {'linear_input', 'skip_input', 'auto_select'} = 'linear_input'; "     \
  "direction: {'unidirectional', 'bidirectional'} = 'unidirectional'; dropout: float = 0; "  \
  "seed: int = 0; seed2: int = 0"
#define TENON_CUDNN_SIZES "num_layers: int32, num_units: int32, input_size: int32"

TENON_OP(CudnnRNNParamsSize) = {
    .inputs = TENON_CUDNN_SIZES,
    .outputs = "params_size: S",
    .attrs = TENON_CUDNN_ATTRS "; S: {int32, int64}; num_proj: int = 0",
    .host_inputs = {0, 1, 2},
    .shape = cudnn_params_size_shape,
    .gradient = not_differentiable,
    .kernels = {make_cudnn_params_size},
};
TENON_OP(CudnnRNNCanonicalToParams) = {
    .inputs = TENON_CUDNN_SIZES ", weights: num_params * T, biases: num_params * T",
    .outputs = "params: T",
    .attrs = TENON_CUDNN_ATTRS "; num_params: int >= 1",
    .host_inputs = {0, 1, 2},
    .shape = cudnn_to_params_shape,
    .gradient = not_differentiable,
    .kernels = {make_cudnn_to_params},
};
TENON_OP(CudnnRNNCanonicalToParamsV2) = {
    .inputs = TENON_CUDNN_SIZES ", weights: num_params_weights * T, biases: num_params_biases * T",
    .outputs = "params: T",
    .attrs = TENON_CUDNN_ATTRS
    "; num_params_weights: int >= 1; num_params_biases: int >= 1; num_proj: int = 0",
    .host_inputs = {0, 1, 2},
    .shape = cudnn_to_params_shape,
    .gradient = not_differentiable,
    .kernels = {make_cudnn_to_params},
};
TENON_OP(CudnnRNNParamsToCanonical) = {
    .inputs = TENON_CUDNN_SIZES ", params: T",
    .outputs = "weights: num_params * T, biases: num_params * T",
    .attrs = TENON_CUDNN_ATTRS "; num_params: int >= 1",
    .host_inputs = {0, 1, 2},
    .shape = cudnn_from_params_shape,
    .gradient = not_differentiable,
    .kernels = {make_cudnn_from_params},
};
TENON_OP(CudnnRNNParamsToCanonicalV2) = {
    .inputs = TENON_CUDNN_SIZES ", params: T",
    .outputs = "weights: num_params_weights * T, biases: num_params_biases * T",
    .attrs = TENON_CUDNN_ATTRS
    "; num_params_weights: int >= 1; num_params_biases: int >= 1; num_proj: int = 0",
    .host_inputs = {0, 1, 2},
    .shape = cudnn_from_params_shape,
    .gradient = not_differentiable,
    .kernels = {make_cudnn_from_params},
};
TENON_OP(CudnnRNN) = {
    .inputs = "input: T, input_h: T, input_c: T, params: T",
    .outputs = "output: T, output_h: T, output_c: T, reserve_space: T",
    .attrs = TENON_CUDNN_ATTRS "; is_training: bool = true",
    .shape = cudnn_rnn_shape,
    .gradient = cudnn_gradient,
    .kernels = {make_cudnn_rnn},
};
TENON_OP(CudnnRNNV2) = {
    .inputs = "input: T, input_h: T, input_c: T, params: T",
    .outputs = "output: T, output_h: T, output_c: T, reserve_space: T, host_reserved: int8",
    .attrs = TENON_CUDNN_ATTRS "; is_training: bool = true",
    .shape = cudnn_rnn_shape,
    .gradient = cudnn_gradient,
    .kernels = {make_cudnn_rnn},
};
TENON_OP(CudnnRNNV3) = {
    .inputs = "input: T, input_h: T, input_c: T, params: T, sequence_lengths: int32",
    .outputs = "output: T, output_h: T, output_c: T, reserve_space: T, host_reserved: int8",
    .attrs = TENON_CUDNN_ATTRS
    "; num_proj: int = 0; is_training: bool = true; time_major: bool = true",
    .shape = cudnn_rnn_shape,
    .gradient = cudnn_gradient,
    .kernels = {make_cudnn_rnn},
};

#undef TENON_CUDNN_ATTRS
#undef TENON_CUDNN_SIZES

}  // namespace tenon
