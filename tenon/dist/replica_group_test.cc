// All-reduce between replicas, through graphs, on fewer threads than there are replicas.
#include "tenon/dist/replica_group.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tenon/base/thread_pool.h"
#include "tenon/dist/replica_team.h"
#include "tenon/dist/sum_replicas.h"
#include "tenon/graph/all_reduce.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/plan.h"

namespace tenon::dist {
namespace {

const bool kRegistered = [] {
  ThreadPool::configure(1);  // a gate that lets two runs in, whatever the machine
  return register_all_ops(OpRegistry::global()).ok();
}();

// A step of each replica: y = reduce(x) + x for two reductions of two groups, one after the other.
Graph two_reductions(bool mean) {
  Graph graph;
  GraphBuilder g(graph);
  const Endpoint x = g.arg("x", DType::kFloat, PartialShape{-1});
  const Endpoint present = g.arg("present", DType::kBool, PartialShape(Shape()));
  const Endpoint a = communicator(g, "a"), b = communicator(g, "b");
  const AllReduce first = start_all_reduce(g, a, present, {x, g.mul(x, x)}, "first", mean);
  const AllReduce second = start_all_reduce(g, b, present, {g.neg(x)}, "second", mean);
  const std::vector<Endpoint> one = finish_all_reduce(g, first);
  const std::vector<Endpoint> two = finish_all_reduce(g, second);
  graph.results = {g.add(one[0], x), one[1], two[0]};
  EXPECT_TRUE(g.status().ok()) << g.status();
  return graph;
}

struct Replicas {
  ReplicaGroup a, b;
  std::unique_ptr<ReplicaTeam> team;
  std::vector<std::shared_ptr<Executable>> executables;
  std::vector<std::vector<Tensor>> results;

  Replicas(int count, const Graph& graph) : a(count), b(count), results(size_t(count)) {
    EXPECT_TRUE(kRegistered);
    auto made = ReplicaTeam::create(count);
    EXPECT_TRUE(made.ok()) << made.status();
    team = *std::move(made);
    for (int rank = 0; rank < count; ++rank) {
      const auto state = std::make_shared<ModelState>();
      EXPECT_TRUE(a.install(rank, "a", *state).ok());
      EXPECT_TRUE(b.install(rank, "b", *state).ok());
      auto executable = Executable::create(graph, state);
      EXPECT_TRUE(executable.ok()) << executable.status();
      if (executable.ok()) executables.push_back(*executable);
    }
  }
  Status run(FunctionRef<std::vector<Tensor>(int)> args, const RunLimits& limits = {}) {
    const Status status = team->run(
        [&](int rank) {
          const auto at = static_cast<size_t>(rank);
          return executables[at]->run(args(rank), results[at], limits);
        },
        [&](const Status& failed) {
          a.fail(failed);
          b.fail(failed);
        });
    a.reset();
    b.reset();
    return status;
  }
};

Tensor ramp(int rank, int64_t size) {
  Tensor x(DType::kFloat, Shape{size});
  for (int64_t i = 0; i < size; ++i) {
    x.mutable_data<float>()[i] = static_cast<float>(rank + 1) * 0.1f + static_cast<float>(i % 97);
  }
  return x;
}

class ReplicaCount : public testing::TestWithParam<int> {};

TEST_P(ReplicaCount, SumsInTheOrderOfTheReplicas) {
  const int count = GetParam();
  Replicas replicas(count, two_reductions(false));
  const int64_t size = 40000;
  for (int step = 0; step < 3; ++step) {
    const Status status = replicas.run([&](int rank) {
      return std::vector{ramp(rank, size), Tensor::scalar(true)};
    });
    ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < size; i += 997) {
      float sum = ramp(0, size).data<float>()[i];
      for (int rank = 1; rank < count; ++rank) sum += ramp(rank, size).data<float>()[i];
      EXPECT_EQ(replicas.results[0][2].data<float>()[i], -sum);
    }
    for (int rank = 1; rank < count; ++rank) {
      const Tensor& other = replicas.results[static_cast<size_t>(rank)][1];
      EXPECT_EQ(std::memcmp(other.raw(), replicas.results[0][1].raw(), other.num_bytes()), 0);
    }
  }
}

TEST_P(ReplicaCount, MeanIsThatOfThePresent) {
  const int count = GetParam();
  Replicas replicas(count, two_reductions(true));
  const Status status = replicas.run([&](int rank) {
    return std::vector{ramp(rank, 5), Tensor::scalar(rank == 0)};
  });
  ASSERT_TRUE(status.ok()) << status;
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(replicas.results.back()[2].data<float>()[i], -ramp(0, 5).data<float>()[i]);
  }
}

// One replica has a shape of its own: all hear of it, and the next step is as if nothing had been.
TEST_P(ReplicaCount, AMisfitReleasesAll) {
  const int count = GetParam();
  if (count == 1) return;
  Replicas replicas(count, two_reductions(false));
  const auto step = [&](bool misfit) {
    return replicas.run([&](int rank) {
      return std::vector{ramp(rank, misfit && rank == 1 ? 6 : 5), Tensor::scalar(true)};
    });
  };
  const Status status = step(true);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(step(false).ok());
}

