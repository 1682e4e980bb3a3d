// Unique, UniqueWithCounts, their second versions (slices along an axis), and ListDiff.
#include <unordered_map>
#include <unordered_set>

#include "tenon/core/shape_context.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

using UniqueTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                             uint8_t, uint16_t, uint32_t, uint64_t, bool, std::string_view>;

Status unique_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  c.set_output(0, {-1});
  c.set_output(1, c.input(0).has_rank() ? c.input(0) : PartialShape{-1});
  if (c.num_outputs() > 2) c.set_output(2, {-1});
  return absl::OkStatus();
}

// The axis, or -1 where none is given: then the input is a vector.
StatusOr<int> unique_axis(const Tensor& axis, int rank) {
  if (axis.num_elements() > 1 || axis.rank() != 1) {
    return invalid_argument("axis expects a 1D vector of at most one element, its shape is ",
                            axis.shape());
  }
  if (axis.num_elements() == 0) {
    if (rank != 1) return invalid_argument("unique expects a 1D vector, the rank is ", rank);
    return 0;
  }
  return resolve_axis(integer_at(axis, 0), rank);
}

Status unique_v2_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  const bool known = x.has_rank() && c.constant(1);
  PartialShape y = x.has_rank() ? x : PartialShape();
  int64_t size = -1;
  if (known) {
    TENON_ASSIGN_OR_RETURN(const int axis, unique_axis(*c.constant(1), x.rank()));
    size = x[axis];
    y.set(axis, -1);
  } else {
    y = x.has_rank() ? PartialShape::unknown_of_rank(x.rank()) : PartialShape();
  }
  c.set_output(0, std::move(y));
  c.set_output(1, {size});
  if (c.num_outputs() > 2) c.set_output(2, {-1});
  return absl::OkStatus();
}

// [outer, size, inner]: slices along the middle axis.
struct SliceLayout {
  int64_t outer = 1, size = 0, inner = 1;
};

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

template <class T>
size_t hash_of(const T& value) {
  if constexpr (kIsHalf<T>) {
    return std::hash<float>{}(static_cast<float>(value));
  } else {
    return std::hash<T>{}(value);
  }
}

// Whether two elements are one. TensorFlow tells zeros of 16 bits apart by their signs, because it
// hashes their bits.
template <class T>
bool is_same(const T& a, const T& b) {
  if constexpr (kIsHalf<T>) {
    return a == b && std::bit_cast<uint16_t>(a) == std::bit_cast<uint16_t>(b);
  } else {
    return a == b;
  }
}

// A slice by its number; equal where all its elements are.
template <class T>
struct Slices {
  const T* x;
  SliceLayout layout;

  const T* row(int64_t slice, int64_t o) const {
    return x + (o * layout.size + slice) * layout.inner;
  }
  size_t operator()(int64_t slice) const {
    size_t hash = 0;
    for (int64_t o = 0; o < layout.outer; ++o) {
      const T* at = row(slice, o);
      for (int64_t i = 0; i < layout.inner; ++i) {
        hash = hash * 0x9e3779b97f4a7c15 + hash_of(at[i]);
      }
    }
    return hash;
  }
  bool operator()(int64_t a, int64_t b) const {
    if (layout.outer == 1 && layout.inner == 1) return is_same(x[a], x[b]);
    for (int64_t o = 0; o < layout.outer; ++o) {
      const T* left = row(a, o);
      if (!std::equal(left, left + layout.inner, row(b, o))) return false;
    }
    return true;
  }
};

template <class T, class Index>
Status find_unique(KernelRun& r, const SliceLayout& layout, const Shape& x_shape, int axis) {
  const Slices<T> slices{r.in<T>(0), layout};
  std::unordered_map<int64_t, int64_t, Slices<T>, Slices<T>> found(
      static_cast<size_t>(std::min<int64_t>(layout.size, 1024)), slices, slices);
  std::vector<int64_t> first;  // the slice of each new one
  std::vector<Index> counts;
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{layout.size}));
  for (int64_t slice = 0; slice < layout.size; ++slice) {
    const auto [it, fresh] = found.try_emplace(slice, static_cast<int64_t>(first.size()));
    if (fresh) {
      first.push_back(slice);
      counts.push_back(0);
    }
    r.out<Index>(1)[slice] = static_cast<Index>(it->second);
    ++counts[static_cast<size_t>(it->second)];
  }
  Shape shape = x_shape;
  const auto count = static_cast<int64_t>(first.size());
  shape.set(axis, count);
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  T* y = r.out<T>(0);
  for (int64_t o = 0; o < layout.outer; ++o) {
    for (int64_t slice : first) y = std::copy_n(slices.row(slice, o), layout.inner, y);
  }
  own_elements(r, 0, 0);
  if (r.num_outputs() > 2) r.set_output(2, Tensor::vector<Index>(counts));
  return absl::OkStatus();
}

