#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/commands.h"
#include "tenon/image/ledger.h"
#include "tenon/image/testing/test_archive.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/lint.h"
#include "tenon/image/trust/sbom.h"
#include "tenon/image/trust/scan.h"
#include "tenon/image/trust/sign.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr int64_t kNow = 1795500000;  // 2026-11-24

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

// Feeds are as old as their files, which are made now: the clock must be the real one.
class FeedTest : public TrustTest {
 protected:
  void SetUp() override {
    TrustTest::SetUp();
    ::unsetenv("TENON_IMAGE_NOW");
  }
};

TEST_F(TrustTest, NoDataIsNeverZeroFindings) {
  ASSERT_TRUE(remove_tree(path("store/named")).ok());
  EXPECT_EQ(scan({}), 3);
  EXPECT_EQ(out_.find("0 findings"), std::string::npos) << out_;
  EXPECT_NE(out_.find("no vulnerability data"), std::string::npos) << out_;
  EXPECT_EQ(run({"scan"}), 2);
  EXPECT_EQ(run({"scan", path("a.tar"), "--severity", "dire"}), 2);
  EXPECT_EQ(run({"scan", path("nosuch.tar")}), 3);
}

TEST_F(FeedTest, TheTrackerIsMatchedBySourceVersion) {
  const auto with = [&](std::string_view release, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"--no_archive", "--tracker", tracker(release)};
    words.insert(words.end(), more.begin(), more.end());
    return scan(words);
  };
  EXPECT_EQ(with("{\"status\":\"open\",\"urgency\":\"medium\"}"), 1) << out_;
  EXPECT_NE(out_.find("CVE-2026-2"), std::string::npos);
  EXPECT_EQ(out_.find("CVE-2026-1"), std::string::npos);
  EXPECT_EQ(with("{\"status\":\"open\",\"urgency\":\"medium\"}", {"--severity", "high"}), 0);
  EXPECT_EQ(with("{\"status\":\"resolved\",\"fixed_version\":\"1.0-2\"}"), 1);
  EXPECT_EQ(with("{\"status\":\"resolved\",\"fixed_version\":\"1.0-1\"}"), 0);
  EXPECT_EQ(with("{\"status\":\"resolved\",\"fixed_version\":\"0\"}"), 0);
  EXPECT_EQ(with("{\"status\":\"undetermined\"}"), 0);
  EXPECT_NE(out_.find("0 findings"), std::string::npos) << out_;
}

TEST_F(FeedTest, OsvRangesAreMatched) {
  const auto entry = [](std::string_view events) {
    return cat(
        "{\"id\":\"DSA-1\",\"aliases\":[\"CVE-2026-3\"],\"affected\":[{\"package\":{"
        "\"ecosystem\":\"Debian:12\",\"name\":\"vuln\"},\"ranges\":[{\"type\":\"ECOSYSTEM\","
        "\"events\":[",
        events, "]}]}]}");
  };
  const std::string file = path("osv.json");
  ASSERT_TRUE(write_file(file, entry("{\"introduced\":\"0\"},{\"fixed\":\"1.0-2\"}")).ok());
  EXPECT_EQ(scan({"--no_archive", "--osv", file, "--format", "json"}), 1) << out_;
  const Json json = Json::parse(out_, nullptr, false);
  ASSERT_TRUE(json.is_object()) << out_;
  EXPECT_EQ(json["findings"][0]["id"], "CVE-2026-3");
  EXPECT_EQ(json["findings"][0]["fixedVersion"], "1.0-2");
  ASSERT_TRUE(write_file(file, entry("{\"introduced\":\"0\"},{\"fixed\":\"1.0-1\"}")).ok());
  EXPECT_EQ(scan({"--no_archive", "--osv", file}), 0) << out_;
}

TEST_F(FeedTest, IgnoresNeedReasonAndExpiry) {
  const std::string file = tracker("{\"status\":\"open\",\"urgency\":\"high\"}");
  const auto with = [&](std::string_view text) {
    EXPECT_TRUE(write_file(path("ignore.yaml"), text).ok());
    return scan({"--no_archive", "--tracker", file, "--ignore", path("ignore.yaml")});
  };
  EXPECT_EQ(with("ignore: [{id: CVE-2026-2, reason: not reachable, expires: 2090-01-01}]"), 0);
  EXPECT_NE(out_.find("1 ignored"), std::string::npos) << out_;
  EXPECT_EQ(with("ignore: [{id: CVE-2026-2, reason: not reachable, expires: 2020-01-01}]"), 1);
  EXPECT_NE(out_.find("expired on 2020-01-01"), std::string::npos) << out_;
  EXPECT_EQ(with("ignore: [{id: CVE-2026-2, expires: 2090-01-01}]"), 3);
}

