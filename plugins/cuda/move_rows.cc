// Ops that move elements: transposes, parts, joins, gathers.
#include <algorithm>
#include <numeric>

#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

using Dims = std::vector<int64_t>;

Dims steps_of(const Dims& dims) {
  Dims steps(dims.size(), 1);
  for (size_t axis = dims.size(); axis-- > 1;) steps[axis - 1] = steps[axis] * dims[axis];
  return steps;
}

// One move of a node: from input `x` at element `from` to output `y` at element `to`.
struct Move {
  int32_t x = 0, y = 0;
  int64_t from = 0, to = 0;
  MoveShape shape;
};

// Axes that both sides walk on through become one. False for too many axes.
bool add_move(std::vector<Move>& moves, Move move, const Dims& dims, const Dims& x_steps,
              const Dims& y_steps) {
  MoveShape& s = move.shape;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] == 1) continue;
    const int last = s.rank - 1;
    const bool joins = last >= 0 && s.x_strides[last] == x_steps[axis] * dims[axis] &&
                       s.y_strides[last] == y_steps[axis] * dims[axis];
    if (!joins && s.rank == kMostAxes) return false;
    const int at = joins ? last : s.rank++;
    s.dims[at] = joins ? s.dims[at] * dims[axis] : dims[axis];
    s.x_strides[at] = x_steps[axis];
    s.y_strides[at] = y_steps[axis];
  }
  moves.push_back(move);
  return true;
}

TenonStatus* run_moves(size_t width, std::vector<Move> moves, RunFunction& run) {
  if (width == 0) return unimplemented("elements of this dtype");
  run = [width, moves = std::move(moves)](TenonRun* r) -> TenonStatus* {
    const cudaStream_t stream = enqueue(r);
    for (const Move& one : moves) {
      const auto step = static_cast<int64_t>(width);
      if (TenonStatus* status =
              status_of(move(stream, width, one.shape, input<char>(r, one.x) + one.from * step,
                             output<char>(r, one.y) + one.to * step),
                        "moving elements")) {
        return status;
      }
    }
    return nullptr;
  };
  return nullptr;
}

size_t width_of(const TenonPrepare* prepare) {
  return size_of(host->prepare_output(prepare, 0).dtype);
}
TenonStatus* not_this() { return unimplemented("parts that are not known, or too many axes"); }

// An axis of `rank`, -1 the last; false when there is none such.
bool find_axis(const TenonPrepare* prepare, int32_t index, int64_t rank, size_t& axis) {
  Dims values;
  if (!constant_integers(prepare, index, values) || values.size() != 1) return false;
  const int64_t found = values[0] < 0 ? values[0] + rank : values[0];
  axis = static_cast<size_t>(found);
  return found >= 0 && found < rank;
}

TenonStatus* prepare_transpose(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, 0));
  const Dims y = dims_of(host->prepare_output(prepare, 0));
  Dims order, steps;
  if (!constant_integers(prepare, 1, order) || order.size() != x.size()) return not_this();
  const Dims x_steps = steps_of(x);
  const auto rank = static_cast<int64_t>(x.size());
  for (int64_t axis : order) {
    if (axis < -rank || axis >= rank) return not_this();
    steps.push_back(x_steps[static_cast<size_t>(axis < 0 ? axis + rank : axis)]);
  }
  std::vector<Move> moves;
  if (!add_move(moves, {}, y, steps, steps_of(y))) return not_this();
  return run_moves(width_of(prepare), std::move(moves), run);
}

// The same bytes as another dtype of the same size.
TenonStatus* prepare_bitcast(TenonPrepare* prepare, RunFunction& run) {
  if (size_of(host->prepare_input(prepare, 0).dtype) != width_of(prepare)) {
    return unimplemented("elements of another size");
  }
  const Dims dims = dims_of(host->prepare_output(prepare, 0)), steps = steps_of(dims);
  std::vector<Move> moves;
  if (!add_move(moves, {}, dims, steps, steps)) return not_this();
  return run_moves(width_of(prepare), std::move(moves), run);
}

