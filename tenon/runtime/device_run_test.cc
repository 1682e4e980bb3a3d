// Runs whose values live on a device. Without a plug-in's device (TENON_PLUGIN_PATH) the
// processor's runs keep the same promises.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <thread>

#include "tenon/base/thread_pool.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/gradient.h"
#include "tenon/passes/pass.h"
#include "tenon/runtime/executable.h"
#include "tenon/runtime/plugin_test.h"

namespace tenon {
namespace {

using Values = std::vector<float>;

// Graphs that the lazy plug-in has launched; -1 without it.
int64_t graph_launches() {
  const char* path = std::getenv("TENON_PLUGIN_PATH");
  void* library = path ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  void* function = library ? dlsym(library, "lazy_graph_launches") : nullptr;
  return function ? reinterpret_cast<int64_t (*)()>(function)() : -1;
}

Tensor made_up(const Shape& shape, int seed) {
  Tensor values(DType::kFloat, shape);
  for (int64_t i = 0; i < values.num_elements(); ++i) {
    values.mutable_data<float>()[i] = static_cast<float>((i * 29 + seed * 17) % 41) / 20.0f - 1.0f;
  }
  return values;
}

Values on_host(const Tensor& tensor) {
  const StatusOr<Tensor> copy = copy_to(tensor, nullptr);
  EXPECT_TRUE(copy.ok()) << copy.status();
  if (!copy.ok()) return {};
  return Values(copy->span<float>().begin(), copy->span<float>().end());
}

class DeviceRun : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_all_once().ok()) << register_all_once();
    device_ = DeviceRegistry::global().preferred();
  }
  bool separate() const { return !device_->host_accessible(); }

  static std::shared_ptr<Executable> make(Graph graph, std::shared_ptr<ModelState> state = nullptr,
                                          ExecutableOptions options = {}) {
    if (!state) state = std::make_shared<ModelState>();
    auto made = Executable::create(std::move(graph), std::move(state), std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *made : nullptr;
  }

  Device* device_ = nullptr;
};

// x / 2 + 1.
Graph halve() {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{-1});
  graph.results = {b.add(b.mul(x, b.scalar(0.5f)), b.scalar(1.0f))};
  graph.result_names = {"y"};
  return graph;
}

TEST_F(DeviceRun, ResultsStayWhereTheyAreAndAreArguments) {
  const auto run = make(halve());
  std::vector<Tensor> value = {Tensor::vector<float>({8, -3})}, next;
  Values want = {8, -3};
  for (int i = 0; i < 150; ++i) {
    ASSERT_TRUE(run->start(value, next).ok());
    std::swap(value, next);
    for (float& each : want) each = each * 0.5f + 1;
    EXPECT_EQ(device_of(value[0]), separate() ? device_ : nullptr);
  }
  EXPECT_TRUE(wait_for(value[0]).ok());
  EXPECT_EQ(on_host(value[0]), want);
  // And of runs whose results the host gets.
  ASSERT_TRUE(run->run(value, next).ok());
  EXPECT_EQ(device_of(next[0]), nullptr);
  EXPECT_EQ(next[0].data<float>()[0], want[0] * 0.5f + 1);
}

// A row of a table, which the device looks up some time later.
TEST_F(DeviceRun, FailuresComeWithTheResultsAndAreNobodyElses) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint table = b.arg("table", DType::kFloat, PartialShape{3, 2});
  const Endpoint row = b.arg("row", DType::kInt32, PartialShape{1});
  graph.results = {b.op("GatherV2", {table, row, b.scalar<int32_t>(0)})};
  graph.result_names = {"y"};
  const auto look_up = make(std::move(graph)), after = make(halve());
  const auto args = [](int32_t row) {
    return std::vector<Tensor>{made_up({3, 2}, 1), Tensor::vector<int32_t>({row})};
  };
  for (int i = 0; i < 3; ++i) {
    std::vector<Tensor> wrong, of_wrong, right;
    Status status = look_up->start(args(7), wrong);
    ASSERT_TRUE(look_up->start(args(2), right).ok());
    if (separate()) {
      ASSERT_TRUE(status.ok()) << status;
      const std::vector<Tensor> flat = {wrong[0].reshaped(Shape{2})};
      status = after->start(flat, of_wrong);
      if (status.ok()) status = wait_for(of_wrong[0]);
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
      status = wait_for(wrong[0]);
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(on_host(right[0])[0], made_up({3, 2}, 1).data<float>()[4]);
  }
}

