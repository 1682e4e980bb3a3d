// UnsortedSegmentSum, Prod, Max, Min: rows combined by segment id; negative ids are dropped.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/extremum.h"
#include "tenon/ops/math/value.h"

namespace tenon {

using kernels::BinaryOp;

namespace {

Status unsorted_segment_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  const PartialShape& data = c.input(0);
  const PartialShape& ids = c.input(1);
  const Tensor* segments = c.constant(2);
  const int64_t count = segments ? integer_at(*segments, 0) : -1;
  if (segments && count < 0) {
    return invalid_argument("Input num_segments == ", count, " must not be negative.");
  }
  if (!data.has_rank() || !ids.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  bool fits = ids.rank() <= data.rank();
  for (int axis = 0; fits && axis < ids.rank(); ++axis) {
    fits = ids[axis] < 0 || data[axis] < 0 || ids[axis] == data[axis];
  }
  if (!fits) {
    return invalid_argument("data.shape = ", data,
                            " does not start with segment_ids.shape = ", ids);
  }
  std::vector<int64_t> y{count};
  for (int axis = ids.rank(); axis < data.rank(); ++axis) y.push_back(data[axis]);
  PartialShape shape{std::span<const int64_t>(y)};
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// What an empty segment holds.
template <class T>
T neutral(BinaryOp op) {
  if (op == BinaryOp::kMul) return T(1);
  if constexpr (requires { std::numeric_limits<T>::lowest(); }) {
    if (op == BinaryOp::kMaximum) return std::numeric_limits<T>::lowest();
    if (op == BinaryOp::kMinimum) return std::numeric_limits<T>::max();
  }
  return T{};
}

struct SegmentSizes {
  int64_t rows, inner, segments;
};

template <class Index>
Status check_segment_ids(const Index* ids, const SegmentSizes& s) {
  for (int64_t i = 0; i < s.rows; ++i) {
    if (ids[i] >= s.segments) {
      return invalid_argument("segment_ids[", i, "] = ", ids[i], " is out of range [0, ",
                              s.segments, ")");
    }
  }
  return absl::OkStatus();
}

template <class T, class Index>
Kernel segment_kernel(kernels::BinaryKernel combine, T start, const SegmentSizes& s) {
  return [=](KernelRun& r) -> Status {
    const Index* ids = r.in<Index>(1);
    const T* x = r.in<T>(0);
    T* y = r.out<T>(0);
    std::fill_n(y, s.segments * s.inner, start);
    if (s.inner == 0) return absl::OkStatus();  // TensorFlow looks at no ids without data
    TENON_RETURN_IF_ERROR(check_segment_ids(ids, s));
    // Threads share the columns: every segment gets its rows in their order.
    const int64_t grain = std::max<int64_t>(16, kernels::grain_of(s.rows));
    parallel_for(s.inner, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < s.rows; ++i) {
        if (ids[i] < 0) continue;
        T* to = y + static_cast<int64_t>(ids[i]) * s.inner + begin;
        combine(x + i * s.inner + begin, 1, to, 1, to, end - begin);
      }
    });
    return absl::OkStatus();
  };
}

template <BinaryOp op>
StatusOr<Kernel> make_unsorted_segment(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  const bool extremum = op == BinaryOp::kMaximum || op == BinaryOp::kMinimum;
  const kernels::BinaryKernel combine =
      extremum ? kernels::find_extremum(op == BinaryOp::kMaximum, dtype)
               : kernels::find_binary(op, dtype);
  const Shape& data = p.input_shape(0);
  const Shape& ids = p.input_shape(1);
  const SegmentSizes sizes{ids.num_elements(), data.product(ids.rank(), data.rank()),
                           integer_at(*p.constant(2), 0)};
  Kernel kernel;
  visit<NumericTypes>(dtype, [&]<class T>() {
    visit<TypeList<int16_t, int32_t, int64_t>>(p.input_dtype(1), [&]<class Index>() {
      if (combine) kernel = segment_kernel<T, Index>(combine, neutral<T>(op), sizes);
    });
  });
  if (!kernel) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  return kernel;
}

// `x` with dimensions of size 1 behind its own, as many as `like` has more.
Endpoint with_trailing_ones(GraphBuilder& b, Endpoint x, Endpoint like) {
  const Endpoint more = b.sub(b.op("Rank", {like}), b.op("Rank", {x}));
  const Endpoint count = b.op("ExpandDims", {more, b.scalar(int32_t{0})});
  const Endpoint ones = b.op("Fill", {count, b.scalar(int32_t{1})});
  const Endpoint shape = b.concat({b.shape_of(x), ones}, 0);
  return b.reshape(x, shape);
}

// Rows of `segments` by id; `keep` is false (and the row zero) where the id is negative.
// math_grad.py, _GatherDropNegatives.
struct Gathered {
  Value rows, keep;
};
Gathered gather_segments(Gradient& g, Value segments) {
  GraphBuilder* b = segments.builder;
  const Value ids{b, g.input(1)};
  const Value clipped = apply("Maximum", ids, ids.like(0));
  Value rows{b, b->op("GatherV2", {segments, clipped, b->scalar<int32_t>(0)})};
  Value keep = apply("GreaterEqual", ids, ids.like(0));
  if (g.input_shape(0).has_rank() && g.input_shape(1).has_rank()) {
    const int missing = g.input_shape(0).rank() - g.input_shape(1).rank();
    for (int i = 0; i < missing; ++i) {
      keep = {b, b->op("ExpandDims", {keep, b->scalar<int32_t>(-1)})};
    }
  } else {
    keep = {b, with_trailing_ones(*b, keep, g.input(0))};
  }
  return {select(keep, rows, rows.like(0)), keep};
}

Status segment_sum_gradient(Gradient& g) {
  g.set_dx(0, gather_segments(g, {&g.build(), g.dy()}).rows);
  return absl::OkStatus();
}

// The elements that equal the extremum share its gradient.
Status segment_extremum_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Gathered y = gather_segments(g, {b, g.output(0)});
  const Value chosen = apply("LogicalAnd", apply("Equal", {b, g.input(0)}, y.rows), y.keep);
  const Value dy{b, g.dy()};
  const Value count{
      b, b->op("UnsortedSegmentSum", {cast(chosen, dy.dtype()), g.input(1), g.input(2)})};
  const Value shared = gather_segments(g, dy / count).rows;
  g.set_dx(0, select(chosen, shared, shared.like(0)));
  return absl::OkStatus();
}

