// MatrixDiag, MatrixDiagPart, MatrixSetDiag in their three versions: bands of diagonals of matrices
// in and out of a compact form, one diagonal a row.
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// A band of diagonals: those from `lower` to `upper`, 0 the main one, above it positive.
struct Band {
  int64_t lower = 0, upper = 0;
  // Where a diagonal shorter than the longest stands in its row.
  bool left_above = true, left_below = true;
  int64_t count() const { return upper - lower + 1; }
  bool is_one() const { return lower == upper; }

  int64_t length(int64_t diagonal, int64_t rows, int64_t columns) const {
    return std::min(rows + std::min<int64_t>(0, diagonal),
                    columns - std::max<int64_t>(0, diagonal));
  }
  int64_t longest(int64_t rows, int64_t columns) const {
    return std::min(rows + std::min<int64_t>(upper, 0), columns - std::max<int64_t>(lower, 0));
  }
};

// `k` is null for ops of the first version: the main diagonal.
StatusOr<Band> band_of(const AttrMap& attrs, const Tensor* k) {
  Band band;
  if (k) {
    if (k->rank() > 1 || k->num_elements() < 1 || k->num_elements() > 2) {
      return invalid_argument(
          "diag_index must be a scalar or vector of at most two elements, its "
          "shape is ",
          k->shape());
    }
    band.lower = integer_at(*k, 0);
    band.upper = integer_at(*k, k->num_elements() - 1);
  }
  if (band.lower > band.upper) {
    return invalid_argument("lower_diag_index must not be larger than upper_diag_index: ",
                            band.lower, " > ", band.upper);
  }
  if (const auto* align = attrs.get_if<std::string>("align")) {
    band.left_above = align->starts_with("LEFT");
    band.left_below = align->ends_with("LEFT");
  }
  return band;
}

// INVALID_ARGUMENT when a diagonal lies outside a matrix of that size.
Status check_band(const Band& band, int64_t rows, int64_t columns) {
  for (int64_t diagonal : {band.lower, band.upper}) {
    if ((rows >= 0 && diagonal <= -rows && diagonal != 0) ||
        (columns >= 0 && diagonal >= columns && diagonal != 0)) {
      return invalid_argument("diagonal index ", diagonal, " is outside a matrix of ", rows, " x ",
                              columns);
    }
  }
  return absl::OkStatus();
}

// The padding of MatrixDiagPart has one element.
Status expect_one_padding(const ShapeContext& c, int padding) {
  if (c.num_inputs() <= padding) return absl::OkStatus();
  const PartialShape& shape = c.input(padding);
  if (!shape.is_fully_known() || shape.num_elements() == 1) return absl::OkStatus();
  return invalid_argument("Padding must be scalar, its shape is ", shape);
}

// Inputs that give k, from the op's version; -1: none.
int band_input(const OpDef& op) {
  for (size_t i = 0; i < op.inputs().size(); ++i) {
    if (op.inputs()[i].name == "k") return static_cast<int>(i);
  }
  return -1;
}

// False while the value of k is not known.
template <class Context>
StatusOr<bool> read_band(const Context& c, Band& band) {
  const int input = band_input(c.op());
  const Tensor* k = input >= 0 ? c.constant(input) : nullptr;
  if (input >= 0 && !k) return false;
  TENON_ASSIGN_OR_RETURN(band, band_of(c.attrs(), k));
  return true;
}

PartialShape with_last(const PartialShape& shape, int drop, std::initializer_list<int64_t> last) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end() - drop);
  dims.insert(dims.end(), last.begin(), last.end());
  return PartialShape(std::span<const int64_t>(dims));
}

// The compact form of the diagonals of `matrix`.
PartialShape diagonals_shape(const PartialShape& matrix, const Band& band) {
  const int64_t rows = matrix[matrix.rank() - 2], columns = matrix[matrix.rank() - 1];
  const int64_t longest =
      rows < 0 || columns < 0 ? -1 : std::max<int64_t>(0, band.longest(rows, columns));
  return band.is_one() ? with_last(matrix, 2, {longest})
                       : with_last(matrix, 2, {band.count(), longest});
}

Status diag_part_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_one_padding(c, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  Band band;
  TENON_ASSIGN_OR_RETURN(const bool known, read_band(c, band));
  const PartialShape& x = c.input(0);
  if (!known || !x.has_rank()) return unknown_shape(c);
  TENON_RETURN_IF_ERROR(check_band(band, x[x.rank() - 2], x[x.rank() - 1]));
  c.set_output(0, diagonals_shape(x, band));
  return absl::OkStatus();
}

