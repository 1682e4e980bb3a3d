// DataFormatDimMap, DataFormatVecPermute (numbers of axes and sizes from one data format to
// another), UnravelIndex (places in an array of some shape).
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// Which axis of `from` each axis of `to` is. INVALID_ARGUMENT unless they are permutations of each
// other of a length that TensorFlow takes.
StatusOr<std::vector<int>> format_permutation(std::string_view from, std::string_view to) {
  if ((from.size() != 4 && from.size() != 5) || from.size() != to.size()) {
    return invalid_argument("Source and destination format must be of length 4 or 5, they are '",
                            from, "' and '", to, "'");
  }
  std::vector<int> axes;
  for (char axis : to) {
    const size_t at = from.find(axis);
    if (at == std::string_view::npos || to.find(axis) != to.rfind(axis)) {
      return invalid_argument("Destination and source format must determine a permutation, got ",
                              from, " and ", to);
    }
    axes.push_back(static_cast<int>(at));
  }
  return axes;
}

std::string spatial_axes(std::string_view format) {
  std::string axes;
  for (char axis : format) {
    if (axis != 'N' && axis != 'C') axes += axis;
  }
  return axes;
}

Status dim_map_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(
      format_permutation(c.attr<std::string>("dst_format"), c.attr<std::string>("src_format"))
          .status());
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_dim_map(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(
      const std::vector<int> axes,
      format_permutation(p.attr<std::string>("dst_format"), p.attr<std::string>("src_format")));
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [axes, count = p.input_shape(0).num_elements()](KernelRun& r) {
      // TensorFlow's kernel takes axes modulo the rank and refuses none.
      const auto rank = static_cast<int64_t>(axes.size());
      for (int64_t i = 0; i < count; ++i) {
        const int64_t axis = int64_t{r.in<T>(0)[i]} % rank;
        r.out<T>(0)[i] = static_cast<T>(axes[static_cast<size_t>(axis < 0 ? axis + rank : axis)]);
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

// x holds a number for each axis, or for each spatial one, or a pair of them.
StatusOr<std::vector<int>> vector_permutation(const AttrMap& attrs, int64_t size) {
  const auto& from = attrs.get<std::string>("src_format");
  const auto& to = attrs.get<std::string>("dst_format");
  TENON_ASSIGN_OR_RETURN(std::vector<int> axes, format_permutation(from, to));
  const auto rank = static_cast<int64_t>(from.size());
  if (size < 0 || size == rank) return axes;
  const std::string inner_from = spatial_axes(from), inner_to = spatial_axes(to);
  if (size != rank - 2 || inner_from.size() != static_cast<size_t>(size) ||
      inner_to.size() != inner_from.size()) {
    return invalid_argument("1D input must be of size ", rank - 2, " or ", rank, ", got shape [",
                            size, "]");
  }
  axes.clear();
  for (char axis : inner_to) axes.push_back(static_cast<int>(inner_from.find(axis)));
  return axes;
}

Status vec_permute_shape(ShapeContext& c) {
  const PartialShape& x = c.input(0);
  if (x.has_rank()) {
    if (x.rank() != 1 && x.rank() != 2) {
      return invalid_argument("input must be a vector or 2D tensor, but got shape ", x);
    }
    if (x.rank() == 2 && x[1] >= 0 && x[1] != 2) {
      return invalid_argument("Second dimension of 2D input must be of size 2, but got shape ", x);
    }
  }
  TENON_RETURN_IF_ERROR(vector_permutation(c.attrs(), x.has_rank() ? x[0] : -1).status());
  c.set_output(0, x);
  return absl::OkStatus();
}

StatusOr<Kernel> make_vec_permute(Prepare& p) {
  const Shape& x = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> axes, vector_permutation(p.attrs(), x[0]));
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [axes, width = x.rank() == 2 ? x[1] : 1](KernelRun& r) {
      T* y = r.out<T>(0);
      for (int axis : axes) y = std::copy_n(r.in<T>(0) + axis * width, width, y);
      return absl::OkStatus();
    };
  });
  return kernel;
}

template <KernelFactory factory>
constexpr OpDecl data_format_op(ShapeFn shape) {
  return {
      .inputs = "x: T",
      .outputs = "y: T",
      .attrs =
          "T: {int32, int64} = int32; src_format: string = 'NHWC'; dst_format: string = 'NCHW'",
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

Status unravel_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& indices = c.input(0);
  const int64_t rank = c.input(1).has_rank() ? c.input(1)[0] : -1;
  if (!indices.has_rank()) return unknown_shape(c);
  if (indices.rank() > 1) {
    return invalid_argument("The indices can only be scalar or vector, got '", indices, "'");
  }
  if (indices.num_elements() == 0) return invalid_argument("the indices are empty");
  c.set_output(0, indices.rank() == 0 ? PartialShape{rank} : PartialShape{rank, indices[0]});
  return absl::OkStatus();
}

StatusOr<Kernel> make_unravel(Prepare& p) {
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      const auto dims = r.input(1).span<T>();
      const auto indices = r.input(0).span<T>();
      int64_t total = 1;
      for (T dim : dims) {
        if (dim == 0) return invalid_argument("Input dims cannot contain a dim of zero");
        if (__builtin_mul_overflow(total, static_cast<int64_t>(dim), &total)) {
          return invalid_argument("the product of the dims does not fit in int64");
        }
      }
      for (T index : indices) {
        if (index < 0 || index >= total) {
          return invalid_argument("index is out of bound as with dims");
        }
      }
      for (size_t i = 0; i < indices.size(); ++i) {
        int64_t rest = indices[i];
        for (size_t d = dims.size(); d-- > 0;) {
          r.out<T>(0)[d * indices.size() + i] = static_cast<T>(rest % dims[d]);
          rest /= dims[d];
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(DataFormatDimMap) = data_format_op<make_dim_map>(dim_map_shape);
TENON_OP(DataFormatVecPermute) = data_format_op<make_vec_permute>(vec_permute_shape);

TENON_OP(UnravelIndex) = {
    .inputs = "indices: Tidx, dims: Tidx",
    .outputs = "output: Tidx",
    .attrs = "Tidx: {int32, int64} = int32",
    .shape = unravel_shape,
    .gradient = not_differentiable,
    .kernels = {make_unravel},
};

}  // namespace tenon