// values..., axis.
TenonStatus* prepare_concat(TenonPrepare* prepare, RunFunction& run) {
  const Dims y = dims_of(host->prepare_output(prepare, 0)), y_steps = steps_of(y);
  const int32_t count = host->prepare_num_inputs(prepare) - 1;
  size_t axis = 0;
  if (!find_axis(prepare, count, static_cast<int64_t>(y.size()), axis)) return not_this();
  std::vector<Move> moves;
  int64_t place = 0;
  for (int32_t i = 0; i < count; ++i) {
    const Dims x = dims_of(host->prepare_input(prepare, i));
    if (x.size() != y.size()) return not_this();
    Move move{i, 0, 0, place * y_steps[axis], {}};
    if (!add_move(moves, move, x, steps_of(x), y_steps)) return not_this();
    place += x[axis];
  }
  return run_moves(width_of(prepare), std::move(moves), run);
}

// Parts of input `x` along the axis that input `axis_input` names, one for each output.
template <int x_input, int axis_input>
TenonStatus* prepare_split(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, x_input)), x_steps = steps_of(x);
  size_t axis = 0;
  if (!find_axis(prepare, axis_input, static_cast<int64_t>(x.size()), axis)) return not_this();
  std::vector<Move> moves;
  int64_t place = 0;
  for (int32_t i = 0; i < host->prepare_num_outputs(prepare); ++i) {
    const Dims y = dims_of(host->prepare_output(prepare, i));
    Move move{x_input, i, place * x_steps[axis], 0, {}};
    if (!add_move(moves, move, y, x_steps, steps_of(y))) return not_this();
    place += y[axis];
  }
  return run_moves(width_of(prepare), std::move(moves), run);
}

// Pack and Unpack: `axis` is an axis of the packed tensor.
template <bool unpack>
TenonStatus* prepare_pack(TenonPrepare* prepare, RunFunction& run) {
  const Dims packed =
      dims_of(unpack ? host->prepare_input(prepare, 0) : host->prepare_output(prepare, 0));
  const Dims part =
      dims_of(unpack ? host->prepare_output(prepare, 0) : host->prepare_input(prepare, 0));
  int64_t axis = int_attr(prepare, "axis", 0);
  if (axis < 0) axis += static_cast<int64_t>(packed.size());
  if (axis < 0 || axis >= static_cast<int64_t>(packed.size())) return not_this();
  Dims steps = steps_of(packed);
  const int64_t step = steps[static_cast<size_t>(axis)];
  steps.erase(steps.begin() + axis);
  std::vector<Move> moves;
  const int32_t count =
      unpack ? host->prepare_num_outputs(prepare) : host->prepare_num_inputs(prepare);
  for (int32_t i = 0; i < count; ++i) {
    const Move move = unpack ? Move{0, i, i * step, 0, {}} : Move{i, 0, 0, i * step, {}};
    if (!add_move(moves, move, part, unpack ? steps : steps_of(part),
                  unpack ? steps_of(part) : steps)) {
      return not_this();
    }
  }
  return run_moves(width_of(prepare), std::move(moves), run);
}

TenonStatus* prepare_slice(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, 0)), x_steps = steps_of(x);
  const Dims y = dims_of(host->prepare_output(prepare, 0));
  Dims begin;
  if (!constant_integers(prepare, 1, begin) || begin.size() != x.size()) return not_this();
  const int64_t from = std::inner_product(begin.begin(), begin.end(), x_steps.begin(), int64_t{0});
  std::vector<Move> moves;
  if (!add_move(moves, {0, 0, from, 0, {}}, y, x_steps, steps_of(y))) return not_this();
  return run_moves(width_of(prepare), std::move(moves), run);
}

