#include <numeric>

#include "tests/differential/random_steps.h"

namespace tenon::differential {
namespace {

// Dimensions that may be cut, joined and reordered begin here: the batch stays where it is.
int64_t first_free(const Value& value) { return value.batched() ? 1 : 0; }

int64_t rank_of(const Value& value) { return static_cast<int64_t>(value.dims.size()); }

int64_t elements(const ValueDims& dims, size_t begin) {
  return std::accumulate(dims.begin() + static_cast<std::ptrdiff_t>(begin), dims.end(), int64_t{1},
                         std::multiplies<>());
}

bool movable(const Value& value) {
  return !value.dims.empty() && value.dims.size() <= 5 && value.dtype != DType::kBool;
}

bool has_free_dim(const Value& value) {
  return movable(value) && rank_of(value) > first_free(value);
}

}  // namespace

Value& GraphMaker::moved(Endpoint endpoint, const Value& from, ValueDims dims) {
  return keep(endpoint, from.dtype, std::move(dims), from.bound, from.exact);
}

bool GraphMaker::reshape() {
  Value* const x = pick(has_free_dim);
  if (!x) return false;
  const size_t from = static_cast<size_t>(first_free(*x));
  int64_t rest = elements(x->dims, from);
  ValueDims dims(x->dims.begin(), x->dims.begin() + static_cast<std::ptrdiff_t>(from));
  for (int64_t factor : {2, 4, 5, 3}) {
    if (rest % factor != 0 || rest == factor || !dice_.chance(0.4)) continue;
    dims.push_back(factor);
    rest /= factor;
  }
  dims.push_back(rest);
  Endpoint shape = build_.integers(dims);
  if (x->batched() && dice_.chance(0.4)) {
    // As Keras writes it: the batch out of the value's own shape.
    const Endpoint batch = build_.op("StridedSlice",
                                     {build_.shape_of(x->endpoint), build_.integers({0}),
                                      build_.integers({1}), build_.integers({1})},
                                     {{"shrink_axis_mask", int64_t{1}}});
    std::vector<Endpoint> parts = {batch};
    for (size_t i = 1; i < dims.size(); ++i) {
      parts.push_back(build_.scalar<int32_t>(static_cast<int32_t>(dims[i])));
    }
    shape = build_.op("Pack", parts);
  }
  moved(build_.reshape(use(*x), shape), *x, dims);
  return true;
}

bool GraphMaker::transpose() {
  Value* const x = pick([](const Value& v) { return movable(v) && v.dims.size() >= 2; });
  if (!x) return false;
  std::vector<int64_t> order(x->dims.size());
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = rank_of(*x) - 1; i > first_free(*x); --i) {
    std::swap(order[static_cast<size_t>(i)],
              order[static_cast<size_t>(dice_.between(first_free(*x), i))]);
  }
  ValueDims dims;
  for (int64_t axis : order) dims.push_back(x->dims[static_cast<size_t>(axis)]);
  moved(build_.op("Transpose", {use(*x), build_.integers(order)}), *x, dims);
  return true;
}

bool GraphMaker::expand_or_squeeze() {
  Value* const x = pick(movable);
  if (!x) return false;
  ValueDims dims = x->dims;
  for (int64_t axis = first_free(*x); axis < rank_of(*x); ++axis) {
    if (dims[static_cast<size_t>(axis)] != 1 || !dice_.chance(0.7)) continue;
    dims.erase(dims.begin() + axis);
    moved(build_.op("Squeeze", {use(*x)}, {{"squeeze_dims", std::vector<int64_t>{axis}}}), *x,
          dims);
    return true;
  }
  if (dims.size() >= 5) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x));
  dims.insert(dims.begin() + axis, 1);
  const int64_t written = dice_.chance(0.5) ? axis : axis - rank_of(*x) - 1;
  moved(build_.op("ExpandDims", {use(*x), build_.scalar<int32_t>(static_cast<int32_t>(written))}),
        *x, dims);
  return true;
}