// Memory of 16 bytes' alignment, that must not change, whatever a kernel could do in place.
TEST_F(DeviceRun, LentArgumentsAreReadAndNeverWritten) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{-1, 64});
  const Endpoint product = b.matmul(b.neg(x), b.constant(made_up({64, 48}, 3)));
  graph.results = {b.op("Relu", {product}), b.op("Tanh", {x}), b.op("Identity", {x})};
  graph.result_names = {"product", "tanh", "same"};
  const auto run = make(std::move(graph));
  for (int64_t rows : {1, 7, 130}) {
    const Tensor own[] = {made_up({rows, 64}, 2)};
    std::vector<Tensor> want;
    ASSERT_TRUE(run->run(own, want).ok());
    std::vector<char> memory(own[0].num_bytes() + 128);
    for (size_t offset : {16, 32, 48, 4}) {
      char* begin = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) + offset;
      std::memcpy(begin, own[0].raw(), own[0].num_bytes());
      int released = 0;
      {
        auto lent = Tensor::lent(DType::kFloat, {rows, 64}, begin, [&] { ++released; });
        ASSERT_TRUE(lent.ok()) << lent.status();
        const Tensor args[] = {*std::exchange(lent, Tensor())};
        // Also where the caller hands it in as a result to be written.
        std::vector<Tensor> results = {Tensor(), args[0], args[0]};
        ASSERT_TRUE(run->run(args, results).ok());
        for (size_t i = 0; i < want.size(); ++i) {
          EXPECT_EQ(std::memcmp(results[i].raw(), want[i].raw(), want[i].num_bytes()), 0)
              << rows << " rows, offset " << offset << ", result " << i;
        }
        EXPECT_EQ(std::memcmp(begin, own[0].raw(), own[0].num_bytes()), 0);
      }
      EXPECT_EQ(released, 1);
    }
  }
}

// --- training ---

// One step of gradient descent on |x w - y|^2, on a variable "w"; the loss before it.
Graph descent_step() {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{6, 4});
  const Endpoint y = b.arg("y", DType::kFloat, PartialShape{6, 3});
  const auto variable = [&](const char* name, const PartialShape& shape) {
    return b.op("VarHandleOp", {},
                {{"dtype", DType::kFloat}, {"shape", shape}, {"shared_name", std::string(name)}});
  };
  const Endpoint handle = variable("w", {4, 3}), rate = variable("rate", {});
  const auto read = [&](Endpoint of) {
    return b.op("ReadVariableOp", {of}, {{"dtype", DType::kFloat}});
  };
  const Endpoint w = read(handle);
  const Endpoint loss =
      b.sum(b.op("Square", {b.op("Sub", {b.matmul(x, w), y})}), std::vector<int64_t>{0, 1});
  const Endpoint losses[] = {loss}, variables[] = {w};
  const auto found = gradients(graph, losses, {}, variables);
  EXPECT_TRUE(found.ok()) << found.status();
  const NodeId update = b.node("ResourceApplyGradientDescent", {handle, read(rate), (*found)[0]},
                               {{"T", DType::kFloat}});
  graph.results = {loss};
  graph.result_names = {"loss"};
  graph.control_results.push_back(update);
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

std::shared_ptr<ModelState> state_to_descend() {
  auto state = std::make_shared<ModelState>();
  EXPECT_TRUE(state->set_variable("w", made_up({4, 3}, 5)).ok());
  EXPECT_TRUE(state->set_variable("rate", Tensor::scalar(0.02f)).ok());
  return state;
}

// The losses of 12 steps. In the middle somebody on the host changes the rate, and once the
// weights.
Values descend(Device* device, bool capture, std::shared_ptr<ModelState> state = nullptr) {
  if (!state) state = state_to_descend();
  ExecutableOptions options;
  options.device = device;
  options.capture = capture;
  const auto step = Executable::create(descent_step(), state, options);
  EXPECT_TRUE(step.ok()) << step.status();
  std::vector<std::vector<Tensor>> results(12);
  for (int i = 0; i < 12; ++i) {
    const Tensor args[] = {made_up({6, 4}, i), made_up({6, 3}, 50 + i)};
    const Status status = (*step)->start(args, results[static_cast<size_t>(i)]);
    EXPECT_TRUE(status.ok()) << status;
    Status assigned;
    if (i == 5) assigned = state->variable("rate")->assign(Tensor::scalar(0.01f));
    if (i == 8) assigned = state->variable("w")->assign(made_up({4, 3}, 6));
    EXPECT_TRUE(assigned.ok()) << assigned;
  }
  Values losses;
  for (const auto& result : results) losses.push_back(on_host(result[0])[0]);
  return losses;
}

TEST_F(DeviceRun, ACapturedStepComputesWhatItsPartsDo) {
  const Values want = descend(cpu_device(), true);
  EXPECT_LT(want[4], want[0]);
  const int64_t before = graph_launches();
  const Values captured = descend(device_, true);
  const int64_t launched = graph_launches() - before;
  const Values in_parts = descend(device_, false);
  if (before >= 0) {
    EXPECT_EQ(launched, 11);  // all but the first
    EXPECT_EQ(graph_launches(), before + launched);
  }
  EXPECT_EQ(captured, in_parts);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(captured[i], want[i], 1e-5f * want[i]);
}