Status set_diag_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 1));
  Band band;
  TENON_ASSIGN_OR_RETURN(const bool known, read_band(c, band));
  const PartialShape& x = c.input(0);
  if (known && x.has_rank()) {
    TENON_RETURN_IF_ERROR(check_band(band, x[x.rank() - 2], x[x.rank() - 1]));
    const PartialShape expected = diagonals_shape(x, band);
    if (!PartialShape::merge(expected, c.input(1)).ok()) {
      return invalid_argument("diagonal must have shape ", expected, ", it has ", c.input(1));
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

struct MatrixSize {
  int64_t rows = -1, columns = -1;
};

// The size that MatrixDiag makes of diagonals of `longest`: what was asked for, where it fits.
StatusOr<MatrixSize> diag_matrix_size(const Band& band, int64_t longest, MatrixSize asked) {
  TENON_ASSIGN_OR_RETURN(const int64_t least_rows,
                         add_dims(longest, -std::min<int64_t>(band.upper, 0)));
  TENON_ASSIGN_OR_RETURN(const int64_t least_columns,
                         add_dims(longest, std::max<int64_t>(band.lower, 0)));
  if (asked.rows == -1 && asked.columns == -1) {
    const int64_t size = std::max(least_rows, least_columns);
    return MatrixSize{size, size};
  }
  if (asked.rows == -1) asked.rows = least_rows;
  if (asked.columns == -1) asked.columns = least_columns;
  if (asked.rows < least_rows) {
    return invalid_argument("The number of rows ", asked.rows, " is too small: ", least_rows,
                            " at least");
  }
  if (asked.columns < least_columns) {
    return invalid_argument("The number of columns ", asked.columns,
                            " is too small: ", least_columns, " at least");
  }
  if (asked.rows != least_rows && asked.columns != least_columns) {
    return invalid_argument(
        "The number of rows or columns is not consistent with the specified "
        "d_lower, d_upper, and diagonal.");
  }
  return asked;
}

Status diag_shape(ShapeContext& c) {
  for (int i = 2; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  Band band;
  TENON_ASSIGN_OR_RETURN(bool known, read_band(c, band));
  MatrixSize size;
  if (c.num_inputs() > 1) {
    known = known && c.constant(2) && c.constant(3);
    if (known) size = {integer_at(*c.constant(2), 0), integer_at(*c.constant(3), 0)};
  }
  const PartialShape& x = c.input(0);
  if (!known || !x.has_rank()) return unknown_shape(c);
  if (!band.is_one()) {
    TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 2));
    const int64_t count = x[x.rank() - 2];
    if (count >= 0 && count != band.count()) {
      return invalid_argument(
          "The number of rows of `diagonal` doesn't match the number of "
          "diagonals: ",
          count, " and ", band.count());
    }
  }
  const int64_t longest = x[x.rank() - 1];
  if (longest >= 0) {
    TENON_ASSIGN_OR_RETURN(size, diag_matrix_size(band, longest, size));
    TENON_RETURN_IF_ERROR(check_band(band, size.rows, size.columns));
  }
  PartialShape y = with_last(x, band.is_one() ? 1 : 2, {size.rows, size.columns});
  if (y.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(0))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Calls `visit(matrix offset, compact offset, length, gap)` for each diagonal of one matrix: where
// it begins in the matrix and in its row of the compact form, what of that row stays empty before.
template <class Visit>
void for_each_diagonal(const Band& band, int64_t rows, int64_t columns, const Visit& visit) {
  const int64_t longest = band.longest(rows, columns);
  for (int64_t row = 0; row < band.count(); ++row) {
    const int64_t diagonal = band.upper - row;
    const int64_t length = std::max<int64_t>(0, band.length(diagonal, rows, columns));
    const bool left = (diagonal >= 0 && band.left_above) || (diagonal <= 0 && band.left_below);
    const int64_t first = diagonal >= 0 ? diagonal : -diagonal * columns;  // offset in the matrix
    visit(first, row * longest, length, left ? 0 : longest - length);
  }
}

using ElementSizes = TypeList<uint8_t, uint16_t, uint32_t, uint64_t, std::complex<double>>;
template <class Body>
bool visit_size(DType dtype, Body&& body) {
  if (is_object(dtype)) return false;
  return [&]<class... Ts>(TypeList<Ts...>) {
    return ((size_of(dtype) == sizeof(Ts) ? (body.template operator()<Ts>(), true) : false) || ...);
  }(ElementSizes{});
}

struct DiagLayout {
  Band band;
  int64_t batch = 0, rows = 0, columns = 0;
  int64_t matrix() const { return rows * columns; }
  int64_t compact() const { return band.count() * band.longest(rows, columns); }
  int64_t grain() const { return std::max<int64_t>(1, 8192 / std::max<int64_t>(1, matrix())); }
};

StatusOr<DiagLayout> diag_layout(const Prepare& p, const Shape& matrix) {
  DiagLayout layout;
  TENON_RETURN_IF_ERROR(read_band(p, layout.band).status());
  layout.batch = matrix.product(0, matrix.rank() - 2);
  layout.rows = matrix[matrix.rank() - 2];
  layout.columns = matrix[matrix.rank() - 1];
  return layout;
}

StatusOr<Kernel> no_diag_kernel(const Prepare& p) {
  return unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
}

// Input `index` as the value of one element, zero where the op has no such input.
template <class T>
T padding_value(const KernelRun& r, int index) {
  return index < r.num_inputs() ? *r.in<T>(index) : T{};
}

StatusOr<Kernel> make_diag(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DiagLayout layout, diag_layout(p, p.output_shape(0).to_shape()));
  Kernel kernel;
  visit_size(p.input_dtype(0), [&]<class T>() {
    kernel = [layout](KernelRun& r) {
      const T padding = padding_value<T>(r, 4);
      // The compact rows may be longer than the matrix's diagonals need: the matrix was asked for.
      const int64_t width = r.input(0).dim(r.input(0).rank() - 1);
      const int64_t compact = layout.band.count() * width;
      parallel_for(layout.batch, layout.grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* x = r.in<T>(0) + i * compact;
          T* y = r.out<T>(0) + i * layout.matrix();
          std::fill_n(y, layout.matrix(), padding);
          for_each_diagonal(layout.band, layout.rows, layout.columns,
                            [&](int64_t first, int64_t from, int64_t length, int64_t gap) {
                              for (int64_t j = 0; j < length; ++j) {
                                y[first + j * (layout.columns + 1)] = x[from + gap + j];
                              }
                            });
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel ? StatusOr<Kernel>(kernel) : no_diag_kernel(p);
}

StatusOr<Kernel> make_diag_part(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DiagLayout layout, diag_layout(p, p.input_shape(0)));
  Kernel kernel;
  visit_size(p.input_dtype(0), [&]<class T>() {
    kernel = [layout](KernelRun& r) {
      const T padding = padding_value<T>(r, 2);
      if (r.output(0).num_elements() == 0) return absl::OkStatus();
      parallel_for(layout.batch, layout.grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* x = r.in<T>(0) + i * layout.matrix();
          T* y = r.out<T>(0) + i * layout.compact();
          std::fill_n(y, layout.compact(), padding);
          for_each_diagonal(layout.band, layout.rows, layout.columns,
                            [&](int64_t first, int64_t to, int64_t length, int64_t gap) {
                              for (int64_t j = 0; j < length; ++j) {
                                y[to + gap + j] = x[first + j * (layout.columns + 1)];
                              }
                            });
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel ? StatusOr<Kernel>(kernel) : no_diag_kernel(p);
}

StatusOr<Kernel> make_set_diag(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DiagLayout layout, diag_layout(p, p.input_shape(0)));
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit_size(p.input_dtype(0), [&]<class T>() {
    kernel = [layout](KernelRun& r) {
      if (r.output(0).num_elements() == 0) return absl::OkStatus();
      parallel_for(layout.batch, layout.grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* x = r.in<T>(0) + i * layout.matrix();
          const T* diagonals = r.in<T>(1) + i * layout.compact();
          T* y = r.out<T>(0) + i * layout.matrix();
          if (y != x) std::copy_n(x, layout.matrix(), y);
          for_each_diagonal(layout.band, layout.rows, layout.columns,
                            [&](int64_t first, int64_t from, int64_t length, int64_t gap) {
                              for (int64_t j = 0; j < length; ++j) {
                                y[first + j * (layout.columns + 1)] = diagonals[from + gap + j];
                              }
                            });
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel ? StatusOr<Kernel>(kernel) : no_diag_kernel(p);
}

// The op of `family` in the node's version, its k and alignment as the node's.
Endpoint same_band(Gradient& g, std::string_view family, std::vector<Endpoint> inputs) {
  GraphBuilder& b = g.build();
  const OpDef& op = *g.forward().op;
  AttrMap attrs;
  std::string name(family);
  const int k = band_input(op);
  if (k >= 0) inputs.push_back(g.input(k));
  if (op.find_attr("align")) {
    attrs.set("align", g.attr<std::string>("align"));
    name += "V3";
  } else if (k >= 0) {
    name += "V2";
  }
  if (k >= 0 && family == "MatrixDiagPart") inputs.push_back(b.scalar_of(b.dtype(inputs[0]), 0));
  return b.op(name, std::move(inputs), std::move(attrs));
}

// array_grad.py: _MatrixDiagV3Grad, _MatrixDiagPartV3Grad, _MatrixSetDiagV3Grad.
Status diag_gradient(Gradient& g) {
  g.set_dx(0, same_band(g, "MatrixDiagPart", {g.dy()}));
  return absl::OkStatus();
}
Status diag_part_gradient(Gradient& g) {
  g.set_dx(0, same_band(g, "MatrixSetDiag", {g.build().zeros_like(g.input(0)), g.dy()}));
  return absl::OkStatus();
}
Status set_diag_gradient(Gradient& g) {
  g.set_dx(0, same_band(g, "MatrixSetDiag", {g.dy(), g.build().zeros_like(g.input(1))}));
  g.set_dx(1, same_band(g, "MatrixDiagPart", {g.dy()}));
  return absl::OkStatus();
}

constexpr OpDecl diag_op(ArgsText inputs, ArgsText outputs, AttrsText attrs, HostInputs host,
                         ShapeFn shape, GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .host_inputs = host,
      .shape = shape,
      .gradient = gradient,
      .kernels = {factory},
  };
}

#define TENON_DIAG_ATTRS \
  "T: type; align: {'LEFT_RIGHT', 'RIGHT_LEFT', 'LEFT_LEFT', 'RIGHT_RIGHT'} = 'RIGHT_LEFT'"
#define TENON_DIAG_INPUTS \
  "diagonal: T, k: int32, num_rows: int32, num_cols: int32, padding_value: T"

}  // namespace

TENON_OP(MatrixDiag) = diag_op("diagonal: T", "output: T", "T: type", {}, diag_shape, diag_gradient,
                               make_diag);
TENON_OP(MatrixDiagV2) = diag_op(TENON_DIAG_INPUTS, "output: T", "T: type", {1, 2, 3}, diag_shape,
                                 diag_gradient, make_diag);
TENON_OP(MatrixDiagV3) = diag_op(TENON_DIAG_INPUTS, "output: T", TENON_DIAG_ATTRS, {1, 2, 3},
                                 diag_shape, diag_gradient, make_diag);
TENON_OP(MatrixDiagPart) = diag_op("input: T", "diagonal: T", "T: type", {}, diag_part_shape,
                                   diag_part_gradient, make_diag_part);
TENON_OP(MatrixDiagPartV2) = diag_op("input: T, k: int32, padding_value: T", "diagonal: T",
                                     "T: type", {1}, diag_part_shape, diag_part_gradient,
                                     make_diag_part);
TENON_OP(MatrixDiagPartV3) = diag_op("input: T, k: int32, padding_value: T", "diagonal: T",
                                     TENON_DIAG_ATTRS, {1}, diag_part_shape, diag_part_gradient,
                                     make_diag_part);
TENON_OP(MatrixSetDiag) = diag_op("input: T, diagonal: T", "output: T", "T: type", {},
                                  set_diag_shape, set_diag_gradient, make_set_diag);
TENON_OP(MatrixSetDiagV2) = diag_op("input: T, diagonal: T, k: int32", "output: T", "T: type", {2},
                                    set_diag_shape, set_diag_gradient, make_set_diag);
TENON_OP(MatrixSetDiagV3) = diag_op("input: T, diagonal: T, k: int32", "output: T",
                                    TENON_DIAG_ATTRS, {2}, set_diag_shape, set_diag_gradient,
                                    make_set_diag);

// Their names before ops took batches by themselves.
TENON_OP(BatchMatrixDiag) = diag_op("diagonal: T", "output: T", "T: type", {}, diag_shape,
                                    not_differentiable, make_diag);
TENON_OP(BatchMatrixDiagPart) = diag_op("input: T", "diagonal: T", "T: type", {}, diag_part_shape,
                                        not_differentiable, make_diag_part);
TENON_OP(BatchMatrixSetDiag) = diag_op("input: T, diagonal: T", "output: T", "T: type", {},
                                       set_diag_shape, not_differentiable, make_set_diag);

#undef TENON_DIAG_INPUTS
#undef TENON_DIAG_ATTRS

}  // namespace tenon
