// Known vulnerabilities of an image's packages, from evidence that is at hand; nothing is asked of
// a network service. Matching follows Debian: by source package and source version.
#pragma once

#include <functional>

#include "tenon/image/debian/packages.h"
#include "tenon/image/store.h"

namespace tenon::image {

enum class VulnerabilitySeverity { kUnknown, kLow, kMedium, kHigh, kCritical };
std::string_view to_string(VulnerabilitySeverity severity);
StatusOr<VulnerabilitySeverity> parse_severity(std::string_view text);

struct Finding {
  std::string id;  // CVE-..., or what an OSV file calls it
  VulnerabilitySeverity severity = VulnerabilitySeverity::kUnknown;
  std::string source, version;        // source package and its version in the image
  std::vector<std::string> packages;  // binary packages of it in the image
  std::string fixed_version;          // empty: no fix known
  std::string evidence;               // "tracker", "osv", "archive", "support"
  std::string description;
  std::string unscored;         // why a severity that the evidence gives could not be read
  std::string ignored_because;  // empty: counts
};

// What is in the image.
struct ScanSubject {
  std::string distribution_id, distribution_version, codename;
  std::vector<Package> packages;
  struct Wheel {
    std::string name, version;
  };
  std::vector<Wheel> wheels;
};

// One body of evidence that was used.
struct Evidence {
  std::string name;  // "tracker FILE", ...
  int64_t date = 0;  // of the data, seconds since 1970
};

struct ScanReport {
  std::vector<Finding> findings;  // by source package, then id
  std::vector<Evidence> evidence;
  std::vector<std::string>
      notes;  // what could not be answered, and ignore entries that have expired
  bool out_of_support = false;
  bool too_old = false;
};

// Debian's security tracker as JSON. Only `subject`'s source packages are kept in memory.
Status scan_tracker(const std::string& path, const ScanSubject& subject, ScanReport& report);

// The severity of a CVSS score by the rating scale of versions 3 and 4 (0.1 low, 4 medium, 7 high,
// 9 critical), also of version 2, which has none of its own. 0.0 counts as low.
VulnerabilitySeverity severity_of_score(double score);

// An OSV file, or every .json of a folder: Debian ecosystems by version ranges, PyPI by listed
// versions. The severity is the highest that CVSS vectors, urgency and severity words give.
Status scan_osv(const std::string& path, const ScanSubject& subject, ScanReport& report);

// Newer versions in a sealed index. `changelog` gives the newer package's changelog, or empty when
// it is not at hand; then the finding says so.
Status scan_archive(const PackageIndex& index, const ScanSubject& subject,
                    const std::function<StatusOr<std::string>(const Package&)>& changelog,
                    ScanReport& report);

// debian-security-support's folder: security-support-ended.debN and security-support-limited.
Status scan_support(const std::string& folder, const ScanSubject& subject, ScanReport& report);

// Sets out_of_support from the distribution's end of (long term) support; unknown distributions
// become a note.
void check_distribution(const ScanSubject& subject, int64_t now, ScanReport& report);

// Marks findings that `text` (YAML: ignore: [{id, package, reason, expires: YYYY-MM-DD}]) excuses.
// Reason and expiry are required; an expired entry excuses nothing and becomes a note.
Status apply_ignores(std::string_view text, std::string_view what, int64_t now, ScanReport& report);

// One finding per id and source package: evidence is joined, the highest severity and a known fix
// stay.
void merge_findings(ScanReport& report);

std::string report_table(const ScanReport& report, std::string_view image);
std::string report_json(const ScanReport& report, std::string_view image);
std::string report_sarif(const ScanReport& report, std::string_view image,
                         std::string_view tool_version);

// Whether a finding counts against `threshold`: it is not ignored, and is at or above it or has no
// severity that is known for sure. What cannot be judged is not taken to be harmless.
bool is_counted(const Finding& finding, VulnerabilitySeverity threshold);

// 5 out of support, 4 data too old, 1 a finding that counts against `threshold`, else 0.
int scan_exit_code(const ScanReport& report, VulnerabilitySeverity threshold);

}  // namespace tenon::image
