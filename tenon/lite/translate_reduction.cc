// Operators along axes: reductions, softmax, cumulative sums.
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

template <int which>
void reduce(OperatorContext& c) {
  constexpr const char* kNames[] = {"Sum", "Mean", "Prod", "Max", "Min", "Any", "All"};
  c.set(0, c.b.op(kNames[which], {c.in(0), c.in(1)},
                  {{"keep_dims", c.options<schema::ReducerOptions>().keep_dims()}}));
}

template <bool largest>
void arg_extreme(OperatorContext& c) {
  const Endpoint axis = c.b.reshape(c.in(1), std::span<const int64_t>());
  c.set(0,
        c.b.op(largest ? "ArgMax" : "ArgMin", {c.in(0), axis}, {{"output_type", c.out_dtype(0)}}));
}

void softmax(OperatorContext& c) {
  const float beta = c.options<schema::SoftmaxOptions>().beta();
  Endpoint logits = c.in(0);
  if (beta != 1) logits = c.b.mul(logits, c.b.scalar_of(c.in_dtype(0), beta));
  c.set(0, c.b.op("Softmax", {logits}));
}

void log_softmax(OperatorContext& c) { c.set(0, c.b.op("LogSoftmax", {c.in(0)})); }

void cumsum(OperatorContext& c) {
  const auto& o = c.options<schema::CumsumOptions>();
  const Endpoint axis = c.b.reshape(c.in(1), std::span<const int64_t>());
  c.set(0, c.b.op("Cumsum", {c.in(0), axis},
                  {{"exclusive", o.exclusive()}, {"reverse", o.reverse()}}));
}

// By the norm along the last axis, which counts as at least 1e-6.
void l2_normalization(OperatorContext& c) {
  const Endpoint x = c.in(0);
  const Endpoint squares =
      c.b.op("Sum", {c.b.op("Square", {x}), c.b.integers({-1})}, {{"keep_dims", true}});
  const Endpoint norm =
      c.b.op("Maximum", {c.b.op("Sqrt", {squares}), c.b.scalar_of(c.in_dtype(0), 1e-6)});
  c.set_activated(c.b.div(x, norm), c.options<schema::L2NormOptions>().fused_activation_function());
}

void rfft_2d(OperatorContext& c) { c.set(0, c.b.op("RFFT2D", {c.in(0), c.in(1)})); }

}  // namespace

TENON_LITE_OPERATOR(ARG_MAX, arg_extreme<true>)
TENON_LITE_OPERATOR(ARG_MIN, arg_extreme<false>)
TENON_LITE_OPERATOR(CUMSUM, cumsum)
TENON_LITE_OPERATOR(L2_NORMALIZATION, l2_normalization)
TENON_LITE_OPERATOR(LOG_SOFTMAX, log_softmax)
TENON_LITE_OPERATOR(MEAN, reduce<1>)
TENON_LITE_OPERATOR(REDUCE_ALL, reduce<6>)
TENON_LITE_OPERATOR(REDUCE_ANY, reduce<5>)
TENON_LITE_OPERATOR(REDUCE_MAX, reduce<3>)
TENON_LITE_OPERATOR(REDUCE_MIN, reduce<4>)
TENON_LITE_OPERATOR(REDUCE_PROD, reduce<2>)
TENON_LITE_OPERATOR(RFFT2D, rfft_2d)
TENON_LITE_OPERATOR(SOFTMAX, softmax)
TENON_LITE_OPERATOR(SUM, reduce<0>)

}  // namespace tenon::lite
