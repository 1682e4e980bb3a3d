#include "tenon/graph/all_reduce.h"

namespace tenon {

Endpoint communicator(GraphBuilder& build, std::string_view group) {
  return build.op("_Communicator", {}, {{"shared_name", std::string(group)}});
}

AllReduce start_all_reduce(GraphBuilder& build, Endpoint communicator, Endpoint present,
                           std::vector<Endpoint> values, std::string_view instance, bool mean) {
  std::vector<Endpoint> inputs = {communicator, present};
  inputs.insert(inputs.end(), values.begin(), values.end());
  const Endpoint pending = build.op("_AllReduceStart", std::move(inputs),
                                    {{"instance", std::string(instance)},
                                     {"reduction", std::string(mean ? "Mean" : "Sum")},
                                     {"N", static_cast<int64_t>(values.size())}});
  return {communicator, present, pending, std::move(values)};
}

std::vector<Endpoint> finish_all_reduce(GraphBuilder& build, const AllReduce& started) {
  if (!started.pending) return std::vector<Endpoint>(started.values.size());
  std::vector<Endpoint> inputs = {started.pending, started.communicator};
  inputs.insert(inputs.end(), started.values.begin(), started.values.end());
  std::vector<Endpoint> results = build.ops("_AllReduceDone", std::move(inputs),
                                            {{"N", static_cast<int64_t>(started.values.size())}});
  results.resize(started.values.size());
  return results;
}

}  // namespace tenon
