// The fixture of tests that work on a built image: a signed archive, a store, and a.tar with its
// lock and ledger.
#pragma once

#include "tenon/image/commands.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {

inline constexpr int64_t kNow = 1795500000;  // 2026-11-24

// `tenon image` on one archive, store and image.
class TrustTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto archive = TestArchive::create();
    ASSERT_TRUE(archive.ok()) << archive.status();
    archive_.emplace(*std::move(archive));
    folder_.emplace(*TemporaryDirectory::create());
    ::setenv("TENON_IMAGE_STORE", path("store").c_str(), 1);
    ::setenv("TENON_IMAGE_NOW", cat(kNow).c_str(), 1);
    const std::string os = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=test\n";
    add({"base-files", "12", "amd64", "", {{"etc/os-release", os}}});
    add({"libvuln1", "1.0-1", "amd64", "Source: vuln\n", {{"usr/share/vuln", "x"}}});
    ASSERT_TRUE(archive_->publish().ok());
    ASSERT_TRUE(write_file(path("image.yaml"),
                           cat("name: test\nversion: 1.2.3\nbase: debian:test\n",
                               archive_->declaration_lines(),
                               "packages: [base-files, libvuln1]\nuser: \"65532:65532\"\n"
                               "tags: [\"{version}\", latest]\n"))
                    .ok());
    ASSERT_TRUE(create_directories(path("etc/apt")).ok());
    ASSERT_TRUE(
        write_file(path("etc/apt/sources.list"), cat("deb ", archive_->uri(), " test main\n"))
            .ok());
    ASSERT_TRUE(create_directories(path("etc/apt/trusted.gpg.d")).ok());
    ASSERT_TRUE(
        write_file(path("etc/apt/trusted.gpg.d/k.gpg"), *read_file(archive_->keyring())).ok());
    ASSERT_EQ(run({"lock", path("image.yaml"), "--output", path("lock")}), 0) << out_;
    ASSERT_EQ(run({"build", path("image.yaml"), "--lock", path("lock"), "--output", path("a.tar"),
                   "--ledger", path("ledger")}),
              0)
        << out_;
  }
  void TearDown() override {
    ::unsetenv("TENON_IMAGE_STORE");
    ::unsetenv("TENON_IMAGE_NOW");
  }
  void add(const TestPackage& package) {
    const Status status = archive_->add(package);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }
  int run(std::vector<std::string> words) {
    out_.clear();
    CommandContext context;
    context.program = "/proc/self/exe";
    context.program_version = "1.2.3";
    context.out = context.err = [this](std::string_view text) { out_ += text; };
    return run_image_command(words, context);
  }
  int scan(std::vector<std::string> more) {
    std::vector<std::string> words = {"scan",          path("a.tar"), "--apt_root",
                                      folder_->path(), "--support",   path("none")};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  // A fresh tracker in Debian's format.
  std::string tracker(std::string_view release) {
    const std::string file = path("tracker.json");
    const Status status = write_file(
        file, cat("{\"other\":{\"CVE-2026-1\":{\"releases\":{\"test\":{\"status\":\"open\"}}}},"
                  "\"vuln\":{\"CVE-2026-2\":{\"description\":\"bad\",\"releases\":{\"test\":",
                  release, "}}}}"));
    EXPECT_TRUE(status.ok());
    return file;
  }

  std::optional<TestArchive> archive_;
  std::optional<TemporaryDirectory> folder_;
  std::string out_;
};

}  // namespace tenon::image
