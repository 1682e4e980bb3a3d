#include "tenon/image/trust/cvss.h"

#include <string>

#include "tenon/base/strings.h"

namespace tenon::image {
namespace {

struct ScoredVector {
  const char* vector;
  double score;
};

// The worked examples of the specifications: version 2's guide, section 3.3; the examples documents
// of 3.1 and 4.0. Further rows of 4.0 are what the Python library `cvss` 3.6 (Red Hat's) gives.
constexpr ScoredVector kScored[] = {
    // CVE-2002-0392, CVE-2003-0818, CVE-2003-0062: base, temporal, environmental.
    {"AV:N/AC:L/Au:N/C:N/I:N/A:C", 7.8},
    {"AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C", 6.4},
    {"AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H", 9.2},
    {"(AV:N/AC:L/Au:N/C:C/I:C/A:C)", 10.0},
    {"AV:N/AC:L/Au:N/C:C/I:C/A:C/E:F/RL:OF/RC:C", 8.3},
    {"AV:N/AC:L/Au:N/C:C/I:C/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:L", 9.0},
    {"AV:L/AC:H/Au:N/C:C/I:C/A:C", 6.2},
    {"AV:L/AC:H/Au:N/C:C/I:C/A:C/E:POC/RL:OF/RC:C", 4.9},
    {"AV:L/AC:H/Au:N/C:C/I:C/A:C/E:POC/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:M", 7.5},
    {"AV:N/AC:L/Au:N/C:N/I:N/A:N", 0.0},
    // 3.1
    {"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1},
    {"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4},
    {"CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1},
    {"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9},
    {"CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2},
    {"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8},
    {"CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8},
    {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5},
    {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8},
    {"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 6.8},
    {"CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8},
    {"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:L/I:N/A:N", 5.8},
    {"CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", 9.3},
    {"CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:H/I:H/A:H", 9.0},
    {"CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6},
    {"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", 7.4},
    {"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H", 9.6},
    {"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0},
    // 4.0: CVE-2022-41741, CVE-2020-3549, CVE-2023-3089, CVE-2021-44228, CVE-2014-0160,
    // CVE-2022-22186, then CVE-2023-3089 with its environment, CVE-2023-30560.
    {"CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3},
    {"CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.7},
    {"CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 8.3},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N", 8.7},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:L/VA:N/SC:N/SI:N/SA:N", 6.9},
    {"CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N/CR:H/IR:L/AR:L/MAV:N/MAC:H/"
     "MVC:H/MVI:L/MVA:L",
     8.1},
    {"CVSS:4.0/AV:P/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:H/SA:N", 8.3},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0.0},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1},
    {"CVSS:4.0/AV:L/AC:L/AT:N/PR:N/UI:P/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N", 4.8},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", 8.1},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:P", 8.9},
    {"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H/MSI:S/MSA:S", 10.0},
};

TEST(Cvss, TheSpecificationsExamplesHaveTheirScores) {
  for (const ScoredVector& row : kScored) {
    const auto score = cvss_score(row.vector);
    ASSERT_TRUE(score.ok()) << row.vector << ": " << score.status();
    EXPECT_NEAR(*score, row.score, 1e-9) << row.vector;
  }
}

TEST(Cvss, TheOrderOfMetricsDoesNotMatter) {
  for (const ScoredVector& row : kScored) {
    std::string text(row.vector);
    const bool prefixed = text.starts_with("CVSS:");
    if (text.starts_with('(')) continue;
    const std::string prefix = prefixed ? text.substr(0, 9) : "";
    const auto parts = split(std::string_view(text).substr(prefix.size()), '/');
    std::string turned;
    for (const std::string_view part : parts) {
      turned = turned.empty() ? std::string(part) : cat(part, "/", turned);
    }
    const auto score = cvss_score(prefix + turned);
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_NEAR(*score, row.score, 1e-9) << turned;
  }
}

TEST(Cvss, WhatIsNoVectorHasNoScore) {
  const std::string good = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
  for (const std::string& bad : {std::string(),
                                 std::string("9.8"),
                                 std::string("CVSS:3.1/"),
                                 std::string("CVSS:3.1"),
                                 std::string("CVSS:3.2/AV:N"),
                                 std::string("CVSS:5.0/AV:N/AC:L"),
                                 good + "/",
                                 good + "/A:H",
                                 good + "/XX:Y",
                                 good.substr(0, good.size() - 4),
                                 good.substr(0, good.size() - 1),
                                 good + "/E",
                                 good + "/E:",
                                 good + "/:X",
                                 "CVSS:4.0" + good.substr(8),
                                 "CVSS:3.1/" + good.substr(0, 9) + good.substr(9),
                                 good + " ;",
                                 "()" + good,
                                 good.substr(9),
                                 good + std::string(2000, 'x')}) {
    EXPECT_EQ(cvss_score(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace tenon::image