StatusOr<Kernel> unique_kernel(Prepare& p, int axis) {
  const Shape x = p.input_shape(0);
  const SliceLayout layout{x.product(0, axis), x[axis], x.product(axis + 1, x.rank())};
  Kernel kernel;
  visit<UniqueTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(1), [&]<class Index>() {
      kernel = [=](KernelRun& r) { return find_unique<T, Index>(r, layout, x, axis); };
    });
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
  }
  return kernel;
}

StatusOr<Kernel> make_unique(Prepare& p) { return unique_kernel(p, 0); }
StatusOr<Kernel> make_unique_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const int axis, unique_axis(*p.constant(1), p.input_shape(0).rank()));
  return unique_kernel(p, axis);
}

Status list_diff_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  c.set_output(0, {-1});
  c.set_output(1, {-1});
  return absl::OkStatus();
}

// What is in x and not in y, and where.
StatusOr<Kernel> make_list_diff(Prepare& p) {
  Kernel kernel;
  visit<UniqueTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(1), [&]<class Index>() {
      kernel = [](KernelRun& r) -> Status {
        const auto x = r.input(0).span<T>(), y = r.input(1).span<T>();
        const auto hash = [](const T& value) { return hash_of(value); };
        const std::unordered_set<T, decltype(hash), decltype(&is_same<T>)> excluded(
            y.begin(), y.end(), y.size() + 1, hash, &is_same<T>);
        std::vector<Index> kept;
        for (size_t i = 0; i < x.size(); ++i) {
          if (!excluded.contains(x[i])) kept.push_back(static_cast<Index>(i));
        }
        TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{static_cast<int64_t>(kept.size())}));
        T* out = r.out<T>(0);
        for (Index i : kept) *out++ = x[static_cast<size_t>(i)];
        own_elements(r, 0, 0);
        r.set_output(1, Tensor::vector<Index>(kept));
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) return unimplemented("ListDiff has no CPU kernel for dtype ", p.input_dtype(0));
  return kernel;
}

constexpr OpDecl unique_op(ArgsText outputs) {
  return {
      .inputs = "x: T",
      .outputs = outputs,
      .attrs = "T: type; out_idx: {int32, int64} = int32",
      .supplies_outputs = true,
      .shape = unique_shape,
      .gradient = not_differentiable,
      .kernels = {make_unique},
  };
}
constexpr OpDecl unique_v2_op(ArgsText outputs) {
  return {
      .inputs = "x: T, axis: Taxis",
      .outputs = outputs,
      .attrs = "T: type; Taxis: {int32, int64} = int64; out_idx: {int32, int64} = int32",
      .host_inputs = {1},
      .supplies_outputs = true,
      .shape = unique_v2_shape,
      .gradient = not_differentiable,
      .kernels = {make_unique_v2},
  };
}

}  // namespace

TENON_OP(Unique) = unique_op("y: T, idx: out_idx");
TENON_OP(UniqueWithCounts) = unique_op("y: T, idx: out_idx, count: out_idx");
TENON_OP(UniqueV2) = unique_v2_op("y: T, idx: out_idx");
TENON_OP(UniqueWithCountsV2) = unique_v2_op("y: T, idx: out_idx, count: out_idx");

TENON_OP(ListDiff) = {
    .inputs = "x: T, y: T",
    .outputs = "out: T, idx: out_idx",
    .attrs = "T: type; out_idx: {int32, int64} = int32",
    .supplies_outputs = true,
    .shape = list_diff_shape,
    .gradient = not_differentiable,
    .kernels = {make_list_diff},
};

}  // namespace tenon
