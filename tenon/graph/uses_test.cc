// Outside truth: a search through the whole graph.
#include "tenon/graph/uses.h"

#include <gtest/gtest.h>

#include <random>

#include "tenon/graph/builder.h"
#include "tenon/ops/registered_ops_test.h"

namespace tenon {
namespace {

struct Found {
  int readers = 0;
  NodeId last = -1;
  bool waited_for = false;
};

Found search(const Graph& graph, Endpoint value) {
  Found found;
  for (NodeId id = 0; id < graph.size(); ++id) {
    for (Endpoint input : graph.node(id).inputs) {
      if (input != value) continue;
      ++found.readers;
      found.last = id;
    }
    for (NodeId control : graph.node(id).control_inputs) found.waited_for |= control == value.node;
  }
  for (Endpoint result : graph.results) {
    if (result != value) continue;
    ++found.readers;
    found.last = -1;
  }
  for (NodeId control : graph.control_results) found.waited_for |= control == value.node;
  return found;
}

TEST(Uses, FollowsEveryChange) {
  ASSERT_TRUE(registered_ops().ok()) << registered_ops();
  std::mt19937 random(3);
  for (int round = 0; round < 20; ++round) {
    Graph graph;
    GraphBuilder b(graph);
    std::vector<Endpoint> values{b.arg("x", DType::kFloat, {2})};
    const auto pick = [&](size_t below) { return values[random() % below]; };
    const auto grow = [&] {
      const Endpoint y = b.add(pick(values.size()), pick(values.size()));
      if (random() % 3 == 0 && y.node > 1) {
        graph.node(y.node).control_inputs.push_back(pick(values.size()).node);
      }
      values.push_back(y);
    };
    for (int i = 0; i < 30; ++i) grow();
    graph.results = {values.back(), values[5], values[5]};
    graph.control_results = {values[7].node};
    Uses uses(graph);
    const auto alive = [&](size_t i) { return graph.alive(values[i].node); };
    for (int change = 0; change < 60; ++change) {
      // Later values are replaced by earlier ones: no cycle.
      const size_t from = 1 + random() % (values.size() - 1), to = random() % from;
      if (!alive(from) || !alive(to)) continue;
      switch (random() % 4) {
        case 0:
          uses.replace_value(values[from], values[to]);
          break;
        case 1:
          uses.replace_control(values[from].node, values[to].node);
          break;
        case 2:
          uses.remove_if_unused(values[from].node);
          break;
        default:
          if (std::all_of(values.begin(), values.end(),
                          [&](Endpoint e) { return graph.alive(e.node); })) {
            grow();
          }
      }
      for (Endpoint value : values) {
        if (!graph.alive(value.node)) continue;
        const Found found = search(graph, value);
        ASSERT_EQ(uses.is_read(value), found.readers > 0);
        ASSERT_EQ(uses.only_reader(value), found.readers == 1 ? found.last : -1);
        ASSERT_EQ(uses.is_waited_for(value.node), found.waited_for);
      }
    }
    ASSERT_TRUE(b.status().ok()) << b.status();
  }
}

TEST(Uses, DroppedControlInputsAreGoneInTheEnd) {
  ASSERT_TRUE(registered_ops().ok()) << registered_ops();
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, {2});
  const Endpoint first = b.neg(x), second = b.neg(x), y = b.neg(x);
  graph.node(y.node).control_inputs = {first.node, second.node};
  graph.control_results = {first.node, y.node};
  {
    Uses uses(graph);
    uses.drop_control(first.node);
    EXPECT_FALSE(uses.is_waited_for(first.node));
    EXPECT_TRUE(uses.is_waited_for(second.node));
  }
  EXPECT_EQ(graph.node(y.node).control_inputs, std::vector<NodeId>{second.node});
  EXPECT_EQ(graph.control_results, std::vector<NodeId>{y.node});
}

}  // namespace
}  // namespace tenon
