// Verbs as the command line runs them: what a refused, broken-off or repeated one leaves.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tenon/image/build/compare.h"
#include "tenon/image/commands.h"
#include "tenon/image/ledger.h"
#include "tenon/image/partial.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

class VerbsTest : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    ASSERT_TRUE(
        write_file(path("image.yaml"), cat("name: test\nversion: 1.2.3\nbase: debian:test\n",
                                           archive_->declaration_lines(), "packages: [app]\n",
                                           "files:\n  - {path: /opt/x, content: one}\n",
                                           "tags: [\"{version}\", latest]\n"))
            .ok());
    ::setenv("TENON_IMAGE_NOW", "1783764997", 1);
    ASSERT_EQ(run({"lock", path("image.yaml"), "--output", path("lock"), "--store", path("store")}),
              0)
        << text_;
  }
  void TearDown() override { ::unsetenv("TENON_IMAGE_NOW"); }

  int run(const std::vector<std::string>& words) {
    text_.clear();
    CommandContext context;
    context.program_version = "0.1.0";
    context.out = [&](std::string_view text) { text_ += text; };
    context.err = context.out;
    return run_image_command(words, context);
  }
  int build_to(const std::string& output, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"build",   path("image.yaml"), "--lock",   path("lock"),
                                      "--store", path("store"),      "--output", output};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string text_;
};

// A flag that would be passed over is an error: whoever typed it counts on it.
TEST_F(VerbsTest, FlagsThatWouldDoNothingAreRefused) {
  ASSERT_EQ(build_to(path("a.tar")), 0) << text_;
  const std::string image = path("a.tar"), lock = path("lock"), out = path("none");
  const std::vector<std::vector<std::string>> kBuilds = {
      {"--ledger", ""},       {"--head", std::string(64, '0')},
      {"--ledger="},          {"--ledger", path("l"), "--head", ""},
      {"--key", path("k")},   {"--model_name", "x"},
      {"--no_golden"},        {"--lock", lock},
      {"--output", out},      {"--compression", ""},
      {"--platform", "beos"}, {"--threads", "1", "--threads", "2"},
      {"--tag", ""},          {"--no_golden=true"},
  };
  for (const auto& more : kBuilds) {
    EXPECT_EQ(build_to(out, more), 2) << join(more, " ") << ": " << text_;
    EXPECT_FALSE(path_exists(out)) << join(more, " ");
  }
  EXPECT_EQ(build_to("-"), 2) << text_;
  const std::vector<std::vector<std::string>> kOthers = {
      {"verify", image, "--lock", lock, "--key", ""},
      {"verify", image, "--key", path("a"), "--key", path("b")},
      {"verify", image, "--lock", lock, "--ledger", path("l")},
      {"tags", path("l"), "--head", ""},
      {"tags", path("l"), "--head", std::string(64, '0'), "--head", std::string(64, '1')},
      {"scan", image, "--ignore", ""},
      {"scan", image, "--severity", "low", "--severity", "high"},
      {"scan", image, "--max_age", "-1"},
      {"lint", image, "--deployment", path("image.yaml")},
      {"push", image, "r.example/a:1", "--output", out},
      {"pull", "r.example/a:1", "--output", out, "--mount_from", "b"},
      {"pull", "r.example/a:1", "--output", "-"},
      {"vendor", lock, "--output", "-", "--store", path("store")},
      {"lock", path("image.yaml"), "--output", "-", "--store", path("store")},
  };
  for (const auto& words : kOthers) {
    EXPECT_EQ(run(words), 2) << join(words, " ") << ": " << text_;
    EXPECT_TRUE(text_.starts_with("error: INVALID_ARGUMENT: ")) << text_;
  }
  EXPECT_EQ(build_to(path("b.tar"), {"--label", "a=", "--label", "b=", "--tag", "x", "--tag", "y"}),
            0)
      << text_;
}

// Without a home the store does not become a folder of wherever the command runs.
TEST_F(VerbsTest, TheStoreHasAnAbsolutePlaceOrNone) {
  const char* const kVariables[] = {"TENON_IMAGE_STORE", "XDG_CACHE_HOME", "HOME"};
  std::map<std::string, std::string> before;
  for (const char* name : kVariables) {
    if (const char* value = std::getenv(name)) before[name] = value;
    ::unsetenv(name);
  }
  EXPECT_EQ(Store::default_folder(), "");
  EXPECT_EQ(run({"lock", path("image.yaml"), "--output", path("lock2")}), 1);
  EXPECT_NE(text_.find("TENON_IMAGE_STORE"), std::string::npos) << text_;
  ::setenv("XDG_CACHE_HOME", "relative", 1);
  ::setenv("HOME", "/home/x", 1);
  EXPECT_EQ(Store::default_folder(), "/home/x/.cache/tenon/image");
  ::setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(Store::default_folder(), "/cache/tenon/image");
  for (const char* name : kVariables) ::unsetenv(name);
  for (const auto& [name, value] : before) ::setenv(name.c_str(), value.c_str(), 1);
}

