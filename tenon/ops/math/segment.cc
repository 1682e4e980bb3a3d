// SegmentSum, Mean, Prod, Max, Min and their second versions: neighbouring rows combined by
// segment id; ids rise.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/extremum.h"
#include "tenon/ops/math/value.h"

namespace tenon {

using kernels::BinaryOp;

namespace {

Status sorted_segment_shape(ShapeContext& c) {
  const PartialShape& data = c.input(0);
  const PartialShape& ids = c.input(1);
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  int64_t segments = -1;
  if (c.num_inputs() > 2 && c.constant(2)) {
    if (c.constant(2)->num_elements() != 1) {
      return invalid_argument("num_segments should be a scalar, not shape ",
                              c.constant(2)->shape());
    }
    segments = integer_at(*c.constant(2), 0);
    if (segments < 0) return invalid_argument("num_segments ", segments, " must not be negative");
  }
  if (!data.has_rank()) return unknown_shape(c);
  if (ids.has_rank() && ids[0] >= 0 && data[0] >= 0 && ids[0] != data[0]) {
    return invalid_argument("segment_ids should be the same size as dimension 0 of input: ", ids[0],
                            " and ", data[0]);
  }
  PartialShape y = data;
  y.set(0, segments);
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Where each run of equal ids begins, and the end. INVALID_ARGUMENT unless ids rise from 0 on and
// stay below `limit` (none when negative).
template <class Index>
StatusOr<std::vector<int64_t>> segment_runs(std::span<const Index> ids, int64_t limit) {
  std::vector<int64_t> begins;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i > 0 && ids[i] < ids[i - 1]) return invalid_argument("segment ids are not increasing");
    if (ids[i] < 0) return invalid_argument("segment ids must be >= 0, found ", ids[i]);
    if (limit >= 0 && ids[i] >= limit) {
      return invalid_argument("Segment id ", ids[i], " out of range [0, ", limit,
                              "), possibly because 'segment_ids' input is not sorted.");
    }
    if (i == 0 || ids[i] != ids[i - 1]) begins.push_back(static_cast<int64_t>(i));
  }
  begins.push_back(static_cast<int64_t>(ids.size()));
  return begins;
}

enum class Combine : uint8_t { kSum, kMean, kProd, kMax, kMin };

// Takes a row, then what the rows before it came to.
kernels::BinaryKernel find_combine(Combine combine, DType dtype) {
  switch (combine) {
    case Combine::kProd:
      return kernels::find_binary(BinaryOp::kMul, dtype);
    case Combine::kMax:
    case Combine::kMin:
      return kernels::find_extremum(combine == Combine::kMax, dtype);
    default:
      return kernels::find_binary(BinaryOp::kAdd, dtype);
  }
}

// What a segment without rows holds: the first version writes 0 where the second writes the
// extremum of the dtype.
template <class T>
T value_of_empty(Combine combine, bool second_version) {
  if (combine == Combine::kProd) return T(1);
  if constexpr (requires { std::numeric_limits<T>::lowest(); }) {
    if (second_version && combine == Combine::kMax) return std::numeric_limits<T>::lowest();
    if (second_version && combine == Combine::kMin) return std::numeric_limits<T>::max();
  }
  return T{};
}

template <class T>
void divide_row(T* row, int64_t inner, int64_t count) {
  for (int64_t i = 0; i < inner; ++i) {
    if constexpr (is_floating(dtype_of<T>) && sizeof(T) == 2) {
      row[i] = T(static_cast<float>(row[i]) / static_cast<float>(count));
    } else {
      row[i] = static_cast<T>(row[i] / static_cast<T>(count));
    }
  }
}

template <class T, class Index>
Kernel sorted_segment_kernel(Combine combine, kernels::BinaryKernel add, const Shape& data,
                             bool second_version) {
  const int64_t inner = data.product(1, data.rank());
  return [=](KernelRun& r) -> Status {
    const auto ids = r.input(1).span<Index>();
    const int64_t limit = second_version ? integer_at(r.input(2), 0) : -1;
    TENON_ASSIGN_OR_RETURN(const std::vector<int64_t> begins, segment_runs(ids, limit));
    int64_t segments = second_version ? limit : 0;
    if (!second_version && !ids.empty()) {
      TENON_ASSIGN_OR_RETURN(segments, add_dims(static_cast<int64_t>(ids.back()), 1));
    }
    Shape shape = data;
    shape.set(0, segments);
    TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), sizeof(T)).status());
    TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
    const T* x = r.in<T>(0);
    T* y = r.out<T>(0);
    const auto runs = static_cast<int64_t>(begins.size()) - 1;
    if (runs < segments) {
      std::fill_n(y, segments * inner, value_of_empty<T>(combine, second_version));
    }
    const int64_t rows_a_run = runs > 0 ? static_cast<int64_t>(ids.size()) / runs : 1;
    parallel_for(runs, kernels::grain_of(inner * rows_a_run), [&](int64_t first, int64_t last) {
      for (int64_t run = first; run < last; ++run) {
        const int64_t begin = begins[static_cast<size_t>(run)];
        const int64_t end = begins[static_cast<size_t>(run) + 1];
        T* to = y + static_cast<int64_t>(ids[static_cast<size_t>(begin)]) * inner;
        std::copy_n(x + begin * inner, inner, to);
        for (int64_t i = begin + 1; i < end; ++i) add(x + i * inner, 1, to, 1, to, inner);
        if (combine == Combine::kMean) divide_row(to, inner, end - begin);
      }
    });
    return absl::OkStatus();
  };
}

