// Graphs made up from a seed: ops of all families on values whose shapes the generator keeps track
// of, so that the graph is legal for every batch, and whose sizes stay moderate, so that two right
// answers are close to each other.
#pragma once

#include "tenon/graph/builder.h"
#include "tenon/runtime/model_state.h"
#include "tests/differential/settings.h"

namespace tenon::differential {

// Numbers that a seed decides, the same everywhere (splitmix64).
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t next();
  int64_t below(int64_t count) {
    return static_cast<int64_t>(next() % static_cast<uint64_t>(count));
  }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  double uniform(double low, double high);
  bool chance(double probability) { return uniform(0, 1) < probability; }
  template <class T>
  const T& one_of(const std::vector<T>& choices) {
    return choices[static_cast<size_t>(below(static_cast<int64_t>(choices.size())))];
  }

 private:
  uint64_t state_;
};

// In the dims of a Value: as many as the batch has rows. Dimension 0 only.
inline constexpr int64_t kBatch = -1;

using ValueDims = std::vector<int64_t>;

// What the generator knows of an endpoint.
struct Value {
  Endpoint endpoint;
  DType dtype = DType::kInvalid;
  ValueDims dims;
  double bound = 0;  // no element is larger
  bool exact =
      false;  // the same bits whatever the order of additions: arguments, moved or compared
  bool used = false;

  bool batched() const { return !dims.empty() && dims[0] == kBatch; }
  bool is_float(int rank) const {
    return dtype == DType::kFloat && static_cast<int>(dims.size()) == rank;
  }
};

struct RandomArgument {
  std::string name;
  DType dtype = DType::kInvalid;
  ValueDims dims;
  double bound = 0;  // integers lie in [0, bound)
};

struct RandomGraph {
  uint64_t seed = 0;
  Graph graph;
  std::shared_ptr<ModelState> state;
  std::vector<RandomArgument> arguments;
  std::vector<Value> results;
  std::vector<std::string> steps;  // what the generator did, in order
};

// The same graph for equal seeds, told as much of the arguments' shapes as `known` says; with
// Known::kAll it takes `batch` rows.
StatusOr<RandomGraph> make_random_graph(uint64_t seed, Known known, int64_t batch);

// Values for its arguments.
std::vector<Tensor> random_arguments(const RandomGraph& graph, int64_t batch);

// float32 within [-bound, bound].
Tensor random_floats(Dice& dice, const Shape& shape, double bound);

}  // namespace tenon::differential
