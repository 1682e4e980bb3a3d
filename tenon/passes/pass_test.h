// Graphs of real ops, run with and without the passes: the results must agree, whatever is known
// of the arguments' shapes. For tests.
#pragma once

#include <gtest/gtest.h>

#include "tenon/graph/builder.h"

namespace tenon {

class ModelState;

using Endpoints = std::vector<Endpoint>;
using Build = std::function<Endpoints(GraphBuilder&, const Endpoints& args)>;

// All ops, two threads; on the device of the plug-ins that TENON_PLUGIN_PATH names, where it does.
class PassTest : public testing::Test {
 protected:
  static void SetUpTestSuite();
};

// Made-up numbers in [-2, 2); the same for the same seed.
Tensor numbers(const Shape& shape, uint32_t seed);
// The same, with what arithmetic is most often wrong about among them.
Tensor hostile_numbers(const Shape& shape, uint32_t seed);

// What may be known of the shapes of arguments.
enum class Known { kAll, kAllButRows, kRank, kNothing };
inline constexpr Known kEveryKnown[] = {Known::kAll, Known::kAllButRows, Known::kRank,
                                        Known::kNothing};

StatusOr<Graph> make_graph(const Build& build, std::span<const Tensor> args, Known known,
                           std::shared_ptr<FunctionLibrary> library = nullptr);

// While it stands, passes make every fused op, whatever the device wants.
class EveryFusion {
 public:
  EveryFusion();
  ~EveryFusion();
};

struct Outcome {
  Status status;
  std::vector<Tensor> results;
  std::map<std::string, int> ops;  // of the graph after the passes: how many of each
  int count(const std::string& op) const { return ops.contains(op) ? ops.at(op) : 0; }
};

// `state` null: a new one.
Outcome run_graph(Graph graph, std::span<const Tensor> args, bool optimize,
                  std::shared_ptr<ModelState> state = nullptr);

// Runs what `build` makes with and without the passes and compares results: equal bits (one NaN is
// as good as another), or with `tolerance` that much of the largest finite element. What fails
// without passes may do anything but harm. Returns what the passes made.
Outcome expect_same(const Build& build, std::span<const Tensor> args, Known known,
                    double tolerance = 0, std::shared_ptr<FunctionLibrary> library = nullptr);

// The same whatever is known of the shapes; returns what the passes made where the rows are not.
Outcome expect_same(const Build& build, std::span<const Tensor> args, double tolerance = 0);

}  // namespace tenon
