// Verbs as the command line runs them: what a refused, broken-off or repeated one leaves.
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
