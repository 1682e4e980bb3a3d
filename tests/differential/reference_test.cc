// Every reference case under every setting: TensorFlow's answer, and the same bits for any team
// and, where rows are independent, for any batch that a row travels in.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tenon/base/files.h"
#include "tests/differential/case_runner.h"

namespace tenon::differential {
namespace {

// The case's answer is TensorFlow's; errors are judged by their code.
void expect_golden(const ReferenceCase& one, const Setting& setting, const Outcome& outcome) {
  // A gradient may ask for a rank; it says so.
  if (one.kind == CaseKind::kGradient && setting.known == Known::kNothing &&
      absl::IsUnimplemented(outcome.status)) {
    return;
  }
  if (!one.error.empty()) {
    EXPECT_EQ(code_name(outcome.status.code()), one.error) << outcome.status;
    return;
  }
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  int judged = 0;
  for (size_t i = 0; i < outcome.results.size(); ++i) {
    const auto want = one.outputs.find(outcome.names[i]);
    if (want == one.outputs.end()) continue;
    ++judged;
    if (one.shape_only && outcome.results[i].dtype() != DType::kBool) {
      EXPECT_EQ(outcome.results[i].shape(), want->second.shape()) << outcome.names[i];
    } else {
      EXPECT_EQ(compare(outcome.results[i], want->second, one.tolerance), "") << outcome.names[i];
    }
  }
  EXPECT_TRUE(judged > 0 || one.outputs.empty());
}

void expect_same_bits(const Outcome& got, const Outcome& want) {
  ASSERT_EQ(got.status.code(), want.status.code()) << got.status << " / " << want.status;
  for (size_t i = 0; i < got.results.size(); ++i) {
    EXPECT_EQ(compare_bits(got.results[i], want.results[i]), "") << got.names[i];
  }
}

// The size of dimension 0 that all have; 0 when there is none.
int64_t common_rows(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    if (tensor.rank() == 0 || tensor.dim(0) != tensors[0].dim(0)) return 0;
  }
  return tensors.empty() ? 0 : tensors[0].dim(0);
}

// The batches that the rows travel in: argument lists, in order.
std::vector<std::vector<Tensor>> batches(const std::vector<Tensor>& args, Rows how) {
  const int64_t rows = common_rows(args);
  std::vector<std::vector<Tensor>> all;
  if (how == Rows::kRepeated) {
    for (const Tensor& arg : args) {
      all.resize(1);
      all[0].push_back(concatenated({arg, arg, arg, arg.slice(0, 1)}));
    }
    return all;
  }
  const int64_t size = how == Rows::kAlone ? 1 : 2;
  for (int64_t begin = 0; begin < rows; begin += size) {
    std::vector<Tensor>& batch = all.emplace_back();
    for (const Tensor& arg : args) batch.push_back(arg.slice(begin, std::min(size, rows - begin)));
  }
  return all;
}

class Differential {
 public:
  explicit Differential(const ReferenceCase& one) : case_(one), runner_(one) {}

