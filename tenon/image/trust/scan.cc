#include "tenon/image/trust/scan.h"

#include <algorithm>
#include <array>
#include <set>

#include "tenon/image/debian/archive.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/debian/version.h"
#include "tenon/image/yaml.h"

namespace tenon::image {
namespace {

constexpr std::array<std::string_view, 5> kSeverities = {"unknown", "low", "medium", "high",
                                                         "critical"};

// End of security support, the long term one included (Debian LTS, Ubuntu standard support).
struct SupportEnd {
  std::string_view id, version, date;
};
constexpr SupportEnd kSupportEnds[] = {
    {"debian", "9", "2022-06-30"},     {"debian", "10", "2024-06-30"},
    {"debian", "11", "2026-08-31"},    {"debian", "12", "2028-06-30"},
    {"debian", "13", "2030-06-30"},    {"ubuntu", "18.04", "2023-05-31"},
    {"ubuntu", "20.04", "2025-05-31"}, {"ubuntu", "22.04", "2027-04-30"},
    {"ubuntu", "24.04", "2029-05-31"},
};

// "2028-06-30" as the second after that day; -1 when it is no date.
int64_t end_of_day(std::string_view date) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  int64_t month = 0;
  if (date.size() != 10 || date[4] != '-' || date[7] != '-' ||
      !parse_number(date.substr(5, 2), month) || month < 1 || month > 12) {
    return -1;
  }
  const auto seconds = parse_archive_date(
      cat("Day, ", date.substr(8, 2), " ", kMonths.substr(static_cast<size_t>(3 * (month - 1)), 3),
          " ", date.substr(0, 4), " 00:00:00 UTC"));
  return seconds.ok() ? *seconds + 86400 : -1;
}

std::vector<std::string_view> columns(std::string_view line) {
  std::vector<std::string_view> words;
  size_t at = 0;
  while ((at = line.find_first_not_of(" \t", at)) != std::string_view::npos) {
    const size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

// "golang.*" of the support lists: a prefix; nothing else of a regular expression is used there.
bool support_name_matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with(".*")) return name.starts_with(pattern.substr(0, pattern.size() - 2));
  return pattern == name;
}

Status read_support_list(const std::string& path, bool ended, const ScanSubject& subject,
                         ScanReport& report) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, 16 << 20));
  std::set<std::string> reported;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const auto words = columns(line);
    for (const Package& package : subject.packages) {
      if (!support_name_matches(words[0], package.source)) continue;
      if (ended && words.size() > 1 &&
          compare_debian_versions(package.source_version, words[1]) > 0) {
        continue;
      }
      if (!reported.insert(package.source).second) continue;
      Finding finding;
      finding.id = ended ? "support-ended" : "support-limited";
      finding.severity = ended ? VulnerabilitySeverity::kHigh : VulnerabilitySeverity::kLow;
      finding.source = package.source;
      finding.version = package.source_version;
      finding.packages = {package.name};
      finding.evidence = "support";
      finding.description = std::string(trim(line.substr(words[0].size())));
      report.findings.push_back(std::move(finding));
    }
  }
  report.evidence.push_back({cat("support ", path), 0});
  return {};
}

}  // namespace

std::string_view to_string(VulnerabilitySeverity severity) {
  return kSeverities[static_cast<size_t>(severity)];
}

StatusOr<VulnerabilitySeverity> parse_severity(std::string_view text) {
  const auto found = std::find(kSeverities.begin(), kSeverities.end(), text);
  if (found == kSeverities.end()) {
    return invalid_argument("severity '", text, "' is not one of ", join(kSeverities, ", "));
  }
  return static_cast<VulnerabilitySeverity>(found - kSeverities.begin());
}

Status scan_archive(const PackageIndex& index, const ScanSubject& subject,
                    const std::function<StatusOr<std::string>(const Package&)>& changelog,
                    ScanReport& report) {
  std::set<std::string> done;
  size_t known = 0;
  for (const Package& package : subject.packages) {
    const auto versions = index.versions(package.name);
    known += !versions.empty();
    if (versions.empty() || compare_debian_versions(versions[0]->version, package.version) <= 0 ||
        !done.insert(package.source).second) {
      continue;
    }
    TENON_ASSIGN_OR_RETURN(const std::string text, changelog(*versions[0]));
    Finding finding;
    finding.source = package.source;
    finding.version = package.source_version;
    finding.packages = {package.name};
    finding.evidence = "archive";
    if (text.empty()) {
      finding.id = "newer-version";
      finding.fixed_version = versions[0]->source_version;
      finding.description = "the archive has a newer version; its changelog is not in the store";
      report.findings.push_back(std::move(finding));
      continue;
    }
    for (const auto& [cve, fixed] : fixes_in_changelog(text, package.source_version)) {
      finding.id = cve;
      finding.fixed_version = fixed;
      finding.description = "named by the changelog of the newer version";
      report.findings.push_back(finding);
    }
  }
  if (known == 0 && !subject.packages.empty()) {
    return failed_precondition("the archive metadata knows none of the image's packages");
  }
  return {};
}