// The product of the others: the whole divided by x, or where x is 0 the product of the rest.
// math_grad.py, _UnsortedSegmentProdGrad.
Status segment_prod_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)}, ids{b, g.input(1)};
  Value dy{b, g.dy()};
  const Value is_zero = apply("Equal", x, x.like(0));
  const Value zeros{b,
                    b->op("UnsortedSegmentSum", {cast(is_zero, DType::kInt32), ids, g.input(2)})};
  dy = select(apply("Greater", zeros, zeros.like(1)), dy.like(0), dy);
  const Value without{
      b, b->op("UnsortedSegmentProd", {select(is_zero, x.like(1), x), ids, g.input(2)})};
  const Value rest = gather_segments(g, without).rows;
  const Value whole = gather_segments(g, {b, g.output(0)}).rows;
  const Value partial = select(is_zero, rest, whole / x);
  g.set_dx(0, gather_segments(g, dy).rows * partial);
  return absl::OkStatus();
}

template <BinaryOp op>
constexpr OpDecl unsorted_segment(AttrsText attrs, GradientFn gradient) {
  return {
      .inputs = "data: T, segment_ids: Tindices, num_segments: Tnumsegments",
      .outputs = "output: T",
      .attrs = attrs,
      .host_inputs = {2},
      .shape = unsorted_segment_shape,
      .gradient = gradient,
      .kernels = {make_unsorted_segment<op>},
  };
}

}  // namespace

TENON_OP(UnsortedSegmentSum) = unsorted_segment<BinaryOp::kAdd>(
    "T: {numeric, qint8, quint8, qint32, qint16, quint16}; Tindices: {int16, int32, int64}; "
    "Tnumsegments: {int32, int64} = int32",
    segment_sum_gradient);
TENON_OP(UnsortedSegmentProd) = unsorted_segment<BinaryOp::kMul>(
    "T: {numeric, qint8, quint8, qint32, qint16, quint16}; Tindices: {int32, int64}; "
    "Tnumsegments: {int32, int64} = int32",
    segment_prod_gradient);
TENON_OP(UnsortedSegmentMax) = unsorted_segment<BinaryOp::kMaximum>(
    "T: {real}; Tindices: {int32, int64}; Tnumsegments: {int32, int64} = int32",
    segment_extremum_gradient);
TENON_OP(UnsortedSegmentMin) = unsorted_segment<BinaryOp::kMinimum>(
    "T: {real}; Tindices: {int32, int64}; Tnumsegments: {int32, int64} = int32",
    segment_extremum_gradient);

}  // namespace tenon