TEST_F(TrustTest, NewerVersionsGiveTheCvesOfTheirChangelogs) {
  EXPECT_EQ(scan({"--update", "--max_age", "1000"}), 0) << out_;
  const std::string changelog = path("changelog");
  ASSERT_TRUE(write_file(changelog,
                         "vuln (1.0-2) test; urgency=high\n\n  * Fix CVE-2026-7777\n\n -- X\n\n"
                         "vuln (1.0-1) test; urgency=low\n\n  * CVE-2020-1111\n\n -- X\n")
                  .ok());
  ASSERT_TRUE(run_tool({"gzip", "-n", changelog}).ok());
  add({"libvuln1",
       "1.0-2",
       "amd64",
       "Source: vuln\n",
       {{"usr/share/vuln", "y"},
        {"usr/share/doc/libvuln1/changelog.Debian.gz", *read_file(changelog + ".gz")}}});
  ASSERT_TRUE(archive_->publish().ok());
  EXPECT_EQ(scan({"--update", "--max_age", "1000"}), 1);
  EXPECT_NE(out_.find("CVE-2026-7777"), std::string::npos) << out_;
  EXPECT_EQ(out_.find("CVE-2020-1111"), std::string::npos) << out_;
  // The lock's own view of the same change.
  EXPECT_EQ(run({"lock", path("image.yaml"), "--output", path("lock"), "--diff"}), 1);
  EXPECT_EQ(out_, "linux/amd64 libvuln1 1.0-1 -> 1.0-2 closes CVE-2026-7777\n");
}

TEST_F(TrustTest, OldDataAndDeadDistributionsHaveTheirOwnCodes) {
  EXPECT_EQ(scan({"--update"}), 4) << out_;      // the metadata is of July
  ::setenv("TENON_IMAGE_NOW", "1900000000", 1);  // 2030: bookworm's support has ended
  EXPECT_EQ(scan({"--update", "--max_age", "10000"}), 5) << out_;
}

TEST_F(TrustTest, SupportListsAreRead) {
  ASSERT_TRUE(create_directories(path("support")).ok());
  ASSERT_TRUE(write_file(path("support/security-support-ended.deb12"),
                         "# source  last version  date  reason\nvuln  1.0-1  2026-06-12  ended\n")
                  .ok());
  EXPECT_EQ(run({"scan", path("a.tar"), "--apt_root", folder_->path(), "--support", path("support"),
                 "--update", "--max_age", "1000"}),
            1);
  EXPECT_NE(out_.find("support-ended"), std::string::npos) << out_;
}

TEST_F(TrustTest, SarifNamesRulesAndResults) {
  ScanReport report;
  report.findings.push_back(
      {"CVE-1-1000", VulnerabilitySeverity::kHigh, "s", "1", {"p"}, "2", "tracker", "text", ""});
  const Json json = Json::parse(report_sarif(report, "image", "1"), nullptr, false);
  EXPECT_EQ(json["version"], "2.1.0");
  EXPECT_EQ(json["runs"][0]["results"][0]["ruleId"], "CVE-1-1000");
  EXPECT_EQ(json["runs"][0]["results"][0]["level"], "error");
}

TEST_F(TrustTest, SignaturesHoldForTheirKeyAndImageOnly) {
  ASSERT_EQ(run({"sign", "--new_key", path("k")}), 0) << out_;
  ASSERT_EQ(run({"sign", "--new_key", path("k2")}), 0) << out_;
  EXPECT_EQ(run({"sign", "--new_key", path("k")}), 1);  // never overwritten
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 1) << out_;
  ASSERT_EQ(run({"sign", path("a.tar"), "--key", path("k"), "--lock", path("lock")}), 0) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k.pub")}), 0) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--key", path("k2.pub")}), 1) << out_;
  EXPECT_EQ(run({"verify", path("a.tar"), "--lock", path("lock")}), 0) << out_;
  // OpenSSL's command line is the other verifier of the same signature.
  const auto reader = ImageReader::open(path("a.tar"));
  const auto attached = attachments_of(**reader, *find_image(**reader, nullptr));
  ASSERT_EQ(attached->size(), 1U);
  const Json envelope = Json::parse((*attached)[0].content);
  ASSERT_TRUE(
      run_tool({"python3", "-c",
                "import base64, json, sys\n"
                "e = json.load(open(sys.argv[1])); t = e['payloadType'].encode()\n"
                "p = base64.b64decode(e['payload'])\n"
                "open(sys.argv[2], 'wb').write(b'DSSEv1 %d %s %d %s' % (len(t), t, len(p), p))\n"
                "open(sys.argv[3], 'wb').write(base64.b64decode(e['signatures'][0]['sig']))\n",
                (write_file(path("e"), (*attached)[0].content).ok() ? path("e") : ""),
                path("message"), path("sig")})
          .ok());
  EXPECT_TRUE(run_tool({"openssl", "pkeyutl", "-verify", "-pubin", "-inkey", path("k.pub"),
                        "-rawin", "-in", path("message"), "-sigfile", path("sig")})
                  .ok());
}

