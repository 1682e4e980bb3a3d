// FFT, IFFT, RFFT, IRFFT over the last one, two or three dimensions.
#include <mutex>
#include <optional>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/signal/fourier.h"

namespace tenon {
namespace {

enum class Direction : uint8_t { kForward, kInverse };

// A length's transform, made by the first run: its tables are as large as the data.
class LazyFourier {
 public:
  explicit LazyFourier(int64_t length) : length_(length) {}
  const Fourier& get() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!fourier_) fourier_.emplace(length_);
    return *fourier_;
  }

 private:
  const int64_t length_;
  std::mutex mutex_;
  std::optional<Fourier> fourier_;
};

using Fouriers = std::vector<std::shared_ptr<LazyFourier>>;  // of each axis, the outermost first

Fouriers fouriers_of(std::span<const int64_t> lengths) {
  Fouriers all;
  for (int64_t length : lengths) all.push_back(std::make_shared<LazyFourier>(length));
  return all;
}

// Runs `line(i, memory)` for each of `count` lines; memory holds a line and its scratch.
template <class Line>
void for_each_line(int64_t count, const Fourier& fourier, const Line& line) {
  const int64_t grain = std::max<int64_t>(1, 4096 / fourier.length());
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    std::vector<Fourier::Complex> memory(static_cast<size_t>(fourier.length() + fourier.scratch()));
    for (int64_t i = begin; i < end; ++i) line(i, memory.data());
  });
}

void transform(const Fourier& fourier, Direction direction, Fourier::Complex* line) {
  Fourier::Complex* scratch = line + fourier.length();
  direction == Direction::kForward ? fourier.forward(line, scratch)
                                   : fourier.inverse(line, scratch);
}

// Transforms `x`, of `dims`, along `axis`, in place.
template <class T>
void transform_axis(const Fourier& fourier, Direction direction, std::span<const int64_t> dims,
                    size_t axis, std::complex<T>* x) {
  int64_t inner = 1, lines = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i > axis) inner *= dims[i];
    if (i != axis) lines *= dims[i];
  }
  const int64_t n = dims[axis];
  for_each_line(lines, fourier, [&](int64_t i, Fourier::Complex* line) {
    std::complex<T>* at = x + i / inner * inner * n + i % inner;
    for (int64_t k = 0; k < n; ++k) line[k] = Fourier::Complex(at[k * inner]);
    transform(fourier, direction, line);
    for (int64_t k = 0; k < n; ++k) at[k * inner] = std::complex<T>(line[k]);
  });
}

// --- complex to complex ---

template <int rank>
Status complex_fft_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, rank));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

template <int rank, Direction direction>
StatusOr<Kernel> make_complex_fft(Prepare& p) {
  const Shape shape = p.input_shape(0);
  const Fouriers fouriers = fouriers_of(shape.dims().last(rank));
  Kernel kernel;
  visit<TypeList<float, double>>(
      p.input_dtype(0) == DType::kComplex64 ? DType::kFloat : DType::kDouble, [&]<class T>() {
        kernel = [shape, fouriers](KernelRun& r) {
          if (shape.num_elements() == 0) return absl::OkStatus();
          auto* y = r.out<std::complex<T>>(0);
          std::copy_n(r.in<std::complex<T>>(0), shape.num_elements(), y);
          for (int i = rank - 1; i >= 0; --i) {
            const auto axis = static_cast<size_t>(shape.rank() - rank + i);
            transform_axis<T>(fouriers[static_cast<size_t>(i)]->get(), direction, shape.dims(),
                              axis, y);
          }
          return absl::OkStatus();
        };
      });
  return kernel;
}

// --- real to complex and back ---

// Input 1 as `rank` lengths. Nothing while it is not known.
template <int rank>
StatusOr<std::optional<std::array<int64_t, rank>>> fft_lengths(const ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& shape = c.input(1);
  if (shape.has_rank() && shape[0] >= 0 && shape[0] != rank) {
    return invalid_argument("fft_length must have shape [", rank, "], not ", shape);
  }
  const Tensor* value = c.constant(1);
  if (!value) return std::nullopt;
  std::array<int64_t, rank> lengths;
  for (int i = 0; i < rank; ++i) {
    lengths[static_cast<size_t>(i)] = integer_at(*value, i);
    if (integer_at(*value, i) < 0) {
      return invalid_argument("fft_length[", i, "] must >= 0, but got: ", integer_at(*value, i));
    }
  }
  return lengths;
}