// Without ellipsis and new axes.
// The elements of an image that a strided slice takes: where they begin, and by what steps they go
// on along the axes of the part. Begin and strides are inputs 1 and 3.
struct StridedPart {
  int64_t first = 0;
  Dims dims, steps;
};
bool read_strided_part(const TenonPrepare* prepare, const Dims& image, const Dims& part,
                       StridedPart& read) {
  Dims begin, strides, steps = steps_of(image);
  if (!constant_integers(prepare, 1, begin) || !constant_integers(prepare, 3, strides) ||
      begin.size() > image.size() || int_attr(prepare, "ellipsis_mask", 0) != 0 ||
      int_attr(prepare, "new_axis_mask", 0) != 0) {
    return false;
  }
  const int64_t begins = int_attr(prepare, "begin_mask", 0);
  const int64_t shrinks = int_attr(prepare, "shrink_axis_mask", 0);
  size_t next = 0;
  for (size_t axis = 0; axis < image.size(); ++axis) {
    const bool named = axis < begin.size();
    const bool shrinks_here = named && (shrinks >> axis & 1);
    const int64_t stride = named ? strides[axis] : 1, last = image[axis] - 1;
    int64_t first = stride < 0 ? last : 0;
    if (named && (shrinks_here || !(begins >> axis & 1))) {
      first = begin[axis] < 0 ? begin[axis] + image[axis] : begin[axis];
      first = std::clamp<int64_t>(first, stride < 0 ? -1 : 0, stride < 0 ? last : image[axis]);
    }
    read.first += first * steps[axis];
    if (shrinks_here) continue;
    if (next >= part.size()) return false;
    read.dims.push_back(part[next++]);
    read.steps.push_back(stride * steps[axis]);
  }
  return next == part.size();
}

TenonStatus* prepare_strided_slice(TenonPrepare* prepare, RunFunction& run) {
  const Dims y = dims_of(host->prepare_output(prepare, 0));
  StridedPart part;
  std::vector<Move> moves;
  if (!read_strided_part(prepare, dims_of(host->prepare_input(prepare, 0)), y, part) ||
      !add_move(moves, {0, 0, part.first, 0, {}}, part.dims, part.steps, steps_of(y))) {
    return not_this();
  }
  return run_moves(width_of(prepare), std::move(moves), run);
}

// Where `moves` write nothing, the output is 0, or what input `value` holds.
TenonStatus* fill_and_move(TenonPrepare* prepare, int32_t value, std::vector<Move> moves,
                           RunFunction& run) {
  RunFunction inside;
  const size_t width = width_of(prepare);
  if (TenonStatus* status = run_moves(width, std::move(moves), inside)) return status;
  const int64_t count = element_count(host->prepare_output(prepare, 0));
  run = [=](TenonRun* r) -> TenonStatus* {
    const void* element = value < 0 ? nullptr : input<void>(r, value);
    if (TenonStatus* status =
            status_of(fill(enqueue(r), width, count, element, output<void>(r, 0)), "filling")) {
      return status;
    }
    return inside(r);
  };
  return nullptr;
}

// shape, begin, end, strides, dy.
TenonStatus* prepare_strided_slice_gradient(TenonPrepare* prepare, RunFunction& run) {
  const Dims dy = dims_of(host->prepare_input(prepare, 4));
  StridedPart part;
  std::vector<Move> moves;
  if (!read_strided_part(prepare, dims_of(host->prepare_output(prepare, 0)), dy, part) ||
      !add_move(moves, {4, 0, 0, part.first, {}}, part.dims, steps_of(dy), part.steps)) {
    return not_this();
  }
  return fill_and_move(prepare, -1, std::move(moves), run);
}

TenonStatus* prepare_tile(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, 0)), x_steps = steps_of(x);
  const Dims y_steps = steps_of(dims_of(host->prepare_output(prepare, 0)));
  Dims times, dims, from, to;
  if (!constant_integers(prepare, 1, times) || times.size() != x.size()) return not_this();
  for (size_t axis = 0; axis < x.size(); ++axis) {
    dims.insert(dims.end(), {times[axis], x[axis]});
    from.insert(from.end(), {0, x_steps[axis]});
    to.insert(to.end(), {y_steps[axis] * x[axis], y_steps[axis]});
  }
  std::vector<Move> moves;
  if (!add_move(moves, {}, dims, from, to)) return not_this();
  return run_moves(width_of(prepare), std::move(moves), run);
}

TenonStatus* prepare_reverse(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, 0));
  Dims axes, steps = steps_of(x);
  if (!constant_integers(prepare, 1, axes)) return not_this();
  const auto rank = static_cast<int64_t>(x.size());
  int64_t from = 0;
  for (int64_t each : axes) {
    if (each < -rank || each >= rank) return not_this();
    const auto axis = static_cast<size_t>(each < 0 ? each + rank : each);
    if (x[axis] == 0) return not_this();
    from += (x[axis] - 1) * steps[axis];
    steps[axis] = -steps[axis];
  }
  std::vector<Move> moves;
  if (!add_move(moves, {0, 0, from, 0, {}}, x, steps, steps_of(x))) return not_this();
  return run_moves(width_of(prepare), std::move(moves), run);
}

