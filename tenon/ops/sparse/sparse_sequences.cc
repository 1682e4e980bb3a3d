// EditDistance, SparseSplit.
#include <cstring>
#include <limits>
#include <map>

#include "tenon/ops/array/elements.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

constexpr int kTruth = 3;  // the truth's inputs begin here

Status edit_distance_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  TENON_RETURN_IF_ERROR(check_sparse(c, kTruth));
  for (const int shape : {2, kTruth + 2}) {
    if (c.input(shape).has_rank() && c.input(shape)[0] >= 0 && c.input(shape)[0] < 2) {
      return invalid_argument("Input SparseTensors must have rank at least 2, but input ", shape,
                              " has ", c.input(shape)[0], " elements");
    }
  }
  const Tensor *hypothesis = c.constant(2), *truth = c.constant(kTruth + 2);
  if (!hypothesis || !truth) return unknown_shape(c);
  if (hypothesis->num_elements() != truth->num_elements() || truth->num_elements() < 2) {
    return invalid_argument(
        "Expected hypothesis_shape and truth_shape of one length, at least 2; they have ",
        hypothesis->num_elements(), " and ", truth->num_elements());
  }
  std::vector<int64_t> dims;
  for (int64_t i = 0; i + 1 < truth->num_elements(); ++i) {
    dims.push_back(std::max(integer_at(*hypothesis, i), integer_at(*truth, i)));
  }
  TENON_RETURN_IF_ERROR(Shape::make(dims, sizeof(float)).status());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

// V. I. Levenshtein's distance of two sequences of elements of inputs 1 and kTruth + 1.
template <class T>
int64_t levenshtein(std::span<const T> a, std::span<const T> b, std::vector<int64_t>& costs) {
  costs.resize(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) costs[j] = static_cast<int64_t>(j);
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t diagonal = std::exchange(costs[0], static_cast<int64_t>(i) + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = costs[j + 1];
      costs[j + 1] = std::min({replaced, diagonal + 1, costs[j] + 1});
    }
  }
  return costs[b.size()];
}

// Sequences by all their coordinates but the last.
template <class T>
std::map<std::vector<int64_t>, std::vector<T>> sequences(const Coordinates& rows, const T* values) {
  std::map<std::vector<int64_t>, std::vector<T>> found;
  for (int64_t i = 0; i < rows.count; ++i) {
    const auto group = rows.row(i).first(static_cast<size_t>(rows.rank - 1));
    found[{group.begin(), group.end()}].push_back(values[i]);
  }
  return found;
}

struct Distances {
  Shape shape;
  bool normalize;
  float* y;

  Status set(const std::vector<int64_t>& group, float distance, size_t truth) const {
    int64_t at = 0;
    for (size_t axis = 0; axis < group.size(); ++axis) {
      const int64_t size = shape[static_cast<int>(axis)];
      if (group[axis] < 0 || group[axis] >= size) {
        return invalid_argument("index ", group[axis], " of a sequence is outside of [0, ", size,
                                ")");
      }
      at = at * size + group[axis];
    }
    // Without a truth that is infinity.
    y[at] = normalize && distance > 0 ? distance / static_cast<float>(truth) : distance;
    return absl::OkStatus();
  }
};

