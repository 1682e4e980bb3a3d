// ReverseSequence: the first elements of an axis backwards, how many is given for each batch item.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status reverse_sequence_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const auto seq = c.attr<int64_t>("seq_dim"), batch = c.attr<int64_t>("batch_dim");
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (seq == batch) return invalid_argument("batch_dim == seq_dim == ", seq);
  if (seq < 0 || batch < 0) {
    return invalid_argument("seq_dim ", seq, " and batch_dim ", batch, " must not be negative");
  }
  if (x.has_rank()) {
    if (seq >= x.rank() || batch >= x.rank()) {
      return invalid_argument("seq_dim ", seq, " and batch_dim ", batch, " must be below ",
                              x.rank(), ", the rank of the input");
    }
    const int64_t items = x[static_cast<int>(batch)];
    const int64_t lengths = c.input(1).has_rank() ? c.input(1)[0] : -1;
    if (items >= 0 && lengths >= 0 && items != lengths) {
      return invalid_argument("Length of seq_lengths != input.dims(", batch, "), (", lengths,
                              " vs. ", items, ")");
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

StatusOr<Kernel> make_reverse_sequence(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const auto seq = static_cast<int>(p.attr<int64_t>("seq_dim"));
  const auto batch = static_cast<int>(p.attr<int64_t>("batch_dim"));
  const int low = std::min(seq, batch), high = std::max(seq, batch);
  const int64_t middle = x.product(low + 1, high), outer = x.product(0, low);
  const int64_t inner = x.product(high + 1, x.rank());
  const int64_t size_low = x[low], size_high = x[high];
  const size_t bytes = static_cast<size_t>(inner) * size_of(p.input_dtype(0));
  const bool seq_first = seq < batch;
  const int64_t limit = x[seq];
  const bool empty = x.num_elements() == 0;
  // A row is everything behind the first of the two axes.
  return Kernel([=](KernelRun& r) -> Status {
    const std::vector<int64_t> lengths = integers_of(r.input(1));
    for (size_t i = 0; i < lengths.size(); ++i) {
      if (lengths[i] < 0 || lengths[i] > limit) {
        return invalid_argument("seq_lens(", i, ") = ", lengths[i], ", it must be in [0, ", limit,
                                "]");
      }
    }
    if (empty) return absl::OkStatus();
    const char* from = r.in<char>(0);
    char* to = r.out<char>(0);
    const auto mirrored = [&](int64_t i, int64_t item) {
      const int64_t length = lengths[static_cast<size_t>(item)];
      return i < length ? length - 1 - i : i;
    };
    const auto at = [&](int64_t o, int64_t i, int64_t m, int64_t j) {
      return static_cast<size_t>(((o * size_low + i) * middle + m) * size_high + j) * bytes;
    };
    parallel_for(outer * size_low, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t o = row / size_low, i = row % size_low;
        for (int64_t m = 0; m < middle; ++m) {
          for (int64_t j = 0; j < size_high; ++j) {
            const size_t source =
                seq_first ? at(o, mirrored(i, j), m, j) : at(o, i, m, mirrored(j, i));
            std::memcpy(to + at(o, i, m, j), from + source, bytes);
          }
        }
      }
    });
    own_elements(r, 0, 0);
    return absl::OkStatus();
  });
}

Rows reverse_sequence_rows(const ShapeContext& c) {
  return c.attr<int64_t>("batch_dim") == 0 ? Rows::kIndependent : Rows::kMixed;
}

Status reverse_sequence_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("ReverseSequence", {g.dy(), g.input(1)},
                           {{"seq_dim", g.attr<int64_t>("seq_dim")},
                            {"batch_dim", g.attr<int64_t>("batch_dim")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(ReverseSequence) = {
    .inputs = "input: T, seq_lengths: Tlen",
    .outputs = "output: T",
    .attrs = "seq_dim: int; batch_dim: int = 0; T: type; Tlen: {int32, int64} = int64",
    .shape = reverse_sequence_shape,
    .rows = reverse_sequence_rows,
    .gradient = reverse_sequence_gradient,
    .kernels = {make_reverse_sequence},
};

}  // namespace tenon