// PadV2's value is on the device; Pad's is 0.
TenonStatus* prepare_pad(TenonPrepare* prepare, RunFunction& run) {
  const Dims x = dims_of(host->prepare_input(prepare, 0));
  const Dims y_steps = steps_of(dims_of(host->prepare_output(prepare, 0)));
  Dims paddings;
  if (!constant_integers(prepare, 1, paddings) || paddings.size() != 2 * x.size()) {
    return not_this();
  }
  int64_t to = 0;
  for (size_t axis = 0; axis < x.size(); ++axis) to += paddings[2 * axis] * y_steps[axis];
  std::vector<Move> moves;
  if (!add_move(moves, {0, 0, 0, to, {}}, x, steps_of(x), y_steps)) return not_this();
  return fill_and_move(prepare, host->prepare_num_inputs(prepare) > 2 ? 2 : -1, std::move(moves),
                       run);
}

// params, indices, axis.
TenonStatus* prepare_gather(TenonPrepare* prepare, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0), indices = host->prepare_input(prepare, 1);
  size_t axis = 0;
  if (!find_axis(prepare, 2, x.rank, axis) || int_attr(prepare, "batch_dims", 0) != 0 ||
      (indices.dtype != kInt32 && indices.dtype != kInt64)) {
    return not_this();
  }
  int64_t outer = 1, bytes = static_cast<int64_t>(size_of(x.dtype));
  for (size_t i = 0; i < axis; ++i) outer *= x.dims[i];
  for (size_t i = axis + 1; i < static_cast<size_t>(x.rank); ++i) bytes *= x.dims[i];
  if (bytes % 4 != 0 || size_of(x.dtype) == 0) return unimplemented("rows of odd bytes");
  const int64_t rows = x.dims[axis], count = element_count(indices);
  run = [=, dtype = indices.dtype](TenonRun* r) {
    return status_of(gather(enqueue(r), dtype, outer, rows, count, bytes, input<void>(r, 0),
                            input<void>(r, 1), output<void>(r, 0)),
                     "a gather");
  };
  return nullptr;
}

// indices, depth, on_value, off_value.
TenonStatus* prepare_one_hot(TenonPrepare* prepare, RunFunction& run) {
  const TenonType indices = host->prepare_input(prepare, 0), y = host->prepare_output(prepare, 0);
  int64_t axis = int_attr(prepare, "axis", -1);
  if (axis < 0) axis += y.rank;
  const size_t width = size_of(y.dtype);
  if (axis < 0 || axis >= y.rank || width == 0 ||
      (indices.dtype != kInt32 && indices.dtype != kInt64)) {
    return not_this();
  }
  int64_t outer = 1, inner = 1;
  for (int64_t i = 0; i < axis; ++i) outer *= y.dims[i];
  for (int64_t i = axis + 1; i < y.rank; ++i) inner *= y.dims[i];
  run = [=, depth = y.dims[axis], dtype = indices.dtype](TenonRun* r) {
    return status_of(one_hot(enqueue(r), width, dtype, outer, depth, inner, input<void>(r, 0),
                             input<void>(r, 2), input<void>(r, 3), output<void>(r, 0)),
                     "a one-hot");
  };
  return nullptr;
}

}  // namespace

void add_move_rows(const AddRow& add) {
  add("Transpose", prepare_transpose);
  add("Bitcast", prepare_bitcast);
  add("ConcatV2", prepare_concat);
  add("Split", prepare_split<1, 0>);
  add("SplitV", prepare_split<0, 2>);
  add("Pack", prepare_pack<false>);
  add("Unpack", prepare_pack<true>);
  add("Slice", prepare_slice);
  add("StridedSlice", prepare_strided_slice);
  add("StridedSliceGrad", prepare_strided_slice_gradient);
  add("Tile", prepare_tile);
  add("ReverseV2", prepare_reverse);
  add("Pad", prepare_pad);
  add("PadV2", prepare_pad);
  add("GatherV2", prepare_gather);
  add("OneHot", prepare_one_hot);
}

}  // namespace plugin::cuda
