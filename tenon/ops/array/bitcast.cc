#include "tenon/core/shape_context.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// To smaller elements the shape gains a last dimension, to larger ones it loses one.
Status bitcast_shape(ShapeContext& c) {
  const size_t from = size_of(c.attr<DType>("T"));
  const size_t to = size_of(c.attr<DType>("type"));
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  std::vector<int64_t> y(x.dims().begin(), x.dims().end());
  if (from > to) {
    y.push_back(static_cast<int64_t>(from / to));
  } else if (from < to) {
    const auto ratio = static_cast<int64_t>(to / from);
    if (y.empty() || (y.back() >= 0 && y.back() != ratio)) {
      return invalid_argument("Cannot bitcast from ", c.attr<DType>("T"), " to ",
                              c.attr<DType>("type"), ": shape ", x, " must end in ", ratio);
    }
    y.pop_back();
  }
  c.set_output(0, PartialShape(std::span<const int64_t>(y)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Bitcast) = {
    .inputs = "input: T",
    .outputs = "output: type",
    .attrs =
        "T: {numeric, qint8, quint8, qint16, quint16, qint32}; type: {numeric, qint8, "
        "quint8, qint16, quint16, qint32}",
    .shape = bitcast_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient = not_differentiable,
    .kernels = {make_copy},
};

}  // namespace tenon
