#include "tenon/ops/list/list_math.h"

#include "tenon/kernels/elementwise.h"
#include "tenon/ops/list/list_access.h"

namespace tenon {
namespace {

StatusOr<Tensor> add_variants(KernelRun& r, const Tensor& a, const Tensor& b);

StatusOr<Tensor> add_elements(KernelRun& r, const Tensor& a, const Tensor& b) {
  if (!a.has_value()) return b;
  if (!b.has_value()) return a;
  if (a.dtype() == DType::kVariant) return add_variants(r, a, b);
  const kernels::BinaryKernel add = kernels::find_binary(kernels::BinaryOp::kAdd, a.dtype());
  if (!add || a.dtype() != b.dtype() || a.shape() != b.shape()) {
    return invalid_argument("list elements ", a.dtype(), a.shape(), " and ", b.dtype(), b.shape(),
                            " cannot be added");
  }
  TENON_ASSIGN_OR_RETURN(Tensor sum, r.allocate(a.dtype(), a.shape()));
  add(a.raw(), 1, b.raw(), 1, sum.mutable_raw(), a.num_elements());
  return sum.keep();
}

// A handle that refers to nothing is the sum of no lists.
StatusOr<Tensor> add_variants(KernelRun& r, const Tensor& a, const Tensor& b) {
  if (!a.object_as<Object>()) return b;
  if (!b.object_as<Object>()) return a;
  const TensorList* left = a.object_as<TensorList>();
  const TensorList* right = b.object_as<TensorList>();
  if (!left || !right || left->size() != right->size() || left->dtype() != right->dtype()) {
    return invalid_argument("Trying to add two lists of tensors with different lengths or dtypes");
  }
  Ref<TensorList> sum(new TensorList(left->dtype(), left->element_shape()));
  TENON_ASSIGN_OR_RETURN(sum, sum->resize(left->size()));
  for (int64_t i = 0; i < left->size(); ++i) {
    TENON_ASSIGN_OR_RETURN(Tensor element, add_elements(r, (*left)[i], (*right)[i]));
    if (element.has_value()) {
      TENON_ASSIGN_OR_RETURN(sum, sum->set(i, std::move(element)));
    }
  }
  return Tensor::object(DType::kVariant, std::move(sum));
}

StatusOr<Tensor> zeros_like_element(KernelRun& r, const Tensor& element) {
  if (!element.has_value()) return Tensor();
  const TensorList* list = element.object_as<TensorList>();
  if (!list) {
    TENON_ASSIGN_OR_RETURN(const Tensor zeros, zero_element(r, element.dtype(), element.shape()));
    return zeros.keep();
  }
  Ref<TensorList> zeros(new TensorList(list->dtype(), list->element_shape()));
  TENON_ASSIGN_OR_RETURN(zeros, zeros->resize(list->size()));
  for (int64_t i = 0; i < list->size(); ++i) {
    TENON_ASSIGN_OR_RETURN(Tensor zero, zeros_like_element(r, (*list)[i]));
    if (zero.has_value()) {
      TENON_ASSIGN_OR_RETURN(zeros, zeros->set(i, std::move(zero)));
    }
  }
  return Tensor::object(DType::kVariant, std::move(zeros));
}

Status expect_scalar_variant(const Prepare& p) {
  if (p.output_dtype(0) != DType::kVariant) return unimplemented("dtype ", p.output_dtype(0));
  if (p.input_shape(0).rank() != 0) return unimplemented("tensors of lists");
  return absl::OkStatus();
}

}  // namespace

StatusOr<Kernel> make_add_n_lists(Prepare& p) {
  TENON_RETURN_IF_ERROR(expect_scalar_variant(p));
  return Kernel([](KernelRun& r) -> Status {
    Tensor sum = r.input(0);
    for (int i = 1; i < r.num_inputs(); ++i) {
      TENON_ASSIGN_OR_RETURN(sum, add_variants(r, sum, r.input(i)));
    }
    r.set_output(0, std::move(sum));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_zeros_like_list(Prepare& p) {
  TENON_RETURN_IF_ERROR(expect_scalar_variant(p));
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Tensor zeros, zeros_like_element(r, r.input(0)));
    r.set_output(0, std::move(zeros));
    return absl::OkStatus();
  });
}

}  // namespace tenon
