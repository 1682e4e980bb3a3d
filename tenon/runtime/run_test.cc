// What Executable::run() promises whatever the team, the limits and the number of shapes.
#include <gtest/gtest.h>
#include <malloc.h>

#include <numeric>
#include <thread>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/binding_cache.h"
#include "tenon/runtime/step_profile.h"
#include "tenon/runtime/work.h"

namespace tenon {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class Run : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!OpRegistry::global().find("MatMul")) {
      const Status registered = register_all_ops(OpRegistry::global());
      ASSERT_TRUE(registered.ok()) << registered;
    }
  }
};

Tensor made_up_values(const Shape& shape) {
  Tensor values(DType::kFloat, shape);
  for (int64_t i = 0; i < values.num_elements(); ++i) {
    values.mutable_data<float>()[i] = static_cast<float>((i * 37) % 101) / 53.0f - 0.9f;
  }
  return values;
}

// softmax(relu(x w + b) v), summed over the rows, for any number of rows.
Graph two_layers(int64_t width) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{-1, width});
  const Endpoint hidden =
      b.op("Relu", {b.add(b.matmul(x, b.constant(made_up_values({width, width}))),
                          b.constant(made_up_values({width})))});
  const Endpoint y =
      b.op("Softmax", {b.matmul(hidden, b.constant(made_up_values({width, width})))});
  graph.results = {y, b.sum(y, std::vector<int64_t>{0})};
  graph.result_names = {"y", "sum"};
  EXPECT_TRUE(b.status().ok()) << b.status();
  return graph;
}

TEST_F(Run, GivesTheSameBitsForAnyTeam) {
  for (int64_t rows : {1, 7, 64, 1000}) {
    const Tensor args[] = {made_up_values({rows, 96})};
    std::vector<Tensor> expected;
    for (int team : {1, 2, 3, 8, 32, 0}) {
      ExecutableOptions options;
      options.team = team;
      const auto made = Executable::create(two_layers(96), std::make_shared<ModelState>(), options);
      ASSERT_TRUE(made.ok()) << made.status();
      std::vector<Tensor> results;
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE((*made)->run(args, results).ok());
        if (expected.empty()) expected = {results[0].clone(), results[1].clone()};
        for (size_t r = 0; r < results.size(); ++r) {
          EXPECT_EQ(std::memcmp(results[r].raw(), expected[r].raw(), expected[r].num_bytes()), 0)
              << "result " << r << ", rows " << rows << ", team " << team;
        }
      }
    }
  }
}

