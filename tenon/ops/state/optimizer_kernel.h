// What the kernels of the optimizers' ops share: their leading inputs are variables that are
// updated together.
#pragma once

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/core/variable.h"

namespace tenon {

inline constexpr size_t kMostOptimizerVariables = 4;

// Inputs [0, variables) are resources of one shape, input `gradient` has that shape, all others are
// scalars, but input `square`, if there is one, which has that shape too.
Status optimizer_shape(ShapeContext& c, int variables, int gradient, int square = -1);

// The same for Keras' optimizers: the leading resources are the variables, the last input is the
// gradient, the one before it its square where `has_square`. `optional` names the attributes that
// say whether there is one resource of a kind: 0 or 1.
Status keras_optimizer_shape(ShapeContext& c, std::initializer_list<std::string_view> optional,
                             bool has_square = false);

// The values of the variables at inputs [0, count), which nobody else reads meanwhile, as
// `body` changes them. INVALID_ARGUMENT when one has another dtype or shape than input `gradient`,
// or when two are the same variable.
Status update_variables(KernelRun& r, int count, int gradient,
                        FunctionRef<void(std::span<Tensor* const>)> body);

// `body.operator()<T>(r, values, g, count)` for T float or double; UNIMPLEMENTED for other dtypes.
template <class Body>
StatusOr<Kernel> make_optimizer_kernel(Prepare& p, int variables, int gradient, Body body) {
  Kernel kernel;
  if (!visit<TypeList<float, double>>(p.input_dtype(gradient), [&]<class T>() {
        kernel = [variables, gradient, body](KernelRun& r) {
          return update_variables(r, variables, gradient, [&](std::span<Tensor* const> values) {
            std::array<T*, kMostOptimizerVariables> pointers{};
            for (size_t i = 0; i < values.size(); ++i) {
              pointers[i] = values[i]->template mutable_data<T>();
            }
            body.template operator()<T>(r, pointers, r.in<T>(gradient),
                                        r.input(gradient).num_elements());
          });
        };
      })) {
    return unimplemented("an optimizer for variables of dtype ", p.input_dtype(gradient));
  }
  return kernel;
}

// The attributes that all these ops have.
inline constexpr AttrsText kOptimizerAttrs =
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false";

// The declaration of an optimizer's op: see optimizer_shape().
template <int variables, int gradient>
constexpr OpDecl optimizer_op(ArgsText inputs, KernelFactory factory,
                              AttrsText attrs = kOptimizerAttrs) {
  return {
      .inputs = inputs,
      .outputs = "",
      .attrs = attrs,
      .effect = Effect::kWrite,
      .shape = [](ShapeContext& c) { return optimizer_shape(c, variables, gradient); },
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace tenon
