// Random graphs under every setting: what the plain graph computes (no passes, a team of one, all
// shapes known), the same bits for any team and, where rows are independent, for any batch.
//
// TENON_DIFFERENTIAL_SEED and TENON_DIFFERENTIAL_GRAPHS say which: a seed in a message and
// TENON_DIFFERENTIAL_GRAPHS=1 replay one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <tuple>

#include "tenon/graph/batch_dimension.h"
#include "tenon/runtime/executable.h"
#include "tests/differential/compare.h"
#include "tests/differential/random_graph.h"

namespace tenon::differential {
namespace {

int64_t number_from_environment(const char* name, int64_t fallback) {
  const char* const text = std::getenv(name);
  return text ? std::atoll(text) : fallback;
}

constexpr int64_t kBatches[] = {5, 1, 2, 8, 33};
constexpr int64_t kFirstBatch = kBatches[0];  // the one that Known::kAll declares

// A made graph, planned one way.
struct Planned {
  RandomGraph made;
  std::shared_ptr<Executable> executable;
  bool merges_rows = false;
};

StatusOr<Planned> plan(uint64_t seed, bool passes, Known known, int team) {
  Planned planned;
  TENON_ASSIGN_OR_RETURN(planned.made, make_random_graph(seed, known, kFirstBatch));
  ExecutableOptions options;
  options.optimize = passes;
  options.team = team;
  TENON_ASSIGN_OR_RETURN(planned.executable,
                         Executable::create(planned.made.graph, planned.made.state, options));
  const auto verdict = may_merge_rows(planned.executable->graph());
  planned.merges_rows = verdict.ok() && verdict->mergeable;
  // Told the rank only, the engine takes an argument of one row for a batch.
  for (const RandomArgument& argument : planned.made.arguments) {
    planned.merges_rows &= !argument.dims.empty() && argument.dims[0] == kBatch;
  }
  return planned;
}

std::string describe(const RandomGraph& graph) {
  std::string text = cat("seed ", graph.seed, ":");
  for (const std::string& step : graph.steps) text += " " + step;
  return text;
}

// A graph and the answers of the plain one, by batch. The checks return the first difference; empty
// where there is none.
class Trial {
 public:
  explicit Trial(uint64_t seed) : seed_(seed) {}

  std::string check(const std::vector<Setting>& chosen) {
    auto plain = plan(seed_, false, Known::kNothing, 1);
    if (!plain.ok()) return cat("seed ", seed_, ": ", plain.status().ToString());
    plain_ = *std::move(plain);
    for (const Setting& setting : chosen) {
      const std::string difference = check(setting);
      if (!difference.empty()) {
        return cat(describe(plain_.made), "\n", to_string(setting), ", ", difference);
      }
    }
    return "";
  }

 private:
  using Results = std::vector<Tensor>;

  static Status run(Planned& planned, const std::vector<Tensor>& args, Results& results) {
    return planned.executable->run(args, results);
  }

  StatusOr<Planned*> planned(const Setting& setting, int team) {
    const auto [it, is_new] = planned_.try_emplace({setting.passes, setting.known, team});
    if (is_new) {
      TENON_ASSIGN_OR_RETURN(it->second, plan(seed_, setting.passes, setting.known, team));
    }
    return &it->second;
  }

  std::string check(const Setting& setting) {
    const auto found = planned(setting, setting.team);
    if (!found.ok()) return found.status().ToString();
    Planned& ready = **found;
    std::string difference;
    switch (setting.rows) {
      case Rows::kTogether:
        for (int64_t batch : kBatches) {
          if (setting.known == Known::kAll && batch != kFirstBatch) continue;
          if (difference.empty()) difference = check_batch(ready, setting, batch);
        }
        break;
      case Rows::kRepeated:
        if (ready.merges_rows) difference = check_repeated(ready);
        break;
      case Rows::kAlone:
      case Rows::kPairs:
        if (ready.merges_rows) difference = check_rows(ready, setting);
        break;
      case Rows::kBroadcast:
        break;  // what the graphs hold themselves: arguments of one row, of all, of a batch
    }
    if (difference.empty()) return "";
    return cat(difference, "\n", to_string(ready.executable->graph()));
  }