template <class T>
Status edit_distance(KernelRun& r, bool normalize) {
  const Coordinates hypothesis(r.input(0)), truth(r.input(kTruth));
  const std::vector<int64_t> a = integers_of(r.input(2)), b = integers_of(r.input(kTruth + 2));
  if (a.size() != b.size() || a.size() < 2) {
    return invalid_argument(
        "Expected hypothesis_shape and truth_shape of one length, at least 2; they have ", a.size(),
        " and ", b.size());
  }
  std::vector<int64_t> dims;
  for (size_t i = 0; i + 1 < a.size(); ++i) dims.push_back(std::max(a[i], b[i]));
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, sizeof(float)));
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  const Distances distances{shape, normalize, r.out<float>(0)};
  std::fill_n(distances.y, shape.num_elements(), 0.0F);
  const auto said = sequences(hypothesis, r.in<T>(1));
  const auto meant = sequences(truth, r.in<T>(kTruth + 1));
  std::vector<int64_t> costs;
  for (const auto& [group, sequence] : said) {
    const auto other = meant.find(group);
    const std::span<const T> none, wanted = other == meant.end() ? none : std::span(other->second);
    const auto distance =
        static_cast<float>(levenshtein(wanted, std::span<const T>(sequence), costs));
    TENON_RETURN_IF_ERROR(distances.set(group, distance, wanted.size()));
  }
  for (const auto& [group, sequence] : meant) {
    if (said.contains(group)) continue;
    TENON_RETURN_IF_ERROR(
        distances.set(group, static_cast<float>(sequence.size()), sequence.size()));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_edit_distance(Prepare& p) {
  const bool normalize = p.attr<bool>("normalize");
  Kernel kernel;
  visit<NumericTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [normalize](KernelRun& r) { return edit_distance<T>(r, normalize); };
  });
  if (p.input_dtype(1) == DType::kBool) {
    kernel = [normalize](KernelRun& r) { return edit_distance<uint8_t>(r, normalize); };
  }
  if (p.input_dtype(1) == DType::kString) {
    kernel = [normalize](KernelRun& r) { return edit_distance<std::string_view>(r, normalize); };
  }
  if (!kernel) return unimplemented("EditDistance has no kernel for ", p.input_dtype(1));
  return kernel;
}

Status sparse_split_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(check_sparse(c, 1));
  const int pieces = c.num_outputs() / 3;
  const int64_t rank = c.input(3).has_rank() ? c.input(3)[0] : -1;
  for (int i = 0; i < pieces; ++i) {
    c.set_output(i, {-1, rank});
    c.set_output(pieces + i, {-1});
    c.set_output(2 * pieces + i, {rank});
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_split(Prepare& p) {
  const int pieces = p.num_outputs() / 3;
  return Kernel([pieces](KernelRun& r) -> Status {
    const Coordinates rows(r.input(1));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(3)));
    TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
    const int64_t given = integer_at(r.input(0), 0);
    const int64_t axis = given < 0 ? given + shape.rank() : given;
    if (axis < 0 || axis >= shape.rank()) {
      return invalid_argument("Input split_dim should be in range [", -shape.rank(), ", ",
                              shape.rank(), "), got ", given);
    }
    const int64_t size = shape[static_cast<int>(axis)];
    if (pieces > size) {
      return invalid_argument("Input num_split should be between 1 and the splitting dimension ",
                              "size (", size, "), got ", pieces);
    }
    // The first pieces are one longer where the size is no multiple.
    const int64_t least = size / pieces, longer = size % pieces;
    int64_t begin = 0;
    for (int piece = 0; piece < pieces; ++piece) {
      const int64_t end = begin + least + (piece < longer ? 1 : 0);
      std::vector<int64_t> kept;
      for (int64_t i = 0; i < rows.count; ++i) {
        const int64_t at = rows.row(i)[static_cast<size_t>(axis)];
        if (at >= begin && at < end) kept.push_back(i);
      }
      TENON_RETURN_IF_ERROR(
          r.allocate_output(piece, Shape{static_cast<int64_t>(kept.size()), rows.rank}));
      int64_t* index = r.out<int64_t>(piece);
      for (const int64_t i : kept) {
        std::ranges::copy(rows.row(i), index);
        index[axis] -= begin;
        index += rows.rank;
      }
      TENON_RETURN_IF_ERROR(gather_values(r, 2, pieces + piece, kept));
      std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
      dims[static_cast<size_t>(axis)] = end - begin;
      r.set_output(2 * pieces + piece, Tensor::vector<int64_t>(dims));
      begin = end;
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(EditDistance) = {
    .inputs =
        "hypothesis_indices: int64, hypothesis_values: T, hypothesis_shape: int64, "
        "truth_indices: int64, truth_values: T, truth_shape: int64",
    .outputs = "output: float",
    .attrs = "normalize: bool = true; T: type",
    .supplies_outputs = true,
    .shape = edit_distance_shape,
    .gradient = not_differentiable,
    .kernels = {make_edit_distance},
};
TENON_OP(SparseSplit) = {
    .inputs = "split_dim: int64, indices: int64, values: T, shape: int64",
    .outputs =
        "output_indices: num_split * int64, output_values: num_split * T, "
        "output_shape: num_split * int64",
    .attrs = "num_split: int >= 1; T: type",
    .supplies_outputs = true,
    .shape = sparse_split_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_split},
};

}  // namespace tenon
