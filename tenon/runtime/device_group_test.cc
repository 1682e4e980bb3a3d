// Reductions among the devices of a plug-in (TENON_PLUGIN_PATH), in steps that run side by side.
#include <gtest/gtest.h>

#include <thread>

#include "tenon/graph/all_reduce.h"
#include "tenon/graph/gradient.h"
#include "tenon/runtime/executable.h"
#include "tenon/runtime/plugin/plugin_group.h"
#include "tenon/runtime/plugin_test.h"

namespace tenon {
namespace {

constexpr std::string_view kGroup = "group";

// A step of each member: the sum and the mean over those present, beside work of its own.
Graph reduce_twice() {
  Graph graph;
  GraphBuilder g(graph);
  const Endpoint x = g.arg("x", DType::kFloat, PartialShape{-1});
  const Endpoint present = g.arg("present", DType::kBool, PartialShape(Shape()));
  const Endpoint group = communicator(g, kGroup, true);
  const AllReduce sum = start_all_reduce(g, group, Endpoint(), {g.mul(x, x), x}, "sum", false);
  const AllReduce mean = start_all_reduce(g, group, present, {g.neg(x)}, "mean", true);
  const Endpoint own = g.add(g.mul(x, x), g.scalar(1.0f));
  const std::vector<Endpoint> sums = finish_all_reduce(g, sum);
  const std::vector<Endpoint> means = finish_all_reduce(g, mean);
  graph.results = {g.add(sums[0], own), g.mul(sums[1], g.scalar(2.0f)), means[0]};
  EXPECT_TRUE(g.status().ok()) << g.status();
  return graph;
}

class DeviceGroup : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_all_once().ok()) << register_all_once();
    devices_ = separate_devices();
    if (devices_.size() < 2) GTEST_SKIP() << "there are not two devices";
    make(reduce_twice());
    if (members_.empty()) GTEST_SKIP() << "the devices do not sum values among themselves";
  }

  void make(const Graph& graph) {
    auto members = open_device_group(devices_);
    ASSERT_TRUE(members.ok()) << members.status();
    members_ = *std::move(members);
    steps_.clear();
    for (size_t rank = 0; rank < members_.size(); ++rank) {
      const auto state = std::make_shared<ModelState>();
      const auto place = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(members_[rank]); };
      ASSERT_TRUE(state->find_or_create("", kGroup, place).ok());
      ExecutableOptions options;
      options.device = devices_[rank];
      auto step = Executable::create(graph, state, options);
      ASSERT_TRUE(step.ok()) << step.status();
      steps_.push_back(*std::move(step));
    }
    results_.assign(steps_.size(), {});
  }

  // Runs `step(rank)` for all at a time.
  std::vector<Status> side_by_side(FunctionRef<Status(size_t)> step) {
    std::vector<Status> statuses(steps_.size());
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < steps_.size(); ++rank) {
      threads.emplace_back([&, rank] { statuses[rank] = step(rank); });
    }
    for (std::thread& thread : threads) thread.join();
    return statuses;
  }

  std::vector<Device*> devices_;
  std::vector<Ref<DeviceCommunicator>> members_;
  std::vector<std::shared_ptr<Executable>> steps_;
  std::vector<std::vector<Tensor>> results_;
};

Tensor of_rank(size_t rank, int step) {
  return Tensor::vector<float>({1.0f + static_cast<float>(rank), static_cast<float>(step), -2.0f});
}

TEST_F(DeviceGroup, StepsGetTheSumsOfAllAndTheMeansOfThosePresent) {
  const size_t count = devices_.size();
  for (int step = 0; step < 6; ++step) {
    const auto statuses = side_by_side([&](size_t rank) {
      const Tensor args[] = {of_rank(rank, step), Tensor::scalar(rank != 1)};
      return steps_[rank]->run(args, results_[rank]);
    });
    for (const Status& status : statuses) ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < 3; ++i) {
      float squares = 0, sum = 0, of_present = 0;
      for (size_t rank = 0; rank < count; ++rank) {
        const float x = of_rank(rank, step).data<float>()[i];
        squares += x * x;
        sum += x;
        of_present += rank == 1 ? 0 : x;
      }
      for (size_t rank = 0; rank < count; ++rank) {
        const float x = of_rank(rank, step).data<float>()[i];
        EXPECT_EQ(results_[rank][0].data<float>()[i], squares + (x * x + 1)) << rank;
        EXPECT_EQ(results_[rank][1].data<float>()[i], sum * 2) << rank;
        EXPECT_EQ(results_[rank][2].data<float>()[i], -of_present / static_cast<float>(count - 1));
      }
    }
  }
}

// d(sum of y * y) / dx, where y is the sum of all members' x: every member's y depends on it.
TEST_F(DeviceGroup, GradientsFlowToTheValuesOfAll) {
  Graph graph;
  GraphBuilder g(graph);
  const Endpoint x = g.arg("x", DType::kFloat, PartialShape{-1});
  const Endpoint y = finish_all_reduce(
      g, start_all_reduce(g, communicator(g, kGroup, true), Endpoint(), {x}, "y", false))[0];
  const Endpoint losses[] = {g.mul(y, y)}, variables[] = {x};
  const auto found = gradients(graph, losses, {}, variables);
  ASSERT_TRUE(found.ok()) << found.status();
  graph.results = *found;
  make(graph);
  for (int step = 0; step < 3; ++step) {
    const auto statuses = side_by_side([&](size_t rank) {
      const Tensor args[] = {of_rank(rank, step)};
      return steps_[rank]->run(args, results_[rank]);
    });
    for (const Status& status : statuses) ASSERT_TRUE(status.ok()) << status;
    float sum = 0;
    const auto count = static_cast<float>(devices_.size());
    for (size_t rank = 0; rank < devices_.size(); ++rank) sum += 1.0f + static_cast<float>(rank);
    EXPECT_EQ(results_[0][0].data<float>()[0], 2 * sum * count);
  }
}

// In the first, uncaptured step and in a captured one: the others would wait for ever.
TEST_F(DeviceGroup, AMemberThatFailsReleasesTheOthers) {
  for (const int failing : {0, 3}) {
    make(reduce_twice());
    for (int step = 0; step <= failing; ++step) {
      const auto statuses = side_by_side([&](size_t rank) -> Status {
        if (step == failing && rank == 1) {
          members_[rank]->abort();
          return make_status(absl::StatusCode::kDataLoss, "no batch");
        }
        const Tensor args[] = {of_rank(rank, step), Tensor::scalar(true)};
        return steps_[rank]->run(args, results_[rank]);
      });
      if (step < failing) {
        for (const Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
        continue;
      }
      // A GPU ends captured work without a word.
      const bool says_so = devices_[0]->type() != "GPU" || failing == 0;
      for (size_t rank = 0; rank < statuses.size(); ++rank) {
        if (rank == 1) continue;
        EXPECT_TRUE(absl::IsAborted(statuses[rank]) || (!says_so && statuses[rank].ok()))
            << statuses[rank];
      }
    }
  }
}

}  // namespace
}  // namespace tenon