// What others wrote is shown, but a terminal is not to obey it.
TEST_F(VerbsTest, NoControlCharacterReachesTheTerminal) {
  const std::string file = path("de\x1b[2Jploy");
  ASSERT_TRUE(write_file(file, "image: \"a\\e]0;b\\a\\x85\\r:latest\"\n").ok());
  EXPECT_EQ(run({"lint", "--deployment", file}), 1);
  EXPECT_NE(text_.find("de\\x1b[2Jploy line 1: image 'a\\x1b]0;b\\x07\\x85\\x0d:latest'"),
            std::string::npos)
      << text_;
  EXPECT_EQ(run({"lint", "no\nfile\x7f\x1b"}), 1);
  EXPECT_NE(text_.find("no\\x0afile\\x7f\\x1b"), std::string::npos) << text_;
  EXPECT_EQ(std::count(text_.begin(), text_.end(), '\n'), 1);
}

TEST_F(VerbsTest, ReadingMakesNoStore) {
  for (const char* what : {"list", "verify", "prune"}) {
    std::vector<std::string> words = {"store", what, "--store", path("none/store")};
    if (words[1] == "prune") words.push_back("--all");
    EXPECT_EQ(run(words), 1);
    EXPECT_NE(text_.find("there is no store"), std::string::npos) << text_;
  }
  EXPECT_EQ(run({"build", path("image.yaml"), "--lock", path("lock"), "--store", path("none"),
                 "--output", path("x.tar")}),
            1);
  EXPECT_FALSE(path_exists(path("none")));
}

TEST_F(VerbsTest, ARefusedLedgerLeavesNoOutput) {
  const std::string other = cat("sha256:", sha256_hex("other"));
  ASSERT_TRUE(append_to_ledger(path("ledger"), "tenon:1.2.3", other, 1).ok());
  const std::string before = *read_file(path("ledger"));
  EXPECT_EQ(build_to(path("out/a.tar"), {"--ledger", path("ledger")}), 1);
  EXPECT_TRUE(list_directory(path("out"))->empty()) << text_;
  EXPECT_EQ(*read_file(path("ledger")), before);
  EXPECT_EQ(build_to(path("out/a.tar"), {"--ledger", path("new")}), 0) << text_;
  EXPECT_EQ(read_ledger(path("new"))->entries.size(), 2U);
}

TEST_F(VerbsTest, ABuildDemandsTheHeadOfItsLedger) {
  ASSERT_TRUE(append_to_ledger(path("ledger"), "other:1", cat("sha256:", sha256_hex("1")), 1).ok());
  ASSERT_TRUE(append_to_ledger(path("ledger"), "other:2", cat("sha256:", sha256_hex("2")), 1).ok());
  const Ledger ledger = *read_ledger(path("ledger"));
  for (const std::string& wrong :
       {ledger.lines[0], sha256_hex("dropped"), std::string("no digest")}) {
    EXPECT_EQ(build_to(path("out/a.tar"), {"--ledger", path("ledger"), "--head", wrong}), 1);
    EXPECT_TRUE(list_directory(path("out"))->empty()) << text_;
    EXPECT_EQ(read_ledger(path("ledger"))->entries.size(), 2U);
  }
  EXPECT_EQ(build_to(path("out/a.tar"), {"--head", ledger.head()}), 2) << text_;
  EXPECT_EQ(build_to(path("out/a.tar"), {"--ledger", path("ledger"), "--head", ledger.head()}), 0);
  EXPECT_EQ(read_ledger(path("ledger"))->entries.size(), 4U);
}

TEST_F(VerbsTest, VendorTakesRelativeStoresAndLeavesNothingHalfMade) {
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder_->path());
  EXPECT_EQ(run({"vendor", "lock", "--output", "vendored", "--store", "store"}), 0) << text_;
  EXPECT_EQ(run({"vendor", "lock", "--output", "none", "--store", "empty"}), 1);
  std::filesystem::current_path(before);
  EXPECT_FALSE(path_exists(path("none")));
  const auto names = list_directory(folder_->path());
  for (const std::string& name : *names) {
    EXPECT_EQ(name.find(".partial-"), std::string::npos) << name;
  }
  ASSERT_EQ(build_to(path("a")), 0) << text_;
  ASSERT_EQ(run({"build", path("image.yaml"), "--lock", path("vendored/image.lock.json"), "--store",
                 path("vendored"), "--output", path("b")}),
            0)
      << text_;
  EXPECT_EQ(run({"diff", path("a"), path("b")}), 0) << text_;
}

