#include "tenon/graph/all_reduce.h"

namespace tenon {
namespace {

// A mean is a sum with one value more, how many replicas it is of.
AllReduce start_on_devices(GraphBuilder& build, AllReduce made, std::vector<Endpoint> values) {
  const auto count = static_cast<int64_t>(values.size());
  if (made.mean) {
    const DType dtype = build.dtype(values[0]);
    values.push_back(made.present ? build.cast(made.present, dtype) : build.scalar_of(dtype, 1));
  }
  for (int64_t i = 0; made.present && i < count; ++i) {
    Endpoint& value = values[static_cast<size_t>(i)];
    value = build.op("SelectV2", {made.present, value, build.zeros_like(value)});
  }
  const auto reduced = static_cast<int64_t>(values.size());
  values.insert(values.begin(), made.communicator);
  made.values = build.ops("_DeviceAllReduceStart", std::move(values),
                          {{"instance", made.instance}, {"N", reduced}});
  return made;
}

std::vector<Endpoint> finish_on_devices(GraphBuilder& build, const AllReduce& started) {
  std::vector<Endpoint> inputs = {started.communicator};
  inputs.insert(inputs.end(), started.values.begin(), started.values.end());
  std::vector<Endpoint> results = build.ops(
      "_DeviceAllReduceDone", std::move(inputs),
      {{"instance", started.instance}, {"N", static_cast<int64_t>(started.values.size())}});
  if (!started.mean || results.empty()) return results;
  const Endpoint count = results.back();
  results.pop_back();
  for (Endpoint& result : results) result = build.op("DivNoNan", {result, count});
  return results;
}

}  // namespace

Endpoint communicator(GraphBuilder& build, std::string_view group, bool on_device) {
  return build.op("_Communicator", {},
                  {{"shared_name", std::string(group)}, {"on_device", on_device}});
}

bool sums_on_device(GraphBuilder& build, Endpoint communicator) {
  if (!communicator) return false;
  const Node& node = build.graph().node(communicator.node);
  return node.is("_Communicator") && node.attrs.get<bool>("on_device");
}

AllReduce start_all_reduce(GraphBuilder& build, Endpoint communicator, Endpoint present,
                           std::vector<Endpoint> values, std::string_view instance, bool mean) {
  AllReduce made{communicator, present, {}, {}, std::string(instance), mean};
  if (sums_on_device(build, communicator)) {
    return start_on_devices(build, std::move(made), std::move(values));
  }
  std::vector<Endpoint> inputs = {communicator, present};
  inputs.insert(inputs.end(), values.begin(), values.end());
  made.pending = build.op("_AllReduceStart", std::move(inputs),
                          {{"instance", made.instance},
                           {"reduction", std::string(mean ? "Mean" : "Sum")},
                           {"N", static_cast<int64_t>(values.size())}});
  made.values = std::move(values);
  return made;
}

std::vector<Endpoint> finish_all_reduce(GraphBuilder& build, const AllReduce& started) {
  if (sums_on_device(build, started.communicator)) return finish_on_devices(build, started);
  if (!started.pending) return std::vector<Endpoint>(started.values.size());
  std::vector<Endpoint> inputs = {started.pending, started.communicator};
  inputs.insert(inputs.end(), started.values.begin(), started.values.end());
  std::vector<Endpoint> results = build.ops("_AllReduceDone", std::move(inputs),
                                            {{"N", static_cast<int64_t>(started.values.size())}});
  results.resize(started.values.size());
  return results;
}

}  // namespace tenon
