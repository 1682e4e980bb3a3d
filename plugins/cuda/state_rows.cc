// Ops that change variables: additions and optimizer steps.
#include <algorithm>

#include "plugins/cuda/elementwise.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

// Calls body(values) with the variables at inputs [0, count), which have the shape of the last
// input.
template <class Body>
TenonStatus* update(TenonRun* run, int32_t count, const Body& body) {
  struct Call {
    TenonRun* run;
    int32_t count;
    const Body& body;
  } call{run, count, body};
  const auto change = [](void* data, TenonTensor* values) -> TenonStatus* {
    const Call& c = *static_cast<Call*>(data);
    const TenonTensor last = host->run_input(c.run, host->run_num_inputs(c.run) - 1);
    const bool fit = std::all_of(values, values + c.count, [&](const TenonTensor& value) {
      return same_shape(value.type, last.type);
    });
    if (!fit) {
      return error(kInvalidArgument, "the variable has another shape than what changes it");
    }
    return c.body(values);
  };
  return host->update_variables(run, 0, count, change, &call);
}

template <bool subtract>
TenonStatus* prepare_assign_add(TenonPrepare* prepare, RunFunction& run) {
  const TenonType value = host->prepare_input(prepare, 1);
  Elementwise sum;
  if (TenonStatus* status =
          make_update(prepare, subtract ? "Sub" : "AddV2", value.dtype, dims_of(value), sum)) {
    return status;
  }
  run = [sum](TenonRun* r) -> TenonStatus* {
    TenonStatus* status = update(r, 1, [&](TenonTensor* values) {
      return sum.launch(enqueue(r), {values[0].data, input<void>(r, 1)}, {values[0].data});
    });
    // A variable without a value is NOT_FOUND to this op of TensorFlow's.
    if (host->status_code(status) != kFailedPrecondition) return status;
    host->free_status(status);
    return error(kNotFound, "the variable is added to before it has a value");
  };
  return nullptr;
}

TenonStatus* check_optimizer(const TenonPrepare* prepare) {
  const TenonType g = host->prepare_input(prepare, host->prepare_num_inputs(prepare) - 1);
  if (g.dtype != kFloat) return unimplemented("optimizers of float32 only");
  return refuse_rare_updates(prepare);
}

template <class T>
T* as(const TenonTensor& value) {
  return static_cast<T*>(value.data);
}

TenonStatus* prepare_gradient_descent(TenonPrepare* prepare, RunFunction& run) {
  if (TenonStatus* status = check_optimizer(prepare)) return status;
  run = [](TenonRun* r) {
    return update(r, 1, [&](TenonTensor* v) {
      return status_of(gradient_descent(enqueue(r), element_count(v[0].type), input<float>(r, 1),
                                        input<float>(r, 2), as<float>(v[0])),
                       "an optimizer's step");
    });
  };
  return nullptr;
}

// var, m, v, alpha, one_minus_beta1, one_minus_beta2, epsilon, the square `of_rows`, grad.
template <bool of_rows>
TenonStatus* prepare_keras_adam(TenonPrepare* prepare, RunFunction& run) {
  if (TenonStatus* status = check_optimizer(prepare)) return status;
  run = [](TenonRun* r) {
    return update(r, 3, [&](TenonTensor* v) {
      const AdamUpdate one{input<float>(r, 3),
                           input<float>(r, 4),
                           input<float>(r, 5),
                           input<float>(r, 6),
                           input<float>(r, of_rows ? 8 : 7),
                           of_rows ? input<float>(r, 7) : nullptr,
                           as<float>(v[0]),
                           as<float>(v[1]),
                           as<float>(v[2]),
                           element_count(v[0].type)};
      return status_of(stream_of(r)->update(one), "an optimizer's step");
    });
  };
  return nullptr;
}

// var, m, v, beta1_power, beta2_power, lr, beta1, beta2, epsilon, grad.
TenonStatus* prepare_adam(TenonPrepare* prepare, RunFunction& run) {
  if (TenonStatus* status = check_optimizer(prepare)) return status;
  run = [](TenonRun* r) {
    return update(r, 3, [&](TenonTensor* v) {
      const float* scalars[6];
      for (int i = 0; i < 6; ++i) scalars[i] = input<float>(r, 3 + i);
      return status_of(adam(enqueue(r), element_count(v[0].type), scalars, input<float>(r, 9),
                            as<float>(v[0]), as<float>(v[1]), as<float>(v[2])),
                       "an optimizer's step");
    });
  };
  return nullptr;
}

}  // namespace

void add_state_rows(const AddRow& add) {
  add("AssignAddVariableOp", prepare_assign_add<false>);
  add("AssignSubVariableOp", prepare_assign_add<true>);
  add("ResourceApplyGradientDescent", prepare_gradient_descent);
  add("ResourceApplyAdam", prepare_adam);
  add("_KerasAdam", prepare_keras_adam<false>);
  add("_KerasAdamOfRows", prepare_keras_adam<true>);
}

}  // namespace plugin::cuda