  std::string check_batch(Planned& ready, const Setting& setting, int64_t batch) {
    const std::vector<Tensor> args = random_arguments(ready.made, batch);
    const auto [it, is_new] = expected_.try_emplace(batch);
    Results got, alone, &want = it->second;
    const auto with_one = planned(setting, 1);
    Status status = with_one.status();
    if (is_new) status.Update(run(plain_, args, want));
    status.Update(run(ready, args, got));
    if (with_one.ok()) status.Update(run(**with_one, args, alone));
    if (!status.ok()) return cat("batch ", batch, ": ", status.ToString());
    for (size_t i = 0; i < got.size(); ++i) {
      const Tolerance near = {.relative = 1e-4, .absolute = 1e-5, .of_largest = 1e-4};
      const bool exact = plain_.made.results[i].exact;
      std::string difference = compare(got[i], want[i], exact ? Tolerance{} : near);
      if (difference.empty()) difference = compare_bits(got[i], alone[i]);
      if (!difference.empty()) return cat("batch ", batch, ", result ", i, ": ", difference);
    }
    return "";
  }

  // Row by row, or two at a time: what they are in the whole batch.
  std::string check_rows(Planned& ready, const Setting& setting) {
    const int64_t all = kBatches[4], size = setting.rows == Rows::kAlone ? 1 : 2;
    const std::vector<Tensor> args = random_arguments(ready.made, all);
    Results whole;
    Status status = run(ready, args, whole);
    for (int64_t begin = 0; begin < 6 && status.ok(); begin += size) {
      std::vector<Tensor> some;
      for (const Tensor& arg : args) some.push_back(arg.slice(begin, size));
      Results results;
      status = run(ready, some, results);
      for (size_t i = 0; i < results.size() && status.ok(); ++i) {
        const std::string difference = compare_bits(results[i], whole[i].slice(begin, size));
        if (difference.empty()) continue;
        return cat("result ", i, ", ", size, " rows of ", all, " from ", begin, ": ", difference);
      }
    }
    return status.ok() ? "" : status.ToString();
  }

  // Twice a batch and three rows more.
  std::string check_repeated(Planned& ready) {
    const std::vector<Tensor> args = random_arguments(ready.made, kBatches[4]);
    std::vector<Tensor> more;
    for (const Tensor& arg : args) more.push_back(concatenated({arg, arg, arg.slice(0, 3)}));
    Results whole, results;
    Status status = run(ready, args, whole);
    status.Update(run(ready, more, results));
    if (!status.ok()) return status.ToString();
    for (size_t i = 0; i < results.size(); ++i) {
      const std::string difference =
          compare_bits(results[i], concatenated({whole[i], whole[i], whole[i].slice(0, 3)}));
      if (!difference.empty()) return cat("result ", i, " of 69 rows: ", difference);
    }
    return "";
  }

  const uint64_t seed_;
  Planned plain_;
  std::map<std::tuple<bool, Known, int>, Planned> planned_;
  std::map<int64_t, Results> expected_;
};

TEST(DifferentialRandom, GraphsAnswerAlike) {
  const int64_t first = number_from_environment("TENON_DIFFERENTIAL_SEED", 1);
  const int64_t count = number_from_environment("TENON_DIFFERENTIAL_GRAPHS", 300);
  int failed = 0;
  for (int64_t i = 0; i < count && failed < 20; ++i) {
    const uint64_t seed = static_cast<uint64_t>(first + i);
    const std::string difference = Trial(seed).check(settings(seed));
    if (difference.empty()) continue;
    ++failed;
    ADD_FAILURE() << difference;
  }
}

}  // namespace
}  // namespace tenon::differential
