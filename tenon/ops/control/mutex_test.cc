#include "tenon/graph/builder.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

// The ops that tf.CriticalSection writes around a function.
TEST(MutexOps, LetACriticalSectionRun) {
  if (!OpRegistry::global().find("While")) {
    ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
  }
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint lock = b.op("MutexLock", {b.op("MutexV2", {})});
  const Endpoint inside = b.op("Identity", {b.scalar<float>(3)});
  graph.node(inside.node).control_inputs.push_back(lock.node);
  const NodeId end = b.node("ConsumeMutexLock", {lock});
  graph.node(end).control_inputs.push_back(inside.node);
  graph.results = {inside};
  graph.result_names = {"y"};
  graph.control_results.push_back(end);
  ASSERT_TRUE(b.status().ok()) << b.status();
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  for (int i = 0; i < 2; ++i) {
    std::vector<Tensor> results;
    ASSERT_TRUE((*executable)->run({}, results).ok());
    EXPECT_EQ(*results[0].data<float>(), 3);
  }
}

}  // namespace
}  // namespace tenon