int64_t half_length(int64_t length) { return length == 0 ? 0 : length / 2 + 1; }

// Real or complex, the side that is complex has half of the last axis.
template <int rank, Direction direction>
Status real_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, rank));
  const bool single = c.input_dtype(0) == DType::kFloat || c.input_dtype(0) == DType::kComplex64;
  const DType out = c.attr<DType>(direction == Direction::kForward ? "Tcomplex" : "Treal");
  if (single != (out == DType::kFloat || out == DType::kComplex64)) {
    return invalid_argument("input and output must have one precision, they are ", c.input_dtype(0),
                            " and ", out);
  }
  TENON_ASSIGN_OR_RETURN(const auto lengths, fft_lengths<rank>(c));
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  PartialShape y = x;
  for (int i = 0; i < rank; ++i) {
    const int axis = x.rank() - rank + i;
    if (!lengths) {
      y.set(axis, -1);
      continue;
    }
    const int64_t length = (*lengths)[static_cast<size_t>(i)];
    const int64_t half = i == rank - 1 ? half_length(length) : length;
    const int64_t needed = direction == Direction::kForward ? length : half;
    if (x[axis] > 0 && x[axis] < needed) {
      return invalid_argument("Input dimension ", axis, " must have length of at least ", needed,
                              " but got: ", x[axis]);
    }
    y.set(axis, direction == Direction::kForward ? half : length);
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Row `i` of the inner axes of `to` (its last axis left out) lies where in `from`?
int64_t row_in(int64_t i, std::span<const int64_t> to, std::span<const int64_t> from) {
  int64_t offset = 0, stride = 1;
  for (size_t axis = to.size() - 1; axis-- > 0;) {
    offset += i % to[axis] * stride;
    i /= to[axis];
    stride *= from[axis];
  }
  return offset * from.back();
}

template <int rank>
StatusOr<Kernel> make_real_forward(Prepare& p) {
  const Shape in = p.input_shape(0), out = p.output_shape(0).to_shape();
  const std::vector<int64_t> lengths = integers_of(*p.constant(1));
  const Fouriers fouriers = fouriers_of(lengths);
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      auto* y = r.out<std::complex<T>>(0);
      std::fill_n(y, out.num_elements(), std::complex<T>());
      if (in.num_elements() == 0 || out.num_elements() == 0) return absl::OkStatus();
      const T* x = r.in<T>(0);
      const int64_t n = lengths.back(), half = half_length(n);
      const Fourier& last = fouriers.back()->get();
      for_each_line(out.num_elements() / half, last, [&](int64_t i, Fourier::Complex* line) {
        const T* from = x + row_in(i, out.dims(), in.dims());
        for (int64_t k = 0; k < n; ++k) line[k] = static_cast<double>(from[k]);
        transform(last, Direction::kForward, line);
        for (int64_t k = 0; k < half; ++k) y[i * half + k] = std::complex<T>(line[k]);
      });
      for (int i = rank - 2; i >= 0; --i) {
        transform_axis<T>(fouriers[static_cast<size_t>(i)]->get(), Direction::kForward, out.dims(),
                          static_cast<size_t>(out.rank() - rank + i), y);
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

template <int rank>
StatusOr<Kernel> make_real_inverse(Prepare& p) {
  const Shape in = p.input_shape(0), out = p.output_shape(0).to_shape();
  const std::vector<int64_t> lengths = integers_of(*p.constant(1));
  const Fouriers fouriers = fouriers_of(lengths);
  Kernel kernel;
  visit<TypeList<float, double>>(p.output_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      T* y = r.out<T>(0);
      std::fill_n(y, out.num_elements(), T(0));
      if (in.num_elements() == 0 || out.num_elements() == 0) return absl::OkStatus();
      const int64_t n = lengths.back(), half = half_length(n);
      // The part of the input that is read, transformed along all axes but the last.
      Shape read = out;
      read.set(read.rank() - 1, half);
      std::vector<std::complex<T>> work(static_cast<size_t>(read.num_elements()));
      const auto* x = r.in<std::complex<T>>(0);
      const int64_t rows = read.num_elements() / half;
      for (int64_t i = 0; i < rows; ++i) {
        std::copy_n(x + row_in(i, read.dims(), in.dims()), half, work.data() + i * half);
      }
      for (int i = 0; i < rank - 1; ++i) {
        transform_axis<T>(fouriers[static_cast<size_t>(i)]->get(), Direction::kInverse, read.dims(),
                          static_cast<size_t>(read.rank() - rank + i), work.data());
      }
      const Fourier& last = fouriers.back()->get();
      for_each_line(rows, last, [&](int64_t i, Fourier::Complex* line) {
        const std::complex<T>* from = work.data() + i * half;
        for (int64_t k = 0; k < half; ++k) line[k] = Fourier::Complex(from[k]);
        // The spectrum of real numbers: what is not stored is its mirror image.
        line[0] = line[0].real();
        if (n % 2 == 0) line[n / 2] = line[n / 2].real();
        for (int64_t k = half; k < n; ++k) line[k] = std::conj(line[n - k]);
        transform(last, Direction::kInverse, line);
        for (int64_t k = 0; k < n; ++k) y[i * n + k] = static_cast<T>(line[k].real());
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// --- gradients: the transform is linear, its slope the conjugate transpose ---

// The product of the last `rank` dimensions of `x`, as a number of dtype `dtype`.
Endpoint size_of_transform(GraphBuilder& b, Endpoint x, int rank, DType dtype) {
  const Endpoint dims = b.slice(b.shape_of(x), -rank);
  return b.cast(b.op("Prod", {dims, b.integers({0})}), dtype);
}

template <int rank, Direction direction>
Status complex_fft_gradient(Gradient& g) {
  constexpr const char* kSuffix = rank == 1 ? "" : rank == 2 ? "2D" : "3D";
  GraphBuilder& b = g.build();
  const bool forward = direction == Direction::kForward;
  const Endpoint dx = b.op(cat(forward ? "IFFT" : "FFT", kSuffix), {g.dy()});
  const Endpoint size = size_of_transform(b, g.dy(), rank, g.input_dtype(0));
  g.set_dx(0, forward ? b.mul(dx, size) : b.div(dx, size));
  return absl::OkStatus();
}

// x is real, so only the real part of the whole spectrum's transform is left; the half that is not
// stored is no output, so it has no slope. Rows and columns that were cropped have none either.
template <int rank>
Status real_forward_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = b.dtype(g.dy());
  const Endpoint lengths = g.input(1), half = b.shape_of(g.dy());
  // Zeros behind the last axis, as a tensor of their own.
  const Endpoint missing =
      b.concat({b.slice(half, 0, -1), b.sub(b.slice(lengths, -1), b.slice(half, -1))}, 0);
  const Endpoint zeros = b.op("Fill", {missing, b.cast(b.scalar(0.0), dtype)});
  const Endpoint whole = b.concat({g.dy(), zeros}, -1);
  constexpr const char* kInverse = rank == 1 ? "IFFT" : "IFFT2D";
  const Endpoint spectrum = b.op(kInverse, {whole});
  const Endpoint real = b.op("Real", {spectrum}, {{"Tout", g.input_dtype(0)}});
  const Endpoint dx = b.mul(real, size_of_transform(b, whole, rank, g.input_dtype(0)));
  // [[0, cropped]] for each axis.
  const Endpoint cropped = b.sub(b.shape_of(g.input(0)), b.shape_of(dx));
  const Endpoint paddings = b.op("Pack", {b.zeros_like(cropped), cropped}, {{"axis", int64_t{1}}});
  g.set_dx(0, b.op("Pad", {dx, paddings}));
  return absl::OkStatus();
}

// Each stored element but the first and, of an even length, the last stands for two.
template <int rank>
Status real_inverse_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = g.input_dtype(0), real = b.dtype(g.dy());
  const Endpoint length = b.element(g.input(1), -1);
  const Endpoint dy =
      b.op(rank == 1 ? "RFFT" : "RFFT2D", {g.dy(), g.input(1)}, {{"Tcomplex", dtype}});
  const Endpoint zero = b.scalar(int32_t{0}), one = b.scalar(int32_t{1});
  const Endpoint half = b.add(b.op("FloorDiv", {length, b.scalar(int32_t{2})}), one);
  const Endpoint places = b.op("Range", {zero, half, one});
  const Endpoint alone = b.op(
      "LogicalOr", {b.op("Equal", {places, zero}), b.op("Equal", {b.add(places, places), length})});
  const Endpoint counts = b.op("SelectV2", {alone, b.scalar_of(real, 1), b.scalar_of(real, 2)});
  const Endpoint scale = b.div(counts, size_of_transform(b, g.dy(), rank, real));
  const Endpoint dx = b.mul(dy, b.cast(scale, dtype));
  const Endpoint cropped = b.sub(b.shape_of(g.input(0)), b.shape_of(dx));
  const Endpoint paddings = b.op("Pack", {b.zeros_like(cropped), cropped}, {{"axis", int64_t{1}}});
  g.set_dx(0, b.op("Pad", {dx, paddings}));
  return absl::OkStatus();
}

template <int rank>
Rows transform_rows(const ShapeContext& c) {
  return c.input(0).has_rank() && c.input(0).rank() > rank ? Rows::kIndependent : Rows::kMixed;
}

template <int rank, Direction direction>
constexpr OpDecl complex_op() {
  return {
      .inputs = "input: Tcomplex",
      .outputs = "output: Tcomplex",
      .attrs = "Tcomplex: {complex64, complex128} = complex64",
      .shape = complex_fft_shape<rank>,
      .rows = transform_rows<rank>,
      .gradient = complex_fft_gradient<rank, direction>,
      .kernels = {make_complex_fft<rank, direction>},
  };
}

template <int rank>
constexpr OpDecl real_forward_op(GradientFn gradient) {
  return {
      .inputs = "input: Treal, fft_length: int32",
      .outputs = "output: Tcomplex",
      .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
      .host_inputs = {1},
      .shape = real_shape<rank, Direction::kForward>,
      .rows = transform_rows<rank>,
      .gradient = gradient,
      .kernels = {make_real_forward<rank>},
  };
}

template <int rank>
constexpr OpDecl real_inverse_op(GradientFn gradient) {
  return {
      .inputs = "input: Tcomplex, fft_length: int32",
      .outputs = "output: Treal",
      .attrs = "Treal: {float, double} = float; Tcomplex: {complex64, complex128} = complex64",
      .host_inputs = {1},
      .shape = real_shape<rank, Direction::kInverse>,
      .rows = transform_rows<rank>,
      .gradient = gradient,
      .kernels = {make_real_inverse<rank>},
  };
}

}  // namespace

TENON_OP(FFT) = complex_op<1, Direction::kForward>();
TENON_OP(FFT2D) = complex_op<2, Direction::kForward>();
TENON_OP(FFT3D) = complex_op<3, Direction::kForward>();
TENON_OP(IFFT) = complex_op<1, Direction::kInverse>();
TENON_OP(IFFT2D) = complex_op<2, Direction::kInverse>();
TENON_OP(IFFT3D) = complex_op<3, Direction::kInverse>();
TENON_OP(RFFT) = real_forward_op<1>(real_forward_gradient<1>);
TENON_OP(RFFT2D) = real_forward_op<2>(real_forward_gradient<2>);
TENON_OP(RFFT3D) = real_forward_op<3>(not_differentiable);
TENON_OP(IRFFT) = real_inverse_op<1>(real_inverse_gradient<1>);
TENON_OP(IRFFT2D) = real_inverse_op<2>(real_inverse_gradient<2>);
TENON_OP(IRFFT3D) = real_inverse_op<3>(not_differentiable);

}  // namespace tenon
