#include "tenon/image/trust/trust_test.h"

#include <nlohmann/json.hpp>

#include "tenon/image/ledger.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/lint.h"
#include "tenon/image/trust/sbom.h"
#include "tenon/image/trust/scan.h"
#include "tenon/image/trust/sign.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

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

// What an entry says of its severity, anywhere, counts; what cannot be read counts at any gate.
TEST_F(FeedTest, OsvSeveritiesAreScored) {
  struct {
    const char* severity;  // members of the entry
    const char* affected;  // members of its affected[0]
    const char* expected;
    bool fails_high, fails_critical;
  } const kRows[] = {
      {R"("severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}])",
       "", "critical", true, true},
      {R"("severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}])",
       "", "high", true, false},
      {R"("severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}])", "", "critical",
       true, true},
      {R"("severity":[{"type":"CVSS_V4","score":)"
       R"("CVSS:4.0/AV:L/AC:L/AT:N/PR:N/UI:P/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"}])",
       "", "medium", false, false},
      {R"("severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"},)"
       R"({"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}])",
       "", "critical", true, true},
      {R"("severity":[{"type":"Ubuntu","score":"medium"}])", "", "medium", false, false},
      {R"("severity":[{"type":"CVSS_V3","score":"9.8"}])", "", "critical", true, true},
      {R"("x":0)",
       R"(,"severity":[{"type":"CVSS_V3","score":)"
       R"("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}])",
       "critical", true, true},
      // The distribution's urgency does not hide the vector, nor "not yet assigned" anything.
      {R"("severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}])",
       R"(,"ecosystem_specific":{"urgency":"not yet assigned"})", "critical", true, true},
      {R"("database_specific":{"severity":"MODERATE"})",
       R"(,"ecosystem_specific":{"urgency":"end-of-life"})", "medium", false, false},
      // Not to be judged.
      {R"("x":0)", "", "unknown", true, true},
      {R"("severity":[{"type":"CVSS_V9","score":"CVSS:9.0/AV:N"}])", "", "unknown", true, true},
      {R"("severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N"}],)"
       R"("database_specific":{"severity":"LOW"})",
       "", "low", true, true},
      {R"("severity":[{"type":"CVSS_V3","score":7}])", "", "unknown", true, true},
      {R"("severity":"high")", "", "unknown", true, true},
  };
  for (const auto& row : kRows) {
    const std::string file = path("osv.json");
    ASSERT_TRUE(
        write_file(file, cat(R"({"id":"CVE-2026-5",)", row.severity,
                             R"(,"affected":[{"package":{"ecosystem":"Debian:12","name":"vuln"},)"
                             R"("ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}])",
                             row.affected, "}]}"))
            .ok());
    const std::vector<std::string> words = {"--no_archive", "--osv", file, "--format", "json"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), words.begin(), words.end());
      return scan(more);
    };
    EXPECT_EQ(with({"--severity", "high"}), row.fails_high) << row.severity << out_;
    EXPECT_EQ(with({"--severity", "critical"}), row.fails_critical) << row.severity << out_;
    EXPECT_EQ(Json::parse(out_, nullptr, false)["findings"][0]["severity"], row.expected) << out_;
    // By name it is excused.
    ASSERT_TRUE(write_file(path("ignore.yaml"),
                           "ignore: [{id: CVE-2026-5, reason: no, expires: 2090-01-01}]")
                    .ok());
    EXPECT_EQ(with({"--severity", "critical", "--ignore", path("ignore.yaml")}), 0) << out_;
  }
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
  report.findings.push_back({"CVE-1-1000",
                             VulnerabilitySeverity::kHigh,
                             "s",
                             "1",
                             {"p"},
                             "2",
                             "tracker",
                             "text",
                             "",
                             ""});
  const Json json = Json::parse(report_sarif(report, "image", "1"), nullptr, false);
  EXPECT_EQ(json["version"], "2.1.0");
  EXPECT_EQ(json["runs"][0]["results"][0]["ruleId"], "CVE-1-1000");
  EXPECT_EQ(json["runs"][0]["results"][0]["level"], "error");
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
  ASSERT_EQ(run({"sbom", path("a.tar"), "--output", "-"}), 0);
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

TEST_F(TrustTest, BuildsAreInTheLedger) {
  ASSERT_EQ(run({"tags", path("ledger")}), 0);
  EXPECT_NE(out_.find("tenon:latest sha256:"), std::string::npos) << out_;
  EXPECT_EQ(read_ledger(path("ledger"))->entries.size(), 2U);
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