TEST_F(TrustTest, SbomsListThePackagesAndAreStable) {
  ASSERT_EQ(run({"sbom", path("a.tar")}), 0);
  const std::string spdx = out_;
  const Json json = Json::parse(spdx, nullptr, false);
  EXPECT_EQ(json["spdxVersion"], "SPDX-2.3");
  EXPECT_EQ(json["packages"].size(), 3U);
  EXPECT_EQ(json["packages"][2]["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libvuln1@1.0-1?arch=amd64&distro=debian-12");
  ASSERT_EQ(run({"sbom", path("a.tar")}), 0);
  EXPECT_EQ(out_, spdx);
  ASSERT_EQ(run({"sbom", path("a.tar"), "--format", "cyclonedx"}), 0);
  EXPECT_EQ(Json::parse(out_)["specVersion"], "1.5");
  ASSERT_EQ(run({"sbom", path("a.tar"), "--attach"}), 0) << out_;
  const auto reader = ImageReader::open(path("a.tar"));
  EXPECT_EQ(attachments_of(**reader, *find_image(**reader, nullptr))->size(), 2U);
}

TEST_F(TrustTest, LintNamesRootShellsSetuidAndSecrets) {
  EXPECT_EQ(run({"lint", path("a.tar")}), 0) << out_;
  ASSERT_TRUE(write_file(path("bad.yaml"),
                         cat("name: bad\nversion: 1.2.3\nbase: debian:test\n",
                             archive_->declaration_lines(),
                             "packages: [base-files]\nenvironment: {DB_PASSWORD: hunter2}\nfiles:\n"
                             "  - {path: /bin/sh, content: x, mode: \"0755\"}\n"
                             "  - {path: /opt/su, content: x, mode: \"4755\"}\n"
                             "  - {path: /opt/open, content: x, mode: \"0666\"}\n"
                             "  - {path: /opt/a.key, content: \"-----BEGIN PRIVATE KEY-----\"}\n"))
                  .ok());
  ASSERT_EQ(run({"lock", path("bad.yaml"), "--output", path("bad.lock")}), 0) << out_;
  ASSERT_EQ(run({"build", path("bad.yaml"), "--lock", path("bad.lock"), "--output", path("bad")}),
            0)
      << out_;
  EXPECT_EQ(run({"lint", path("bad")}), 1);
  for (const char* rule : {"user: ", "shell: /usr/bin/sh", "setuid: /opt/su", "writable: /opt/open",
                           "secret: /opt/a.key", "secret: the environment variable DB_PASSWORD"}) {
    EXPECT_NE(out_.find(rule), std::string::npos) << rule << "\n" << out_;
  }
}

TEST(LintDeployment, LatestAndMissingTagsAreRefused) {
  const auto yaml = lint_deployment(
      "containers:\n  - image: r.example:5000/tenon\n  - image: \"tenon:latest\"\n"
      "    name: x\n  - image: tenon:1.2.3\n",
      "x");
  ASSERT_TRUE(yaml.ok()) << yaml.status();
  auto findings = *yaml;
  const auto dockerfile = lint_deployment(
      "FROM --platform=linux/amd64 tenon:latest-devel AS build\nFROM tenon@sha256:00\n", "x");
  ASSERT_TRUE(dockerfile.ok()) << dockerfile.status();
  findings.insert(findings.end(), dockerfile->begin(), dockerfile->end());
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_NE(findings[0].message.find("line 2"), std::string::npos);
  EXPECT_NE(findings[2].message.find("latest-devel"), std::string::npos);
}

TEST_F(TrustTest, TheLedgerKeepsFixedTagsAndShowsTampering) {
  ASSERT_EQ(run({"tags", path("ledger")}), 0);
  EXPECT_NE(out_.find("tenon:latest sha256:"), std::string::npos) << out_;
  const std::string other = cat("sha256:", sha256_hex("other"));
  EXPECT_EQ(append_to_ledger(path("ledger"), "tenon:1.2.3", other, 1).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(append_to_ledger(path("ledger"), "tenon:latest", other, 1).ok());
  EXPECT_EQ(read_ledger(path("ledger"))->size(), 3U);
  std::string text = *read_file(path("ledger"));
  text.replace(text.find("tenon:1.2.3"), 11, "tenon:9.9.9");
  ASSERT_TRUE(write_file(path("ledger"), text).ok());
  EXPECT_EQ(read_ledger(path("ledger")).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(TrustTest, WrongUsageIsTwoAndOneLine) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"nosuch"}), 2);
  EXPECT_EQ(run({"build", "runtime"}), 2);
  EXPECT_EQ(run({"lock", "runtime", "--nosuch"}), 2);
  EXPECT_TRUE(out_.starts_with("error: INVALID_ARGUMENT: unknown flag --nosuch; usage: ")) << out_;
  EXPECT_EQ(run({"lock", "nosuch.yaml"}), 1);
  EXPECT_TRUE(out_.starts_with("error: NOT_FOUND: ")) << out_;
  EXPECT_EQ(run({"--help"}), 0);
}

}  // namespace
}  // namespace tenon::image
