#include "tenon/passes/pass_test.h"

#include <bit>
#include <cmath>

#include "tenon/base/thread_pool.h"
#include "tenon/ops/registered_ops_test.h"
#include "tenon/passes/pass.h"
#include "tenon/runtime/executable.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon {
namespace {

PartialShape declared_as(const Shape& shape, Known known) {
  PartialShape declared(shape);
  if (known == Known::kNothing) return PartialShape();
  if (known == Known::kRank) return PartialShape::unknown_of_rank(shape.rank());
  if (known == Known::kAllButRows && shape.rank() > 0) declared.set(0, -1);
  return declared;
}

void expect_equal(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_EQ(found.dtype(), expected.dtype());
  ASSERT_EQ(to_string(found.shape()), to_string(expected.shape()));
  if (found.dtype() != DType::kFloat) {
    EXPECT_TRUE(attr_equal(found, expected));
    return;
  }
  double largest = 0;
  for (float x : expected.span<float>()) {
    if (std::isfinite(x)) largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  for (int64_t i = 0; i < found.num_elements(); ++i) {
    const float a = found.data<float>()[i], b = expected.data<float>()[i];
    if (std::isnan(a) && std::isnan(b)) continue;
    const bool finite = std::isfinite(a) && std::isfinite(b);
    const bool same = std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
    const double apart = std::abs(static_cast<double>(a) - static_cast<double>(b));
    if (same || (finite && tolerance > 0 && apart <= tolerance * largest)) continue;
    FAIL() << "element " << i << " is " << a << ", " << b << " without passes";
  }
}

bool makes_every_fusion = false;

Status fuse_everything(Graph& graph) {
  PassContext context;
  context.frozen_variable = [](std::string_view) { return Tensor(); };
  return run_passes(graph, context, true);
}

}  // namespace

EveryFusion::EveryFusion() { makes_every_fusion = true; }
EveryFusion::~EveryFusion() { makes_every_fusion = false; }

void PassTest::SetUpTestSuite() {
  static const bool configured = (ThreadPool::configure(2), true);
  ASSERT_TRUE(configured && registered_ops().ok()) << registered_ops();
  static const Status loaded = PluginHost::global().load_from_environment();
  ASSERT_TRUE(loaded.ok()) << loaded;
}

Tensor numbers(const Shape& shape, uint32_t seed) {
  Tensor tensor(DType::kFloat, shape);
  uint32_t state = seed * 2654435761u + 12345u;
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    state = state * 1664525u + 1013904223u;
    tensor.mutable_data<float>()[i] = static_cast<float>(state >> 8) / 4194304.0f - 2.0f;
  }
  return tensor;
}

Tensor hostile_numbers(const Shape& shape, uint32_t seed) {
  constexpr float kHostile[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f, 1e-40f, -3e38f, 3e38f};
  Tensor tensor = numbers(shape, seed);
  for (int64_t i = seed % 3; i < shape.num_elements(); i += 3) {
    const auto which = static_cast<size_t>(i / 3 + seed) % std::size(kHostile);
    tensor.mutable_data<float>()[i] = kHostile[which];
  }
  return tensor;
}

StatusOr<Graph> make_graph(const Build& build, std::span<const Tensor> args, Known known,
                           std::shared_ptr<FunctionLibrary> library) {
  Graph graph(std::move(library));
  GraphBuilder b(graph);
  Endpoints endpoints;
  for (const Tensor& arg : args) {
    endpoints.push_back(b.arg("x", arg.dtype(), declared_as(arg.shape(), known)));
  }
  graph.results = build(b, endpoints);
  for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("y", i));
  TENON_RETURN_IF_ERROR(b.status());
  return graph;
}

Outcome run_graph(Graph graph, std::span<const Tensor> args, bool optimize,
                  std::shared_ptr<ModelState> state) {
  Outcome outcome;
  ExecutableOptions options;
  options.optimize = optimize && !makes_every_fusion;
  if (optimize && makes_every_fusion) outcome.status = fuse_everything(graph);
  if (!outcome.status.ok()) return outcome;
  if (!state) state = std::make_shared<ModelState>();
  const auto made = Executable::create(std::move(graph), std::move(state), options);
  outcome.status = made.status();
  if (!made.ok()) return outcome;
  const Graph& planned = (*made)->graph();
  for (NodeId id = 0; id < planned.size(); ++id) {
    if (planned.alive(id)) ++outcome.ops[planned.node(id).op->name()];
  }
  outcome.status = (*made)->run(args, outcome.results);
  return outcome;
}

Outcome expect_same(const Build& build, std::span<const Tensor> args, Known known, double tolerance,
                    std::shared_ptr<FunctionLibrary> library) {
  const StatusOr<Graph> graph = make_graph(build, args, known, library);
  // Shapes that are known not to go together make no graph.
  EXPECT_TRUE(graph.ok() || known == Known::kAll || known == Known::kAllButRows) << graph.status();
  if (!graph.ok()) return {graph.status(), {}, {}};
  const Outcome plain = run_graph(*graph, args, false);
  Outcome optimized = run_graph(*graph, args, true);
  if (!plain.status.ok()) return optimized;
  EXPECT_TRUE(optimized.status.ok()) << optimized.status;
  if (!optimized.status.ok()) return optimized;
  EXPECT_EQ(optimized.results.size(), plain.results.size());
  for (size_t i = 0; i < plain.results.size(); ++i) {
    expect_equal(optimized.results[i], plain.results[i], tolerance);
  }
  return optimized;
}

Outcome expect_same(const Build& build, std::span<const Tensor> args, double tolerance) {
  Outcome with_open_rows;
  for (Known known : kEveryKnown) {
    SCOPED_TRACE(cat("known: ", static_cast<int>(known)));
    Outcome outcome = expect_same(build, args, known, tolerance);
    if (known == Known::kAllButRows) with_open_rows = std::move(outcome);
  }
  return with_open_rows;
}

}  // namespace tenon
