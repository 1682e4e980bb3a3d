#include "tenon/cli/flags.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

struct Values {
  bool on = false, shuffle = true;
  int64_t epochs = 1;
  double rate = 0.5;
  std::string dir;
  std::vector<std::string> metrics;

  std::vector<Flag> table() {
    return {{"on", &on, "", "a switch"},
            {"shuffle", &shuffle, "", "a switch"},
            {"epochs", &epochs, "N", "a number"},
            {"learning_rate", &rate, "R", "a number"},
            {"dir", &dir, "DIR", "a folder", true},
            {"metrics", &metrics, "NAMES", "a list"}};
  }
};

StatusOr<Operands> parse(Values& values, std::vector<std::string> words) {
  return parse_flags(words, values.table());
}

TEST(Flags, TakeValuesBehindEqualsOrAsTheNextWord) {
  Values v;
  const auto operands = parse(v, {"--dir=a=b", "--epochs", "-3", "x", "--learning-rate=1e-3",
                                  "--metrics=accuracy,mse", "--metrics", "mae", "--on", "y"});
  ASSERT_TRUE(operands.ok()) << operands.status();
  EXPECT_EQ(*operands, (Operands{"x", "y"}));
  EXPECT_EQ(v.dir, "a=b");
  EXPECT_EQ(v.epochs, -3);
  EXPECT_EQ(v.rate, 1e-3);
  EXPECT_EQ(v.metrics, (std::vector<std::string>{"accuracy", "mse", "mae"}));
  EXPECT_TRUE(v.on);
}

TEST(Flags, SwitchesTakeTrueAndFalse) {
  Values v;
  ASSERT_TRUE(parse(v, {"--dir=d", "--shuffle=false", "--on=true"}).ok());
  EXPECT_FALSE(v.shuffle);
  EXPECT_TRUE(v.on);
}

TEST(Flags, RefuseWhatTheyDoNotKnow) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--dir=d", "--nothing"},
                                                {"--dir=d", "--epochs=1.5"},
                                                {"--dir=d", "--learning_rate=fast"},
                                                {"--dir=d", "--on=maybe"},
                                                {"--dir=d", "--epochs"},
                                                {"--epochs=3"},
                                                {"--dir=d", "-x"}}) {
    Values v;
    EXPECT_EQ(parse(v, words).status().code(), absl::StatusCode::kInvalidArgument)
        << join(words, " ");
  }
}

TEST(Flags, NameTheNearestFlag) {
  Values v;
  const auto message = [&](std::string word) {
    return std::string(message_of(parse(v, {"--dir=d", std::move(word)}).status()));
  };
  EXPECT_EQ(message("--epohcs=1"), "there is no flag --epohcs; did you mean --epochs?");
  EXPECT_EQ(message("--learning-rat=1"),
            "there is no flag --learning_rat; did you mean --learning_rate?");
  EXPECT_EQ(message("--hlep"), "there is no flag --hlep; did you mean --help?");
  EXPECT_EQ(message("--something"), "there is no flag --something");
}

TEST(Flags, TakeAliasesAndAWordForOneOfThem) {
  std::string model;
  const Flag table[] = {{"model", &model, "DIR", "a model", true, "dir,model_base_path"}};
  const auto given = [&](std::vector<std::string> words) {
    model.clear();
    return parse_flags(words, table, "model");
  };
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--model=m"}, {"--dir", "m"}, {"--model-base-path=m"}, {"m"}}) {
    const StatusOr<Operands> operands = given(words);
    ASSERT_TRUE(operands.ok()) << operands.status();
    EXPECT_EQ(model, "m");
    EXPECT_TRUE(operands->empty());
  }
  EXPECT_FALSE(given({}).ok());
  EXPECT_FALSE(given({"m", "--dir=n"}).ok());
  EXPECT_EQ(*given({"m", "n"}), (Operands{"n"}));
}

TEST(Flags, ExitCodesTellUsageFromFailure) {
  Values v;
  const Usage usage = {.verb = "test", .what = "Tests.", .example = "tenon test"};
  const auto code = [&](std::vector<std::string> words, Status status) {
    return run_verb(usage, v.table(), words, [&](const Operands&) { return status; });
  };
  EXPECT_EQ(code({"--dir=d"}, absl::OkStatus()), 0);
  EXPECT_EQ(code({"--dir=d"}, not_found("nothing")), 1);
  EXPECT_EQ(code({"--dir=d"}, wrong_usage("two of them")), 2);
  EXPECT_EQ(code({"--dir=d", "operand"}, absl::OkStatus()), 2);
  EXPECT_EQ(code({"--nothing"}, absl::OkStatus()), 2);
  EXPECT_EQ(code({"--help"}, not_found("nothing")), 0);
}

TEST(Flags, HelpShowsEveryFlagWithItsDefault) {
  Values v;
  const std::string help =
      help_text({.verb = "test", .what = "Tests.", .example = "tenon test"}, v.table());
  for (const Flag& flag : v.table()) {
    EXPECT_NE(help.find(cat("--", flag.name)), help.npos) << flag.name;
  }
  EXPECT_NE(help.find("(0.5)"), help.npos);
  EXPECT_NE(help.find("(required)"), help.npos);
  EXPECT_NE(help.find("example:\n  tenon test"), help.npos);
}

}  // namespace
}  // namespace tenon::cli