TEST_F(DeviceRun, TwoDevicesWorkAtOneTime) {
  const std::vector<Device*> devices = separate_devices();
  if (devices.size() < 2) GTEST_SKIP() << "there are not two devices with memory of their own";
  const Values want = descend(cpu_device(), true);
  std::vector<Values> found(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] { found[i] = descend(devices[i], true); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(found[0], found[1]);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(found[0][i], want[i], 1e-5f * want[i]);
  // What one has computed is an argument of the other.
  ExecutableOptions first, second;
  first.device = devices[0];
  second.device = devices[1];
  const auto a = make(halve(), nullptr, first), b = make(halve(), nullptr, second);
  std::vector<Tensor> x = {Tensor::vector<float>({4})}, y, z;
  ASSERT_TRUE(a->start(x, y).ok());
  ASSERT_TRUE(b->start(y, z).ok());
  EXPECT_EQ(device_of(z[0]), devices[1]);
  EXPECT_EQ(on_host(z[0]), Values{2.5f});
}

// Readers beside a captured step that changes the variable see one value, whole.
TEST_F(DeviceRun, ReadersKeepASnapshotAndTheVariableItsAddress) {
  const auto state = state_to_descend();
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint w = b.op("ReadVariableOp",
                          {b.op("VarHandleOp", {},
                                {{"dtype", DType::kFloat},
                                 {"shape", PartialShape{4, 3}},
                                 {"shared_name", std::string("w")}})},
                          {{"dtype", DType::kFloat}});
  graph.results = {w, b.op("Sub", {w, w}), b.op("Neg", {w})};
  graph.result_names = {"w", "nothing", "negative"};
  const auto reader = make(std::move(graph), state);
  std::vector<Tensor> before, after;
  ASSERT_TRUE(reader->start({}, before).ok());
  std::vector<const void*> places;
  for (int round = 0; round < 2; ++round) {
    descend(device_, true, state);
    const auto stream = device_->create_stream();
    ASSERT_TRUE(stream.ok());
    if (separate()) places.push_back(state->variable("w")->read_in_place(**stream)->raw());
  }
  for (const void* place : places) EXPECT_EQ(place, places[0]);
  EXPECT_EQ(on_host(before[0]), on_host(made_up({4, 3}, 5)));
  ASSERT_TRUE(reader->start({}, after).ok());
  EXPECT_NE(on_host(after[0]), on_host(before[0]));
  EXPECT_EQ(on_host(after[0]), on_host(*state->variable("w")->read()));

  std::atomic<bool> training{true};
  std::atomic<int> wrong{0};
  std::thread beside([&] {
    while (training) {
      std::vector<Tensor> seen;
      wrong += !reader->start({}, seen).ok();
      const Values value = on_host(seen[0]), negative = on_host(seen[2]);
      for (float zero : on_host(seen[1])) wrong += zero != 0;
      for (size_t i = 0; i < value.size(); ++i) wrong += negative[i] != -value[i];
    }
  });
  for (int round = 0; round < 4; ++round) descend(device_, true, state);
  training = false;
  beside.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(DeviceRun, OpsAreFusedAsTheDeviceWantsThem) {
  for (const std::string unwanted :
       {"", "_FusedMatMul", "_FusedElementwise", "_FusedMixedElementwise"}) {
    Graph graph;
    GraphBuilder b(graph);
    const Endpoint x = b.arg("x", DType::kFloat, PartialShape{3, 4});
    const Endpoint product = b.matmul(x, b.constant(made_up({4, 5}, 1)));
    graph.results = {b.op("Relu", {b.op("BiasAdd", {product, b.constant(made_up({5}, 2))})}),
                     b.op("Exp", {b.op("Neg", {x})}), b.neg(b.cast(x, DType::kBfloat16))};
    graph.result_names = {"y", "e", "n"};
    PassContext context;
    context.frozen_variable = [](std::string_view) { return Tensor(); };
    context.wants_fusion = [&](std::string_view op) { return op != unwanted; };
    ASSERT_TRUE(run_passes(graph, context, true).ok());
    std::map<std::string, int> ops;
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (graph.alive(id)) ++ops[std::string(graph.node(id).op->name())];
    }
    EXPECT_EQ(ops["_FusedMatMul"], unwanted != "_FusedMatMul");
    EXPECT_EQ(ops["Exp"], unwanted == "_FusedElementwise");
    EXPECT_EQ(ops["Cast"], unwanted == "_FusedMixedElementwise" || unwanted == "_FusedElementwise");
  }
}

// Runs that wait for each other must not wait for a turn.
TEST_F(DeviceRun, RunsOnADeviceWaitForNoTurn) {
  std::vector<std::thread> long_runs;
  std::atomic<int> inside{0};
  std::atomic<bool> over{false};
  const int most = std::max(2, ThreadPool::configured_threads() / 2);
  for (int i = 0; i < most; ++i) {
    long_runs.emplace_back([&] {
      const auto turn = RunTurn::take(RunForm::kLong, {});
      ++inside;
      while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
  }
  while (inside < most) std::this_thread::yield();
  const RunLimits soon{std::chrono::steady_clock::now() + std::chrono::seconds(20), nullptr};
  for (int i = 0; i < 8; ++i) {
    std::thread([&] { EXPECT_TRUE(RunTurn::take(RunForm::kDevice, soon).ok()); }).join();
  }
  over = true;
  for (std::thread& thread : long_runs) thread.join();
}

}  // namespace
}  // namespace tenon