bool GraphMaker::strided_slice() {
  Value* const x = pick(has_free_dim);
  if (!x) return false;
  std::vector<int64_t> begin, end, strides;
  ValueDims dims;
  int64_t begin_mask = 0, end_mask = 0, shrink_mask = 0;
  for (int64_t axis = 0; axis < rank_of(*x); ++axis) {
    const int64_t dim = x->dims[static_cast<size_t>(axis)], bit = int64_t{1} << axis;
    const int64_t kind = dim == kBatch ? 0 : dice_.below(5);
    int64_t from = 0, to = 0, by = 1;
    if (kind <= 1) {
      begin_mask |= bit, end_mask |= bit;
      dims.push_back(dim);
    } else if (kind == 2 && dim > 1) {
      from = dice_.below(dim), to = from + 1;
      shrink_mask |= bit;
    } else if (kind == 3) {
      by = -1, begin_mask |= bit, end_mask |= bit;
      dims.push_back(dim);
    } else {
      from = dice_.below(dim), to = dice_.between(from + 1, dim), by = dice_.between(1, 2);
      dims.push_back((to - from + by - 1) / by);
    }
    begin.push_back(from), end.push_back(to), strides.push_back(by);
  }
  const Endpoint out = build_.op(
      "StridedSlice",
      {use(*x), build_.integers(begin), build_.integers(end), build_.integers(strides)},
      {{"begin_mask", begin_mask}, {"end_mask", end_mask}, {"shrink_axis_mask", shrink_mask}});
  moved(out, *x, dims);
  return true;
}

bool GraphMaker::pad() {
  Value* const x = pick([](const Value& v) {
    return has_free_dim(v) && v.dtype == DType::kFloat && elements(v.dims, 1) < 4000;
  });
  if (!x) return false;
  std::vector<int32_t> paddings;
  ValueDims dims = x->dims;
  const bool mirror = dice_.chance(0.3);
  for (int64_t axis = 0; axis < rank_of(*x); ++axis) {
    int64_t& dim = dims[static_cast<size_t>(axis)];
    const int64_t most = dim == kBatch ? 0 : mirror ? std::min<int64_t>(dim - 1, 2) : 2;
    const int64_t before = dice_.between(0, most), after = dice_.between(0, most);
    if (dim != kBatch) dim += before + after;
    paddings.push_back(static_cast<int32_t>(before));
    paddings.push_back(static_cast<int32_t>(after));
  }
  const Endpoint widths = build_.constant(
      Tensor::from<int32_t>(Shape{rank_of(*x), 2}, std::span<const int32_t>(paddings)));
  const Endpoint out =
      mirror ? build_.op("MirrorPad", {use(*x), widths}, {{"mode", std::string("REFLECT")}})
             : build_.op("Pad", {use(*x), widths});
  moved(out, *x, dims);
  return true;
}

bool GraphMaker::tile() {
  Value* const x =
      pick([](const Value& v) { return has_free_dim(v) && elements(v.dims, 1) < 1000; });
  if (!x) return false;
  std::vector<int64_t> times;
  ValueDims dims = x->dims;
  for (int64_t& dim : dims) {
    times.push_back(dim == kBatch ? 1 : dice_.between(1, 2));
    if (dim != kBatch) dim *= times.back();
  }
  moved(build_.op("Tile", {use(*x), build_.integers(times)}), *x, dims);
  return true;
}

bool GraphMaker::concat() {
  Value* const x =
      pick([](const Value& v) { return has_free_dim(v) && elements(v.dims, 1) < 2000; });
  if (!x) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x) - 1);
  const size_t at = static_cast<size_t>(axis);
  const auto fits = [&](const Value& v) {
    if (v.dtype != x->dtype || v.dims.size() != x->dims.size() || v.dims[at] == kBatch)
      return false;
    ValueDims dims = v.dims;
    dims[at] = x->dims[at];
    return dims == x->dims;
  };
  ValueDims dims = x->dims;
  std::vector<Endpoint> inputs = {use(*x)};
  double bound = x->bound;
  bool exact = x->exact;
  for (int64_t more = dice_.between(1, 3); more > 0; --more) {
    Value* const next = pick(fits);
    inputs.push_back(use(*next));
    dims[at] += next->dims[at];
    bound = std::max(bound, next->bound);
    exact &= next->exact;
  }
  const int64_t count = static_cast<int64_t>(inputs.size());
  inputs.push_back(
      build_.scalar<int32_t>(static_cast<int32_t>(dice_.chance(0.5) ? axis : axis - rank_of(*x))));
  keep(build_.op("ConcatV2", inputs, {{"N", count}}), x->dtype, dims, bound, exact);
  return true;
}

bool GraphMaker::split() {
  Value* const x = pick(has_free_dim);
  if (!x) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x) - 1);
  const int64_t dim = x->dims[static_cast<size_t>(axis)];
  const int64_t parts = dim % 3 == 0 ? 3 : dim % 2 == 0 ? 2 : 1;
  if (parts == 1) return false;
  ValueDims dims = x->dims;
  dims[static_cast<size_t>(axis)] = dim / parts;
  const auto outputs =
      build_.ops("Split", {build_.scalar<int32_t>(static_cast<int32_t>(axis)), use(*x)},
                 {{"num_split", parts}});
  for (Endpoint output : outputs) moved(output, *x, dims);
  return true;
}