// A replica whose step fails before it comes to the reduction.
TEST_P(ReplicaCount, AFailingReplicaReleasesAll) {
  const int count = GetParam();
  Replicas replicas(count, two_reductions(false));
  const Status status = replicas.team->run(
      [&](int rank) -> Status {
        if (rank == count - 1) return invalid_argument("its cable was cut");
        const auto at = static_cast<size_t>(rank);
        return replicas.executables[at]->run(std::vector{ramp(rank, 5), Tensor::scalar(true)},
                                             replicas.results[at]);
      },
      [&](const Status& failed) {
        replicas.a.fail(failed);
        replicas.b.fail(failed);
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("its cable was cut"), std::string::npos) << status;
  EXPECT_NE(status.message().find(cat("replica ", count - 1, " of ", count)), std::string::npos);
}

// Nobody tells: what was handed in is taken back, and that releases the others.
TEST_P(ReplicaCount, CancellationReleasesAll) {
  const int count = GetParam();
  if (count == 1) return;
  Replicas replicas(count, two_reductions(false));
  std::atomic<bool> cancelled{false};
  std::atomic<int> arrived{0};
  const Status status = replicas.team->run(
      [&](int rank) -> Status {
        if (rank == count - 1) {  // stays away
          while (arrived < count - 1) std::this_thread::yield();
          cancelled = true;
          return absl::OkStatus();
        }
        ++arrived;
        const auto at = static_cast<size_t>(rank);
        return replicas.executables[at]->run(std::vector{ramp(rank, 5), Tensor::scalar(true)},
                                             replicas.results[at], {.cancelled = &cancelled});
      },
      [](const Status&) {});
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

INSTANTIATE_TEST_SUITE_P(Counts, ReplicaCount, testing::Values(1, 2, 3, 8),
                         [](const auto& info) { return cat(info.param, "_replicas"); });

// d/dx_j of sum_i sum(w_i * reduce(x)) is the sum of all w_i.
TEST(AllReduce, GradientIsTheReductionOfTheGradients) {
  Graph graph;
  GraphBuilder g(graph);
  const Endpoint x = g.arg("x", DType::kFloat, PartialShape{-1});
  const Endpoint w = g.arg("w", DType::kFloat, PartialShape{-1});
  const Endpoint present = g.scalar(true);
  const AllReduce started = start_all_reduce(g, communicator(g, "a"), present, {x}, "sum", false);
  const Endpoint y = g.mul(w, finish_all_reduce(g, started)[0]);
  ASSERT_TRUE(g.status().ok()) << g.status();
  const Endpoint ys[] = {y}, xs[] = {x};
  const auto dx = gradients(graph, ys, {}, xs);
  ASSERT_TRUE(dx.ok()) << dx.status();
  graph.results = *dx;
  Replicas replicas(3, graph);
  ASSERT_TRUE(replicas.run([&](int rank) { return std::vector{ramp(0, 4), ramp(rank, 4)}; }).ok());
  for (int64_t i = 0; i < 4; ++i) {
    float sum = ramp(0, 4).data<float>()[i];
    for (int rank = 1; rank < 3; ++rank) sum += ramp(rank, 4).data<float>()[i];
    for (const auto& results : replicas.results) EXPECT_EQ(results[0].data<float>()[i], sum);
  }
}

TEST(SumReplicas, AddsHalvesInFloatAndIntegersModulo) {
  const auto part = [](Tensor value) { return Part{true, {std::move(value)}}; };
  std::vector<Tensor> results;
  const std::vector<Part> halves = {part(Tensor::scalar(float16(2048))),
                                    part(Tensor::scalar(float16(1))),
                                    part(Tensor::scalar(float16(1)))};
  ASSERT_TRUE(sum_replicas(halves, Reduction::kSum, results).ok());
  EXPECT_EQ(static_cast<float>(*results[0].data<float16>()), 2050.0f);
  const std::vector<Part> integers = {part(Tensor::scalar(INT32_MAX)), part(Tensor::scalar(1))};
  ASSERT_TRUE(sum_replicas(integers, Reduction::kSum, results).ok());
  EXPECT_EQ(*results[0].data<int32_t>(), INT32_MIN);
  const std::vector<Part> texts = {part(Tensor::string("a"))};
  EXPECT_EQ(sum_replicas(texts, Reduction::kSum, results).code(), absl::StatusCode::kUnimplemented);
}

// Starts of a group keep their order; the work between start and end stands between them.
TEST(AllReduce, StandsWhereTheWorkBetweenGoesOn) {
  Graph graph;
  GraphBuilder g(graph);
  const Endpoint x = g.arg("x", DType::kFloat, PartialShape{4});
  const Endpoint group = communicator(g, "a"), present = g.scalar(true);
  const Endpoint first = g.op("Exp", {x});
  const Endpoint later = g.op("Tanh", {g.op("Sin", {first})});
  const AllReduce started = start_all_reduce(g, group, present, {first}, "sum", false);
  graph.results = {finish_all_reduce(g, started)[0], later};
  ASSERT_TRUE(g.status().ok()) << g.status();
  const auto state = std::make_shared<ModelState>();
  const ReplicaGroup replicas(1);
  ASSERT_TRUE(replicas.install(0, "a", *state).ok());
  ExecutableOptions options;
  options.optimize = false;
  const auto plan = Plan::create(std::move(graph), state, options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE((*plan)->has_effects());
  EXPECT_FALSE((*plan)->writes_state());
  std::string order;
  for (NodeId id : (*plan)->order()) order += (*plan)->graph().node(id).op->name() + " ";
  EXPECT_NE(order.find("Exp _AllReduceStart Sin Tanh _AllReduceDone"), std::string::npos) << order;
}

}  // namespace
}  // namespace tenon::dist