Status scan_support(const std::string& folder, const ScanSubject& subject, ScanReport& report) {
  const std::string major =
      subject.distribution_version.substr(0, subject.distribution_version.find('.'));
  const std::string ended = join_path(folder, cat("security-support-ended.deb", major));
  if (subject.distribution_id != "debian" || !path_exists(ended)) {
    report.notes.push_back(cat("no security-support list for ", subject.distribution_id, " ",
                               subject.distribution_version, " in ", folder));
    return {};
  }
  TENON_RETURN_IF_ERROR(read_support_list(ended, true, subject, report));
  const std::string limited = join_path(folder, "security-support-limited");
  return path_exists(limited) ? read_support_list(limited, false, subject, report) : Status();
}

void check_distribution(const ScanSubject& subject, int64_t now, ScanReport& report) {
  const bool debian = subject.distribution_id == "debian";
  const std::string version =
      debian ? subject.distribution_version.substr(0, subject.distribution_version.find('.'))
             : subject.distribution_version;
  for (const SupportEnd& row : kSupportEnds) {
    if (row.id != subject.distribution_id || row.version != version) continue;
    report.out_of_support = now >= end_of_day(row.date);
    if (report.out_of_support) {
      report.notes.push_back(cat(row.id, " ", row.version, " has had no security support since ",
                                 row.date, ": an empty list means nothing"));
    }
    return;
  }
  report.notes.push_back(cat("it is not known until when '", subject.distribution_id, " ",
                             subject.distribution_version, "' has security support"));
}

Status apply_ignores(std::string_view text, std::string_view what, int64_t now,
                     ScanReport& report) {
  TENON_ASSIGN_OR_RETURN(const YamlNode root, parse_yaml(text, what));
  const YamlNode* list = root.find("ignore");
  if (list == nullptr || list->kind != YamlNode::Kind::kSequence) {
    return invalid_argument(what, " has no list 'ignore'");
  }
  for (const YamlNode& item : list->items) {
    const auto field = [&](std::string_view key) {
      const YamlNode* value = item.find(key);
      return value == nullptr ? std::string() : value->scalar;
    };
    const std::string id = field("id"), reason = field("reason"), expires = field("expires");
    const int64_t end = end_of_day(expires);
    if (id.empty() || reason.empty() || end < 0) {
      return invalid_argument(what, " line ", item.line,
                              ": an entry needs id, reason and expires: YYYY-MM-DD");
    }
    if (now >= end) {
      report.notes.push_back(cat("the ignore entry for ", id, " expired on ", expires));
      continue;
    }
    for (Finding& finding : report.findings) {
      const std::string package = field("package");
      const bool named = package.empty() || package == finding.source ||
                         std::find(finding.packages.begin(), finding.packages.end(), package) !=
                             finding.packages.end();
      if (finding.id == id && named)
        finding.ignored_because = cat(reason, " (until ", expires, ")");
    }
  }
  return {};
}

void merge_findings(ScanReport& report) {
  std::map<std::pair<std::string, std::string>, Finding> merged;
  for (Finding& finding : report.findings) {
    const auto key = std::make_pair(finding.source, finding.id);
    auto [entry, fresh] = merged.try_emplace(key, finding);
    if (fresh) continue;
    Finding& kept = entry->second;
    kept.severity = std::max(kept.severity, finding.severity);
    if (kept.unscored.empty()) kept.unscored = finding.unscored;
    if (kept.fixed_version.empty()) kept.fixed_version = finding.fixed_version;
    if (kept.evidence.find(finding.evidence) == std::string::npos) {
      kept.evidence += cat("+", finding.evidence);
    }
    if (finding.packages.size() > kept.packages.size()) kept.packages = finding.packages;
  }
  report.findings.clear();
  for (auto& [key, finding] : merged) report.findings.push_back(std::move(finding));
}

VulnerabilitySeverity severity_of_score(double score) {
  if (score >= 9) return VulnerabilitySeverity::kCritical;
  if (score >= 7) return VulnerabilitySeverity::kHigh;
  return score >= 4 ? VulnerabilitySeverity::kMedium : VulnerabilitySeverity::kLow;
}

bool is_counted(const Finding& finding, VulnerabilitySeverity threshold) {
  const bool unsure =
      finding.severity == VulnerabilitySeverity::kUnknown || !finding.unscored.empty();
  return finding.ignored_because.empty() && (unsure || finding.severity >= threshold);
}

int scan_exit_code(const ScanReport& report, VulnerabilitySeverity threshold) {
  if (report.out_of_support) return 5;
  if (report.too_old) return 4;
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [&](const Finding& finding) { return is_counted(finding, threshold); });
}

}  // namespace tenon::image