  void check(uint64_t turn) {
    const auto args = runner_.arguments();
    ASSERT_TRUE(args.ok()) << args.status();
    args_ = *args;
    for (const Setting& setting : settings(turn)) {
      SCOPED_TRACE(cat(case_.id(), " ", to_string(setting)));
      switch (setting.rows) {
        case Rows::kTogether:
          check_together(setting);
          break;
        case Rows::kBroadcast:
          check_broadcast(setting);
          break;
        default:
          check_rows(setting);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  // All rows at once with a team of one, else as `setting` says.
  const Outcome& baseline(const Setting& setting) {
    const auto [it, is_new] = baselines_.try_emplace({setting.passes, setting.known});
    if (is_new) it->second = runner_.run({setting.passes, 1, setting.known}, args_);
    return it->second;
  }

  bool may_merge_rows(const Setting& setting) {
    const auto [it, is_new] = merges_.try_emplace({setting.passes, setting.known});
    if (is_new) it->second = runner_.may_merge_rows(setting);
    return it->second;
  }

  void check_together(const Setting& setting) {
    const Outcome outcome = runner_.run(setting, args_);
    expect_golden(case_, setting, outcome);
    if (!case_.shape_only) expect_same_bits(outcome, baseline(setting));
  }

  void check_rows(const Setting& setting) {
    if (case_.kind == CaseKind::kGradient || !case_.error.empty() || common_rows(args_) == 0 ||
        !may_merge_rows(setting)) {
      return;
    }
    const Outcome& want = baseline(setting);
    ASSERT_TRUE(want.status.ok()) << want.status;
    std::vector<Outcome> parts;
    for (const std::vector<Tensor>& batch : batches(args_, setting.rows)) {
      parts.push_back(runner_.run(setting, batch));
      ASSERT_TRUE(parts.back().status.ok()) << parts.back().status;
    }
    for (size_t i = 0; i < want.results.size(); ++i) {
      std::vector<Tensor> rows;
      for (const Outcome& part : parts) rows.push_back(part.results[i]);
      const Tensor& all = want.results[i];
      EXPECT_EQ(
          compare_bits(concatenated(rows), setting.rows == Rows::kRepeated
                                               ? concatenated({all, all, all, all.slice(0, 1)})
                                               : all),
          "")
          << want.names[i];
    }
  }

  // One row of one argument against many of the others: an error or values, but the same as without
  // passes.
  void check_broadcast(const Setting& setting) {
    if (case_.kind == CaseKind::kGradient || !case_.error.empty() || case_.shape_only ||
        args_.size() < 2) {
      return;
    }
    for (size_t i = 0; i < args_.size(); ++i) {
      if (args_[i].rank() == 0 || args_[i].dim(0) < 2) continue;
      SCOPED_TRACE(cat("one row of argument ", i));
      std::vector<Tensor> args = args_;
      args[i] = args[i].slice(0, 1);
      const Outcome got = runner_.run(setting, args);
      const auto [it, is_new] = plain_.try_emplace({i, setting.known});
      if (is_new) it->second = runner_.run({false, 1, setting.known}, args);
      const Outcome& want = it->second;
      ASSERT_EQ(got.status.code(), want.status.code()) << got.status << " / " << want.status;
      if (!want.status.ok()) continue;
      for (size_t j = 0; j < got.results.size(); ++j) {
        EXPECT_EQ(compare(got.results[j], want.results[j], case_.tolerance), "") << got.names[j];
      }
    }
  }

  const ReferenceCase& case_;
  CaseRunner runner_;
  std::vector<Tensor> args_;
  std::map<std::pair<bool, Known>, Outcome> baselines_;
  std::map<std::pair<bool, Known>, bool> merges_;
  std::map<std::pair<size_t, Known>, Outcome> plain_;  // one row of argument i, without passes
};

void check_group(CaseKind kind, const std::string& name) {
  const auto cases = listed_cases(kind, name);
  ASSERT_TRUE(cases.ok()) << cases.status();
  for (uint64_t turn = std::hash<std::string>()(name); const ReferenceCase& one : *cases) {
    const auto folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    ASSERT_EQ(chdir(folder->path().c_str()), 0);
    for (const auto& [file, bytes] : one.files) ASSERT_TRUE(write_file(file, bytes).ok());
    Differential(one).check(turn++);
  }
}

class DifferentialOp : public testing::TestWithParam<std::string> {};
class DifferentialGradient : public testing::TestWithParam<std::string> {};
class DifferentialModel : public testing::TestWithParam<std::string> {};

TEST_P(DifferentialOp, AnswersAlike) { check_group(CaseKind::kOp, GetParam()); }
TEST_P(DifferentialGradient, AnswersAlike) { check_group(CaseKind::kGradient, GetParam()); }
TEST_P(DifferentialModel, AnswersAlike) { check_group(CaseKind::kModel, GetParam()); }

const auto by_name = [](const testing::TestParamInfo<std::string>& info) { return info.param; };
INSTANTIATE_TEST_SUITE_P(All, DifferentialOp, testing::ValuesIn(listed_groups(CaseKind::kOp)),
                         by_name);
INSTANTIATE_TEST_SUITE_P(All, DifferentialGradient,
                         testing::ValuesIn(listed_groups(CaseKind::kGradient)), by_name);
INSTANTIATE_TEST_SUITE_P(All, DifferentialModel, testing::ValuesIn(listed_groups(CaseKind::kModel)),
                         by_name);

}  // namespace
}  // namespace tenon::differential