template <Combine combine>
StatusOr<Kernel> make_sorted_segment(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  const kernels::BinaryKernel add = find_combine(combine, dtype);
  Kernel kernel;
  visit<NumericTypes>(dtype, [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
      if (add) {
        kernel =
            sorted_segment_kernel<T, Index>(combine, add, p.input_shape(0), p.num_inputs() > 2);
      }
    });
  });
  if (!kernel) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  return kernel;
}

// math_grad.py: _SegmentSumGrad, _SegmentMeanGrad, _SegmentProdGrad, _SegmentMinOrMaxGrad.
Value rows_of(Gradient& g, Value segments) {
  GraphBuilder& b = g.build();
  return {&b, b.op("GatherV2", {segments, g.input(1), b.scalar<int32_t>(0)})};
}

// The op of a family in the version of the node.
Value same_version(Gradient& g, std::string_view family, Endpoint data) {
  GraphBuilder& b = g.build();
  const bool second = g.num_inputs() > 2;
  std::vector<Endpoint> inputs{data, g.input(1)};
  if (second) inputs.push_back(g.input(2));
  return {&b, b.op(cat(family, second ? "V2" : ""), inputs)};
}

Status sorted_sum_gradient(Gradient& g) {
  g.set_dx(0, rows_of(g, {&g.build(), g.dy()}));
  return absl::OkStatus();
}

Status sorted_mean_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value dy{b, g.dy()};
  if (!g.input_shape(0).has_rank()) {
    return unimplemented("the gradient of SegmentMean needs an input of known rank");
  }
  // A count for each segment, as a column.
  std::vector<int64_t> column(static_cast<size_t>(g.input_shape(0).rank()), 1);
  column[0] = -1;
  const Endpoint ones = b->op("Fill", {b->shape_of(g.input(1)), dy.like(1)});
  const Value counts{b, b->reshape(same_version(g, "SegmentSum", ones), column)};
  g.set_dx(0, rows_of(g, apply("DivNoNan", dy, counts)));
  return absl::OkStatus();
}

Status sorted_extremum_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)}, dy{b, g.dy()};
  const Value chosen = apply("Equal", x, rows_of(g, {b, g.output(0)}));
  const Value count = same_version(g, "SegmentSum", cast(chosen, dy.dtype()));
  const Value shared = rows_of(g, apply("DivNoNan", dy, count));
  g.set_dx(0, select(chosen, shared, zeros_like(shared)));
  return absl::OkStatus();
}

Status sorted_prod_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)};
  Value dy{b, g.dy()};
  const Value is_zero = apply("Equal", x, x.like(0));
  const Value zeros = same_version(g, "SegmentSum", cast(is_zero, DType::kInt32));
  dy = select(apply("Greater", zeros, zeros.like(1)), zeros_like(dy), dy);
  const Value without = same_version(g, "SegmentProd", select(is_zero, x.like(1), x));
  const Value partial = select(is_zero, rows_of(g, without), rows_of(g, {b, g.output(0)}) / x);
  g.set_dx(0, rows_of(g, dy) * partial);
  return absl::OkStatus();
}

template <Combine combine>
constexpr OpDecl sorted_segment(AttrsText attrs, GradientFn gradient) {
  return {
      .inputs = "data: T, segment_ids: Tindices",
      .outputs = "output: T",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = sorted_segment_shape,
      .gradient = gradient,
      .kernels = {make_sorted_segment<combine>},
  };
}
template <Combine combine>
constexpr OpDecl sorted_segment_v2(AttrsText attrs, GradientFn gradient) {
  OpDecl decl = sorted_segment<combine>(attrs, gradient);
  decl.inputs = "data: T, segment_ids: Tindices, num_segments: Tnumsegments";
  decl.host_inputs = {2};
  return decl;
}

#define TENON_SEGMENT_NUMERIC \
  "T: {numeric, qint8, quint8, qint32, qint16, quint16}; Tindices: {int32, int64}"
#define TENON_SEGMENT_REAL "T: {real}; Tindices: {int32, int64}"
#define TENON_SEGMENT_COUNT "; Tnumsegments: {int32, int64} = int32"

}  // namespace

TENON_OP(SegmentSum) = sorted_segment<Combine::kSum>(TENON_SEGMENT_NUMERIC, sorted_sum_gradient);
TENON_OP(SegmentMean) = sorted_segment<Combine::kMean>(TENON_SEGMENT_NUMERIC, sorted_mean_gradient);
TENON_OP(SegmentProd) = sorted_segment<Combine::kProd>(TENON_SEGMENT_NUMERIC, sorted_prod_gradient);
TENON_OP(SegmentMax) = sorted_segment<Combine::kMax>(TENON_SEGMENT_REAL, sorted_extremum_gradient);
TENON_OP(SegmentMin) = sorted_segment<Combine::kMin>(TENON_SEGMENT_REAL, sorted_extremum_gradient);
TENON_OP(SegmentSumV2) = sorted_segment_v2<Combine::kSum>(TENON_SEGMENT_NUMERIC TENON_SEGMENT_COUNT,
                                                          sorted_sum_gradient);
TENON_OP(SegmentProdV2) = sorted_segment_v2<Combine::kProd>(
    TENON_SEGMENT_NUMERIC TENON_SEGMENT_COUNT, sorted_prod_gradient);
TENON_OP(SegmentMaxV2) = sorted_segment_v2<Combine::kMax>(TENON_SEGMENT_REAL TENON_SEGMENT_COUNT,
                                                          sorted_extremum_gradient);
TENON_OP(SegmentMinV2) = sorted_segment_v2<Combine::kMin>(TENON_SEGMENT_REAL TENON_SEGMENT_COUNT,
                                                          sorted_extremum_gradient);

#undef TENON_SEGMENT_COUNT
#undef TENON_SEGMENT_REAL
#undef TENON_SEGMENT_NUMERIC

}  // namespace tenon
