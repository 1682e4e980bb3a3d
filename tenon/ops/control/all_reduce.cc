// _Communicator, _AllReduceStart, _AllReduceDone: sums over the replicas of a group
// (core/collective.h). TensorFlow's CollectiveReduceV3 in two ops, so that the step goes on between
// handing values in and needing the result. _DeviceAllReduceStart and _DeviceAllReduceDone are the
// same of devices that sum among themselves, whose kernels they are (runtime/plugin).
#include "tenon/graph/all_reduce.h"

#include "tenon/core/collective.h"
#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_communicator(Prepare& p) {
  const std::string& name = p.attr<std::string>("shared_name");
  Ref<Object> object;
  if (p.resources()) object = p.resources()->find(p.attr<std::string>("container"), name);
  const bool fits = p.attr<bool>("on_device")
                        ? object_cast<DeviceCommunicator>(object.get()) != nullptr
                        : object_cast<Communicator>(object.get()) != nullptr;
  if (!fits) {
    return not_found("there is no group of replicas named '", name, "'");
  }
  return Kernel([handle = Tensor::object(DType::kResource, object)](KernelRun& r) {
    r.set_output(0, handle);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_all_reduce_start(Prepare& p) {
  const Reduction reduction =
      p.attr<std::string>("reduction") == "Mean" ? Reduction::kMean : Reduction::kSum;
  return Kernel([instance = p.attr<std::string>("instance"), reduction](KernelRun& r) -> Status {
    auto* communicator = r.input(0).object_as<Communicator>();
    if (!communicator) return not_found("input 0 refers to no group of replicas");
    std::vector<Tensor> values;
    for (int i = 2; i < r.num_inputs(); ++i) values.push_back(r.input(i));
    TENON_ASSIGN_OR_RETURN(
        Ref<PendingReduction> pending,
        communicator->start(instance, reduction, *r.in<bool>(1), std::move(values)));
    r.set_output(0, Tensor::object(DType::kVariant, std::move(pending)));
    return absl::OkStatus();
  });
}

// The values are inputs too, so that their memory is theirs until all replicas have read it.
StatusOr<Kernel> make_all_reduce_done(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    auto* pending = r.input(0).object_as<PendingReduction>();
    if (!pending) return invalid_argument("input 0 is no reduction that was started");
    TENON_ASSIGN_OR_RETURN(const std::span<const Tensor> results, pending->wait());
    if (results.size() != static_cast<size_t>(r.num_outputs())) {
      return invalid_argument("the reduction has ", results.size(), " values, ", r.num_outputs(),
                              " are expected");
    }
    for (int i = 0; i < r.num_outputs(); ++i) r.set_output(i, results[static_cast<size_t>(i)]);
    return absl::OkStatus();
  });
}

Status all_reduce_start_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  return scalar_shape(c);
}

Status all_reduce_done_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.input(i + 2));
  return absl::OkStatus();
}

// Each replica's result depends on the values of all, so its gradient is the same reduction of all
// replicas' gradients.
Status all_reduce_gradient(Gradient& g) {
  const Node& start = g.graph().node(g.input(0).node);
  if (!start.is("_AllReduceStart")) return invalid_argument("input 0 is no _AllReduceStart");
  const Endpoint present = start.inputs[1];
  const std::string instance = start.attrs.get<std::string>("instance") + "/gradient";
  const bool mean = start.attrs.get<std::string>("reduction") == "Mean";
  std::vector<Endpoint> dys;
  for (int i = 0; i < g.num_outputs(); ++i) dys.push_back(g.dy(i));
  const std::vector<Endpoint> dxs = finish_all_reduce(
      g.build(), start_all_reduce(g.build(), g.input(1), present, std::move(dys), instance, mean));
  for (size_t i = 0; i < dxs.size(); ++i) g.set_dx(static_cast<int>(i) + 2, dxs[i]);
  return absl::OkStatus();
}

// Output i has the shape of input i + 1.
Status device_all_reduce_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.input(i + 1));
  return absl::OkStatus();
}

// The sum is that of _DeviceAllReduceDone.
Status device_start_gradient(Gradient& g) {
  for (int i = 0; i < g.num_outputs(); ++i) g.set_dx(i + 1, g.dy(i));
  return absl::OkStatus();
}

Status device_done_gradient(Gradient& g) {
  std::vector<Endpoint> dys;
  for (int i = 0; i < g.num_outputs(); ++i) dys.push_back(g.dy(i));
  const std::vector<Endpoint> dxs = finish_all_reduce(
      g.build(), start_all_reduce(g.build(), g.input(0), Endpoint(), std::move(dys),
                                  g.attr<std::string>("instance") + "/gradient", false));
  for (size_t i = 0; i < dxs.size(); ++i) g.set_dx(static_cast<int>(i) + 1, dxs[i]);
  return absl::OkStatus();
}

#define TENON_ALL_REDUCE_TYPES "N: int >= 1; T: {half, bfloat16, float, double, int32, int64}"

}  // namespace

TENON_OP(_Communicator) = {
    .inputs = "",
    .outputs = "communicator: resource",
    .attrs = "container: string = ''; shared_name: string; on_device: bool = false",
    .supplies_outputs = true,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_communicator},
};

TENON_OP(_AllReduceStart) = {
    .inputs = "communicator: resource, present: bool, values: N * T",
    .outputs = "pending: variant",
    .attrs = TENON_ALL_REDUCE_TYPES "; instance: string; reduction: {'Sum', 'Mean'} = 'Sum'",
    .effect = Effect::kCollective,
    .supplies_outputs = true,
    .shape = all_reduce_start_shape,
    .gradient = not_differentiable,
    .kernels = {make_all_reduce_start},
};

TENON_OP(_AllReduceDone) = {
    .inputs = "pending: variant, communicator: resource, values: N * T",
    .outputs = "reduced: N * T",
    .attrs = TENON_ALL_REDUCE_TYPES,
    .effect = Effect::kCollective,
    .supplies_outputs = true,
    .shape = all_reduce_done_shape,
    .gradient = all_reduce_gradient,
    .kernels = {make_all_reduce_done},
};

TENON_OP(_DeviceAllReduceStart) = {
    .inputs = "communicator: resource, values: N * T",
    .outputs = "begun: N * T",
    .attrs = TENON_ALL_REDUCE_TYPES "; instance: string",
    .effect = Effect::kCollective,
    .shape = device_all_reduce_shape,
    .gradient = device_start_gradient,
    .kernels = {},
};

TENON_OP(_DeviceAllReduceDone) = {
    .inputs = "communicator: resource, begun: N * T",
    .outputs = "reduced: N * T",
    .attrs = TENON_ALL_REDUCE_TYPES "; instance: string",
    .effect = Effect::kCollective,
    .shape = device_all_reduce_shape,
    .gradient = device_done_gradient,
    .kernels = {},
};

}  // namespace tenon
