#include "tenon/image/ledger.h"

#include "tenon/image/archive/sha256.h"
#include "tenon/image/commands.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

using LedgerCode = absl::StatusCode;

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.emplace(*TemporaryDirectory::create());
    path_ = join_path(folder_->path(), "ledger");
  }
  Status add(const std::string& tag, std::string_view content, std::string_view head = {}) {
    return append_to_ledger(path_, tag, digest(content), 1, head);
  }
  static std::string digest(std::string_view content) {
    return cat("sha256:", sha256_hex(content));
  }
  std::string text() const { return *read_file(path_); }
  int run(std::vector<std::string> words) {
    out_.clear();
    CommandContext context;
    context.out = context.err = [this](std::string_view text) { out_ += text; };
    words.insert(words.begin(), {"tags", path_});
    return run_image_command(words, context);
  }
  std::optional<TemporaryDirectory> folder_;
  std::string path_, out_;
};

TEST_F(LedgerTest, FixedTagsStayAndOthersMove) {
  ASSERT_TRUE(add("tenon:1.2.3", "a").ok());
  EXPECT_TRUE(add("tenon:1.2.3", "a").ok());
  EXPECT_EQ(add("tenon:1.2.3", "b").code(), LedgerCode::kAlreadyExists);
  for (const char* tag : {"tenon:latest", "tenon:1.2"}) {
    EXPECT_TRUE(add(tag, "a").ok());
    EXPECT_TRUE(add(tag, "b").ok()) << tag;
  }
  EXPECT_EQ(read_ledger(path_)->entries.size(), 5U);
  EXPECT_EQ(current_tags(*read_ledger(path_)).size(), 3U);
}

TEST_F(LedgerTest, OneTagHasOneNameHoweverItIsSpelled) {
  ASSERT_TRUE(add("tenon:1.2.3", "a").ok());
  for (const char* tag : {"1.2.3", "docker.io/library/tenon:1.2.3", "docker.io/tenon:1.2.3",
                          "index.docker.io/library/tenon:1.2.3", "library/tenon:1.2.3"}) {
    EXPECT_EQ(add(tag, "b").code(), LedgerCode::kAlreadyExists) << tag;
    EXPECT_TRUE(add(tag, "a").ok()) << tag;
  }
  EXPECT_EQ(read_ledger(path_)->entries.size(), 1U);
  // Another repository's is another tag.
  EXPECT_TRUE(add("r.example/tenon:1.2.3", "b").ok());
  EXPECT_TRUE(add("R.Example/tenon:1.2.3", "b").ok());
  EXPECT_EQ(add("R.EXAMPLE/tenon:1.2.3", "a").code(), LedgerCode::kAlreadyExists);
}

TEST_F(LedgerTest, ABareTagGuardsAllRepositories) {
  ASSERT_TRUE(add("0.1.0", "a").ok());
  EXPECT_EQ(add("tenon:0.1.0", "b").code(), LedgerCode::kAlreadyExists);
  ASSERT_TRUE(add("tenon:0.2.0", "a").ok());
  ASSERT_TRUE(add("0.3.0", "a").ok());
  EXPECT_EQ(read_ledger(path_)->entries.back().tag, "tenon:0.3.0");
}

TEST_F(LedgerTest, MalformedTagsAreRefused) {
  for (const char* tag :
       {"", ":", "tenon:", ":1", "te non:1", "tenon:1 2", "tenon:.1", "tenon:-1", "TENON:1",
        "tenon:1\n", "a//b:1", "tenon@sha256:00", "-a:1", "r.example:x/a:1", "tenon:1/2"}) {
    EXPECT_EQ(add(tag, "a").code(), LedgerCode::kInvalidArgument) << tag;
    EXPECT_FALSE(path_exists(path_)) << tag;
  }
  EXPECT_EQ(add(cat("tenon:", std::string(129, 'x')), "a").code(), LedgerCode::kInvalidArgument);
  EXPECT_EQ(append_to_ledger(path_, "a:1", "sha256:00", 1).code(), LedgerCode::kInvalidArgument);
}

TEST_F(LedgerTest, EveryChangeIsSeenWithTheHead) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(add(cat("tenon:0.0.", i), cat(i)).ok());
  const std::string whole = text(), head = read_ledger(path_)->head();
  EXPECT_TRUE(check_head(*read_ledger(path_), head, "x").ok());
  EXPECT_TRUE(check_head(*read_ledger(path_), cat("sha256:", head), "x").ok());
  const size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  std::string other = whole;
  other.replace(other.rfind(digest("3")), 71, digest("4"));
  std::string middle = whole;
  middle.replace(middle.find("0.0.1"), 5, "0.0.9");
  const struct {
    const char* name;
    std::string text;
    bool chain_holds;
  } kRows[] = {
      {"the last line dropped", whole.substr(0, last), true},
      {"the last digest changed", other, true},
      {"everything dropped", "", true},
      {"a line in the middle changed", middle, false},
      {"the first line dropped", whole.substr(whole.find('\n') + 1), false},
      {"the last line cut", whole.substr(0, whole.size() - 5), false},
      {"the last line twice", whole + whole.substr(last), false},
  };
  for (const auto& row : kRows) {
    ASSERT_TRUE(write_file(path_, row.text).ok());
    const auto ledger = read_ledger(path_);
    ASSERT_EQ(ledger.ok(), row.chain_holds) << row.name << ledger.status();
    if (!ledger.ok()) {
      EXPECT_EQ(ledger.status().code(), LedgerCode::kDataLoss) << row.name;
      continue;
    }
    EXPECT_EQ(check_head(*ledger, head, "x").code(), LedgerCode::kDataLoss) << row.name;
    EXPECT_EQ(add("tenon:1.0.0", "n", head).code(), LedgerCode::kDataLoss) << row.name;
    EXPECT_EQ(text(), row.text) << row.name;
  }
  ASSERT_TRUE(write_file(path_, whole).ok());
  ASSERT_TRUE(add("tenon:1.0.0", "n", head).ok());
  EXPECT_EQ(check_head(*read_ledger(path_), head, "x").code(), LedgerCode::kFailedPrecondition);
}

TEST_F(LedgerTest, TheCommandPrintsAndPinsTheHead) {
  EXPECT_EQ(run({}), 1);
  EXPECT_TRUE(out_.starts_with("error: NOT_FOUND: ")) << out_;
  EXPECT_FALSE(path_exists(path_));
  EXPECT_EQ(run({"--add", "tenon:1.0.0"}), 2);
  ASSERT_EQ(run({"--add", "tenon:1.0.0", "--digest", digest("a")}), 0) << out_;
  const std::string head = cat("sha256:", read_ledger(path_)->head());
  EXPECT_NE(out_.find(cat("head 1 ", head, "\n")), std::string::npos) << out_;
  EXPECT_EQ(run({"--head", head}), 0) << out_;
  EXPECT_EQ(run({"--add", "tenon:1.1.0", "--digest", digest("b"), "--head", head}), 0) << out_;
  EXPECT_EQ(run({"--head", head}), 1);
  EXPECT_EQ(run({"--head", "x"}), 1);
  ASSERT_TRUE(write_file(path_, "").ok());
  EXPECT_EQ(run({"--head", head}), 1);
  EXPECT_TRUE(out_.starts_with("error: DATA_LOSS: ")) << out_;
}

}  // namespace
}  // namespace tenon::image