bool GraphMaker::gather() {
  // Of the integers only these are sure to lie in [0, bound).
  const auto is_index = [&](const Value& v) {
    const Node& node = made_.graph.node(v.endpoint.node);
    return v.dtype == DType::kInt32 && (node.is("_Arg") || node.is("ArgMax"));
  };
  if (Value* const indices = dice_.chance(0.5) ? pick(is_index) : nullptr) {
    // An embedding: a table's rows.
    const int64_t width = dice_.between(1, 9);
    Value& table = parameter({static_cast<int64_t>(indices->bound), width}, 2);
    ValueDims dims = indices->dims;
    dims.push_back(width);
    moved(build_.op("GatherV2", {use(table), use(*indices), build_.scalar<int32_t>(0)}), table,
          dims);
    return true;
  }
  Value* const x = pick(has_free_dim);
  if (!x) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x) - 1);
  ValueDims dims = x->dims;
  std::vector<int64_t> wanted;
  for (int64_t i = dice_.between(1, 4); i > 0; --i) {
    wanted.push_back(dice_.below(dims[static_cast<size_t>(axis)]));
  }
  dims[static_cast<size_t>(axis)] = static_cast<int64_t>(wanted.size());
  moved(build_.op("GatherV2", {use(*x), build_.integers(wanted),
                               build_.scalar<int32_t>(static_cast<int32_t>(axis))}),
        *x, dims);
  return true;
}

bool GraphMaker::pack() {
  Value* const x = pick([](const Value& v) { return movable(v) && v.dims.size() <= 3; });
  if (!x) return false;
  Value* const y = pick([&](const Value& v) { return v.dtype == x->dtype && v.dims == x->dims; });
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x));
  ValueDims dims = x->dims;
  dims.insert(dims.begin() + axis, 2);
  const Endpoint out = build_.op("Pack", {use(*x), use(*y)}, {{"axis", axis}});
  keep(out, x->dtype, dims, std::max(x->bound, y->bound), x->exact && y->exact);
  if (!dice_.chance(0.3)) return true;
  const auto parts = build_.ops("Unpack", {out}, {{"num", int64_t{2}}, {"axis", axis}});
  moved(parts[0], *y, x->dims).exact = x->exact && y->exact;
  return true;
}

bool GraphMaker::cumulative() {
  Value* const x = pick(
      [](const Value& v) { return has_free_dim(v) && v.dtype == DType::kFloat && v.bound <= 20; });
  if (!x) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x) - 1);
  const double count = static_cast<double>(x->dims[static_cast<size_t>(axis)]);
  keep(build_.op("Cumsum", {use(*x), build_.scalar<int32_t>(static_cast<int32_t>(axis))},
                 {{"exclusive", dice_.chance(0.3)}, {"reverse", dice_.chance(0.3)}}),
       x->dtype, x->dims, x->bound * count, false);
  return true;
}

bool GraphMaker::one_hot() {
  Value* const x =
      pick([](const Value& v) { return v.dtype == DType::kInt32 && v.dims.size() <= 3; });
  if (!x) return false;
  const int64_t depth = dice_.between(1, 6);
  ValueDims dims = x->dims;
  dims.push_back(depth);
  keep(build_.op("OneHot", {use(*x), build_.scalar<int32_t>(static_cast<int32_t>(depth)),
                            build_.scalar<float>(1), build_.scalar<float>(0)}),
       DType::kFloat, dims, 1, true);
  return true;
}

bool GraphMaker::arg_max() {
  Value* const x =
      pick([](const Value& v) { return has_free_dim(v) && v.dtype == DType::kFloat && v.exact; });
  if (!x) return false;
  const int64_t axis = dice_.between(first_free(*x), rank_of(*x) - 1);
  ValueDims dims = x->dims;
  const double bound = static_cast<double>(dims[static_cast<size_t>(axis)]);
  dims.erase(dims.begin() + axis);
  keep(build_.op(dice_.chance(0.5) ? "ArgMax" : "ArgMin",
                 {use(*x), build_.scalar<int32_t>(static_cast<int32_t>(axis))},
                 {{"output_type", DType::kInt32}}),
       DType::kInt32, dims, bound, true);
  return true;
}

}  // namespace tenon::differential