TEST(Work, ASmallStepRunsAloneAndALargeOneNeverWiderThanMayBe) {
  EXPECT_EQ(team_for(0, 0, 16), 1);
  EXPECT_EQ(team_for(15'000, 0, 16), 1);
  EXPECT_GT(team_for(40'000, 0, 16), 1);
  EXPECT_LT(team_for(40'000, 0, 16), 16);
  EXPECT_EQ(team_for(1'000'000, 0, 16), 16);
  EXPECT_EQ(team_for(1'000'000, 0, 1), 1);
  EXPECT_GT(team_for(15'000, 400'000, 16), 1);  // what it reads lies with others
}

// As TensorFlow 2.21, eager and in functions: of 1e-30 * 1e-10 it makes 0, and of 1e-40 * 1000. A
// caller's own arithmetic stays as it was.
TEST_F(Run, SubnormalNumbersAreZero) {
  for (const auto& [from, factor] : {std::pair{1e-30f, 1e-10f}, std::pair{1e-40f, 1000.0f}}) {
    for (bool optimize : {false, true}) {
      for (int team : {1, 8}) {
        Graph graph;
        GraphBuilder b(graph);
        const Endpoint x = b.arg("x", DType::kFloat, PartialShape{-1});
        graph.results = {
            b.mul(x, b.constant(Tensor::scalar(factor))),
            b.mul(b.constant(Tensor::scalar(from)), b.constant(Tensor::scalar(factor)))};
        graph.result_names = {"y", "folded"};
        ASSERT_TRUE(b.status().ok()) << b.status();
        ExecutableOptions options;
        options.team = team;
        options.optimize = optimize;
        const auto made =
            Executable::create(std::move(graph), std::make_shared<ModelState>(), options);
        ASSERT_TRUE(made.ok()) << made.status();
        const std::vector<float> values(200'000, from);
        const Tensor args[] = {Tensor::from<float>({200'000}, values)};
        std::vector<Tensor> results;
        ASSERT_TRUE((*made)->run(args, results).ok());
        const auto found = results[0].span<float>();
        EXPECT_EQ(std::count(found.begin(), found.end(), 0.0f), 200'000) << from << " " << team;
        EXPECT_EQ(*results[1].data<float>(), 0.0f);
        const volatile float small = 1e-40f;
        EXPECT_NE(small * 1000.0f, 0.0f);
      }
    }
  }
}

// Ops that leave their input as it is move nothing: -0 and NaN come out as they went in, whatever
// is known of the shape beforehand, and no step runs.
TEST_F(Run, AnInputThatAnOpLeavesAsItIsIsNotCopied) {
  const std::vector<float> values{-0.0f, NAN, 1.5f, -INFINITY, 0.0f, -2.0f};
  const Tensor args[] = {Tensor::from<float>({1, 2, 3}, values)};
  for (const std::string op :
       {"Sum", "Mean", "Prod", "Max", "Min", "Tile", "Pad", "Slice", "BroadcastTo"}) {
    for (const PartialShape& known : {PartialShape{1, 2, 3}, PartialShape{-1, -1, 3}}) {
      Graph graph;
      GraphBuilder b(graph);
      const Endpoint x = b.neg(b.arg("x", DType::kFloat, known));
      std::vector<Endpoint> inputs{x};
      if (op == "Tile") inputs.push_back(b.integers({1, 1, 1}));
      if (op == "BroadcastTo") inputs.push_back(b.integers({1, 2, 3}));
      if (op == "Pad")
        inputs.push_back(b.constant(Tensor::from<int32_t>({3, 2}, std::vector<int32_t>(6))));
      if (op == "Slice")
        inputs.insert(inputs.end(), {b.integers({0, 0, 0}), b.integers({1, 2, 3})});
      if (inputs.size() == 1) inputs.push_back(b.integers({}));
      graph.results = {b.neg(b.op(op, inputs))};
      graph.result_names = {"y"};
      ASSERT_TRUE(b.status().ok()) << b.status();
      const auto made = Executable::create(std::move(graph), std::make_shared<ModelState>());
      ASSERT_TRUE(made.ok()) << made.status();
      std::vector<Tensor> results;
      StepProfile::start();
      ASSERT_TRUE((*made)->run(args, results).ok());
      const std::vector<StepTime> steps = StepProfile::stop();
      EXPECT_EQ(std::memcmp(results[0].raw(), args[0].raw(), args[0].num_bytes()), 0) << op;
      EXPECT_FALSE(steps.empty());
      for (const StepTime& step : steps) EXPECT_NE(step.op, op);
    }
  }
}

// What is not known before the run may yet be wrong.
TEST_F(Run, ASliceOfTheWholeIsStillChecked) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{4});
  const Endpoint begin = b.arg("begin", DType::kInt32, PartialShape{1});
  graph.results = {b.op("Slice", {x, begin, b.integers({4})})};
  graph.result_names = {"y"};
  const auto made = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  const Tensor args[] = {made_up_values({4}), Tensor::from<int32_t>({1}, std::vector<int32_t>{1})};
  std::vector<Tensor> results;
  EXPECT_EQ((*made)->run(args, results).code(), absl::StatusCode::kInvalidArgument);
}

// The time of steps adds up to no more than that of the run, each step is told apart and counted.
TEST_F(Run, AProfileHasEachStepAsOftenAsItRan) {
  const auto made = Executable::create(two_layers(64), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  const Tensor args[] = {made_up_values({100, 64})};
  std::vector<Tensor> results;
  ASSERT_TRUE((*made)->run(args, results).ok());
  StepProfile::start();
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE((*made)->run(args, results).ok());
  const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin);
  const std::vector<StepTime> steps = StepProfile::stop();
  int64_t sum = 0;
  std::map<std::string, int> ops;
  for (const StepTime& step : steps) {
    EXPECT_EQ(step.runs, 5) << step.node;
    sum += step.ns;
    ++ops[step.op];
  }
  EXPECT_LE(sum, took.count());
  EXPECT_EQ(ops["_FusedMatMul"] + ops["MatMul"], 2);
  ASSERT_TRUE((*made)->run(args, results).ok());
  StepProfile::start();
  EXPECT_TRUE(StepProfile::stop().empty());
}

// Callers of one Executable beside each other, in both forms.
TEST_F(Run, ServesManyCallersAtOnce) {
  const auto made = Executable::create(two_layers(64), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  std::vector<Tensor> expected;
  const auto rows_of = [](int caller) { return caller % 3 == 0 ? 900 : 1 + caller % 4; };
  for (int caller = 0; caller < 8; ++caller) {
    const Tensor args[] = {made_up_values({rows_of(caller), 64})};
    std::vector<Tensor> results;
    ASSERT_TRUE((*made)->run(args, results).ok());
    expected.push_back(results[0].clone());
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      const Tensor args[] = {made_up_values({rows_of(caller), 64})};
      const Tensor& right = expected[static_cast<size_t>(caller)];
      std::vector<Tensor> results;
      for (int i = 0; i < 60; ++i) {
        wrong += !(*made)->run(args, results).ok() ||
                 std::memcmp(results[0].raw(), right.raw(), right.num_bytes()) != 0;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

// while (x < 1) x = x * 1: for ever; and with `empty`, a loop whose functions have nothing to do.
StatusOr<std::shared_ptr<Executable>> endless_loop(bool empty) {
  const auto library = std::make_shared<FunctionLibrary>();
  const auto function = [&](std::string_view name, bool condition) {
    Graph body;
    GraphBuilder b(body);
    const Endpoint x = b.arg("x", DType::kFloat, PartialShape{});
    body.results = {condition ? empty ? b.scalar(true) : b.op("Less", {x, b.scalar(1.0f)})
                    : empty ? x
                              : b.mul(x, b.scalar(1.0f))};
    body.result_names = {"result"};
    library->add(name, std::move(body));
    return FunctionAttr{std::string(name), nullptr};
  };
  Graph graph;
  graph.set_library(library);
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{});
  graph.results = {b.op("While", {x},
                        {{"T", std::vector<DType>{DType::kFloat}},
                         {"cond", function("condition", true)},
                         {"body", function("body", false)}})};
  graph.result_names = {"result"};
  TENON_RETURN_IF_ERROR(b.status());
  return Executable::create(std::move(graph), std::make_shared<ModelState>());
}

// TensorFlow takes the shapes that are fed, whatever the placeholder says.
TEST_F(Run, ComputesWithTheShapesThatAreFedNotWithTheDeclaredOnes) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, {2, 3});
  graph.results = {b.op("Shape", {x}, {{"out_type", DType::kInt32}}),
                   b.op("Reshape", {x, b.op("Shape", {x}, {{"out_type", DType::kInt32}})})};
  graph.result_names = {"shape", "same"};
  const auto made = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  for (const Shape& shape : {Shape{2, 3}, Shape{4, 3}, Shape{7}, Shape{2, 3}}) {
    Tensor fed(DType::kFloat, shape);
    std::iota(fed.mutable_data<float>(), fed.mutable_data<float>() + fed.num_elements(), 0.0f);
    std::vector<Tensor> results;
    const std::vector<Tensor> args{fed};
    const Status status = (*made)->run(args, results);
    ASSERT_TRUE(status.ok()) << status;
    const std::vector<int32_t> dims(shape.dims().begin(), shape.dims().end());
    EXPECT_TRUE(std::equal(dims.begin(), dims.end(), results[0].data<int32_t>()));
    EXPECT_EQ(results[0].num_elements(), shape.rank());
    EXPECT_EQ(results[1].shape(), shape);
    EXPECT_TRUE(std::equal(fed.data<float>(), fed.data<float>() + fed.num_elements(),
                           results[1].data<float>()));
  }
}

TEST_F(Run, EndsAtItsDeadlineAndWhenCancelled) {
  for (bool empty : {false, true}) {
    const auto loop = endless_loop(empty);
    ASSERT_TRUE(loop.ok()) << loop.status();
    const Tensor args[] = {Tensor::scalar(0.5f)};
    std::vector<Tensor> results;
    const auto start = Clock::now();
    EXPECT_EQ((*loop)->run(args, results, {start + milliseconds(30), nullptr}).code(),
              absl::StatusCode::kDeadlineExceeded);
    EXPECT_GE(Clock::now() - start, milliseconds(30));
    std::atomic<bool> cancelled{false};
    std::thread canceller([&] {
      std::this_thread::sleep_for(milliseconds(20));
      cancelled = true;
    });
    EXPECT_EQ((*loop)->run(args, results, {Clock::time_point::max(), &cancelled}).code(),
              absl::StatusCode::kCancelled);
    canceller.join();
  }
}

// What ended early leaves nothing behind: the next run is right.
TEST_F(Run, IsRightAfterOneThatEndedEarly) {
  const auto made = Executable::create(two_layers(64), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  const Tensor args[] = {made_up_values({300, 64})};
  std::vector<Tensor> expected, results;
  ASSERT_TRUE((*made)->run(args, expected).ok());
  EXPECT_EQ((*made)->run(args, results, {Clock::now(), nullptr}).code(),
            absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE((*made)->run(args, results, {Clock::now() + std::chrono::hours(1), nullptr}).ok());
  EXPECT_EQ(std::memcmp(results[0].raw(), expected[0].raw(), expected[0].num_bytes()), 0);
}

// What is allocated and not freed. Resident memory would also show how the sizes, which rise, leave
// holes that none of the later ones fits into. Sanitizers' allocators say 0.
int64_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

TEST_F(Run, ThousandsOfShapesTakeBoundedMemory) {
  const auto made = Executable::create(two_layers(16), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << made.status();
  std::vector<Tensor> results;
  int64_t after_some = 0;
  constexpr int64_t kMostRows = TENON_SANITIZED ? 1000 : 4000;
  for (int64_t rows = 1; rows <= kMostRows; ++rows) {
    const Tensor args[] = {made_up_values({rows, 16})};
    ASSERT_TRUE((*made)->run(args, results).ok());
    if (rows == kMostRows / 4) after_some = allocated_bytes();
  }
  EXPECT_LT(allocated_bytes() - after_some, int64_t{16} << 20);
}

class Cache : public Run {};

// Bindings are few in number, in bytes, and none that is used again and again is made anew.
TEST_F(Cache, IsBoundedInNumberAndBytes) {
  for (size_t most_bytes : {size_t{256} << 20, size_t{1} << 20}) {
    ExecutableOptions options;
    options.cache_bindings = 40;
    options.cache_bytes = most_bytes;
    const auto plan =
        Plan::create(two_layers(16), std::make_shared<ModelState>(), std::move(options));
    ASSERT_TRUE(plan.ok()) << plan.status();
    BindingCache cache(*plan);
    for (int64_t rows = 1; rows <= 300; ++rows) {
      ASSERT_TRUE(cache.bind(BindingKey(std::vector<Shape>{Shape{rows, 16}}), {}).ok());
      ASSERT_LE(cache.size(), 40u);
      ASSERT_LE(cache.bytes(), most_bytes);
    }
    EXPECT_GE(cache.size(), 8u);
  }
}

// Many shapes of a model that computes in tens of megabytes share one Workspace.
TEST_F(Cache, ManyLargeShapesShareTheMemory) {
  const auto plan = Plan::create(two_layers(256), std::make_shared<ModelState>(), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  BindingCache cache(*plan);
  std::vector<const Binding*> bindings;
  for (int round = 0; round < 2; ++round) {
    for (int64_t i = 0; i < 24; ++i) {
      const Tensor args[] = {Tensor(DType::kFloat, Shape{25000 + i, 256})};
      auto instance = cache.take(args);
      ASSERT_TRUE(instance.ok()) << instance.status();
      const Binding& binding = (*instance)->binding();
      EXPECT_GT(binding.arena_bytes + binding.device_arena_bytes, size_t{20} << 20);
      if (round == 0) bindings.push_back(&(*instance)->binding());
      EXPECT_EQ(&(*instance)->binding(), bindings[static_cast<size_t>(i)]);
      cache.give_back(*std::move(instance));
      EXPECT_LT(cache.bytes(), size_t{100} << 20);
    }
  }
}

}  // namespace
}  // namespace tenon
