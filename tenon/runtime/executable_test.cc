#include "tenon/runtime/executable.h"

#include <thread>

#include "tenon/graph/builder.h"
#include "tenon/runtime/plugin_test.h"

namespace tenon {
namespace {

// Large enough for a write and a read to take as long as they need to meet.
constexpr int64_t kElements = 1 << 19;

class CounterVariable : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_all_once().ok()) << register_all_once();
    state_ = std::make_shared<ModelState>();
    Tensor zeros(DType::kFloat, Shape{kElements});
    std::fill_n(zeros.mutable_data<float>(), kElements, 0.0f);
    ASSERT_TRUE(state_->set_variable("counter", zeros).ok());
  }

  static Endpoint handle(GraphBuilder& b) {
    return b.op("VarHandleOp", {},
                {{"dtype", DType::kFloat},
                 {"shape", PartialShape{kElements}},
                 {"shared_name", std::string("counter")}});
  }

  std::shared_ptr<Executable> executable(Graph graph) {
    auto made = Executable::create(std::move(graph), state_);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *made : nullptr;
  }

  // counter += 1, by an op that writes in place.
  std::shared_ptr<Executable> adder() {
    Graph graph;
    GraphBuilder b(graph);
    Tensor ones(DType::kFloat, Shape{kElements});
    std::fill_n(ones.mutable_data<float>(), kElements, 1.0f);
    const NodeId add =
        b.node("AssignAddVariableOp", {handle(b), b.constant(ones)}, {{"dtype", DType::kFloat}});
    graph.control_results.push_back(add);
    return executable(std::move(graph));
  }

  // 2 * counter.
  std::shared_ptr<Executable> reader() {
    Graph graph;
    GraphBuilder b(graph);
    const Endpoint value = b.op("ReadVariableOp", {handle(b)}, {{"dtype", DType::kFloat}});
    graph.results = {b.mul(value, b.scalar(2.0f))};
    graph.result_names = {"twice"};
    return executable(std::move(graph));
  }

  std::shared_ptr<ModelState> state_;
};

TEST_F(CounterVariable, KeepsItsValueBetweenRunsAndShowsItToTheHost) {
  const auto add = adder(), read = reader();
  std::vector<Tensor> results;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(add->run({}, results).ok());
  ASSERT_TRUE(read->run({}, results).ok());
  EXPECT_EQ(results[0].data<float>()[kElements - 1], 6.0f);
  const auto value = state_->variable("counter")->read();
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(value->data<float>()[0], 3.0f);
}

// Readers run beside the writer; each sees the value between two writes, never half of one.
TEST_F(CounterVariable, IsNeverSeenHalfWritten) {
  constexpr int kWrites = 60;
  const auto add = adder(), read = reader();
  std::atomic<bool> writing{true};
  std::atomic<int> torn{0}, backwards{0}, failed{0};
  const auto look = [&] {
    std::vector<Tensor> results;
    float last = 0;
    while (writing) {
      if (!read->run({}, results).ok()) ++failed;
      const auto seen = results[0].span<float>();
      torn += std::any_of(seen.begin(), seen.end(), [&](float x) { return x != seen[0]; });
      backwards += seen[0] < last;
      last = seen[0];
    }
  };
  std::thread first(look), second(look);
  std::vector<Tensor> results;
  for (int i = 0; i < kWrites; ++i) failed += !add->run({}, results).ok();
  writing = false;
  first.join();
  second.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(backwards, 0);
  EXPECT_EQ(failed, 0);
  const auto value = state_->variable("counter")->read();
  EXPECT_EQ(value->data<float>()[0], static_cast<float>(kWrites));
}

// The preferred device is the one that works: its memory holds what the Executable needs.
TEST_F(CounterVariable, LivesOnThePreferredDevice) {
  Device* device = DeviceRegistry::global().preferred();
  if (device->host_accessible()) GTEST_SKIP() << "no device has memory of its own";
  const uint64_t before = device->memory().free_bytes;
  const auto add = adder();
  std::vector<Tensor> results;
  ASSERT_TRUE(add->run({}, results).ok());
  EXPECT_LE(device->memory().free_bytes + kElements * sizeof(float), before);
}

}  // namespace
}  // namespace tenon