TEST_F(VerbsTest, DiffReadsContentsWhateverTheIndexSays) {
  ASSERT_EQ(build_to(path("a")), 0) << text_;
  ASSERT_EQ(build_to(path("b")), 0) << text_;
  // One byte of the layer changes; index and manifest stay as they are.
  const auto reader = ImageReader::open(path("b"));
  const auto image = find_image(**reader, nullptr);
  const std::string blob = path(cat("b/blobs/sha256/", image->manifest.layers[0].digest.substr(7)));
  std::string bytes = *read_file(blob);
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(write_file(blob, bytes).ok());
  EXPECT_EQ(run({"diff", path("a"), path("b")}), 1);
  EXPECT_EQ(text_.find("identical"), std::string::npos) << text_;
}

TEST_F(VerbsTest, TheStoreIsListedVerifiedAndPruned) {
  ASSERT_TRUE(write_file(path("note"), "unrelated").ok());
  const auto file = RandomAccessFile::open(path("note"));
  FileSource source(**file);
  const auto extra = store_->add(source);
  ASSERT_TRUE(extra.ok()) << extra.status();
  EXPECT_EQ(run({"store", "list", "--store", path("store")}), 0);
  EXPECT_NE(text_.find(" app 2.0-1 amd64\n"), std::string::npos) << text_;
  EXPECT_EQ(run({"store", "prune", "--store", path("store")}), 2);
  EXPECT_EQ(run({"store", "prune", "--keep", path("lock"), "--store", path("store")}), 0);
  EXPECT_EQ(text_, "1 files removed, 9 B\n");
  EXPECT_FALSE(store_->has(*extra));
  ASSERT_EQ(build_to(path("a")), 0) << text_;
  EXPECT_EQ(run({"lock", path("image.yaml"), "--output", path("lock"), "--update", "--offline",
                 "--store", path("store")}),
            0)
      << text_;
  EXPECT_EQ(run({"store", "verify", "--store", path("store")}), 0) << text_;
  const auto blobs = store_->blobs();
  ASSERT_TRUE(write_file(store_->path_of((*blobs)[0].sha256), "changed").ok());
  EXPECT_EQ(run({"store", "verify", "--store", path("store")}), 1);
  EXPECT_NE(text_.find((*blobs)[0].sha256), std::string::npos) << text_;
}

TEST_F(VerbsTest, ExplainNamesLayerPackageAndLine) {
  ASSERT_EQ(build_to(path("a")), 0) << text_;
  ASSERT_EQ(run({"explain", path("a"), "/usr/bin/app", "--lock", path("lock")}), 0) << text_;
  EXPECT_NE(text_.find("layer 1 sha256:"), std::string::npos) << text_;
  EXPECT_NE(text_.find("package app 2.0-1\n"), std::string::npos) << text_;
  EXPECT_NE(text_.find(": the package app\n"), std::string::npos) << text_;
  ASSERT_EQ(run({"explain", path("a"), "/opt/x", "--lock", path("lock")}), 0) << text_;
  EXPECT_NE(text_.find("package none\n"), std::string::npos) << text_;
  EXPECT_NE(text_.find(": the files entry /opt/x\n"), std::string::npos) << text_;
  EXPECT_EQ(run({"explain", path("a"), "/nothing"}), 1);
  ASSERT_EQ(run({"explain", path("a")}), 0) << text_;
  EXPECT_NE(text_.find("app "), std::string::npos) << text_;
}

TEST_F(VerbsTest, ASignalRemovesWhatIsNotFinished) {
  for (const int signal : {SIGINT, SIGTERM}) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const RemovePartialOnSignal clean_up;
      const auto blobs = BlobFolder::create(path("out/image.tar"));
      if (!blobs.ok() || !(*blobs)->add_text("x", "y").ok()) ::_exit(3);
      if (::write(ready[1], "r", 1) != 1) ::_exit(4);
      for (;;) ::pause();
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_FALSE(list_directory(path("out"))->empty());
    ASSERT_EQ(::kill(child, signal), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_TRUE(list_directory(path("out"))->empty());
    ::close(ready[0]);
    ::close(ready[1]);
  }
}

TEST_F(VerbsTest, TheLimitOfAFilesSizeIsAnErrorThatLeavesNothing) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit limit = {512, 512};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const RemovePartialOnSignal clean_up;
    ::_exit(build_to(path("out/image.tar")));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  EXPECT_TRUE(list_directory(path("out"))->empty());
}

TEST_F(VerbsTest, WrongNamesAreWrongUsage) {
  EXPECT_EQ(build_to(path("a"), {"--name", "Upper"}), 2);
  EXPECT_EQ(build_to(path("a"), {"--tag", "a b"}), 2);
  EXPECT_EQ(build_to(path("a"), {"--compression", "xz"}), 2);
  EXPECT_FALSE(path_exists(path("a")));
  EXPECT_EQ(build_to(path("a"), {"--compression", "zstd", "--tag", "mine:1"}), 0) << text_;
  EXPECT_NE(text_.find("mine:1\n"), std::string::npos) << text_;
}

}  // namespace
}  // namespace tenon::image
