// Imported vulnerability feeds: Debian's tracker and OSV.
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tenon/image/debian/version.h"
#include "tenon/image/declaration.h"
#include "tenon/image/trust/cvss.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/scan.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr uint64_t kFeedLimit = uint64_t{1} << 30;

int64_t time_of_file(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 ? static_cast<int64_t>(info.st_mtime) : 0;
}

struct SourcePackage {
  std::string version;
  std::vector<std::string> binaries;
};

std::map<std::string, SourcePackage> by_source(const ScanSubject& subject) {
  std::map<std::string, SourcePackage> sources;
  for (const Package& package : subject.packages) {
    SourcePackage& source = sources[package.source];
    // The oldest of several: an image may mix versions of one source.
    if (source.version.empty() ||
        compare_debian_versions(package.source_version, source.version) < 0) {
      source.version = package.source_version;
    }
    source.binaries.push_back(package.name);
  }
  return sources;
}

VulnerabilitySeverity severity_of_urgency(std::string_view urgency) {
  if (urgency.starts_with("unimportant") || urgency.starts_with("low")) {
    return VulnerabilitySeverity::kLow;
  }
  if (urgency.starts_with("medium")) return VulnerabilitySeverity::kMedium;
  if (urgency.starts_with("high")) return VulnerabilitySeverity::kHigh;
  return VulnerabilitySeverity::kUnknown;
}

void add_tracker_entry(const std::string& name, const SourcePackage& source, const std::string& id,
                       const Json& entry, const std::string& codename, ScanReport& report) {
  const Json& release = json_child(json_child(entry, "releases"), codename.c_str());
  const std::string status = json_text(release, "status");
  if (status != "open" && status != "resolved") return;
  std::string fixed = json_text(release, "fixed_version");
  if (status == "resolved" &&
      (fixed.empty() || fixed == "0" || compare_debian_versions(source.version, fixed) >= 0)) {
    return;
  }
  if (status == "open") fixed.clear();
  Finding finding;
  finding.id = id;
  finding.severity = severity_of_urgency(json_text(release, "urgency"));
  finding.source = name;
  finding.version = source.version;
  finding.packages = source.binaries;
  finding.fixed_version = std::move(fixed);
  finding.evidence = "tracker";
  finding.description = json_text(entry, "description");
  report.findings.push_back(std::move(finding));
}

// The CVE that an OSV entry stands for, or its own name.
std::string osv_id(const Json& entry) {
  const std::string own = json_text(entry, "id");
  if (own.starts_with("CVE-")) return own;
  for (const char* list : {"aliases", "upstream"}) {
    for (const Json& alias : json_child(entry, list)) {
      if (alias.is_string() && alias.get<std::string>().starts_with("CVE-")) {
        return alias.get<std::string>();
      }
    }
  }
  return own;
}

// The highest severity that the entry gives anywhere; what it gives and cannot be read is kept as
// `unscored`, since it may be higher.
void set_osv_severity(const Json& entry, const Json& affected, Finding& finding) {
  const auto raise = [&](VulnerabilitySeverity severity) {
    finding.severity = std::max(finding.severity, severity);
  };
  for (const Json* place : {&json_child(entry, "severity"), &json_child(affected, "severity")}) {
    for (const Json& item : *place) {
      const std::string type = json_text(item, "type"), score = json_text(item, "score");
      double number = 0;
      if (const auto named = parse_severity(score == "negligible" ? "low" : to_lower(score));
          named.ok() && *named != VulnerabilitySeverity::kUnknown) {
        raise(*named);  // "Ubuntu" and the like
      } else if (parse_number(score, number) && number >= 0 && number <= 10) {
        raise(severity_of_score(number));
      } else if (const auto vector = cvss_score(score); vector.ok()) {
        raise(severity_of_score(*vector));
      } else {
        finding.unscored =
            cat(type.substr(0, 40), " '", score.substr(0, 80), "': ", message_of(vector.status()));
      }
    }
  }
  for (const Json* place :
       {&json_child(affected, "ecosystem_specific"), &json_child(affected, "database_specific"),
        &json_child(entry, "database_specific")}) {
    raise(severity_of_urgency(json_text(*place, "urgency")));
    const std::string severity = to_lower(json_text(*place, "severity"));
    const auto parsed = parse_severity(severity == "moderate" ? "medium" : severity);
    if (parsed.ok()) raise(*parsed);
  }
}

// Whether `version` lies in one of the ranges; the first fix above it goes to `fixed`.
bool in_ranges(const Json& affected, const std::string& version, std::string& fixed) {
  for (const Json& range : json_child(affected, "ranges")) {
    if (json_text(range, "type") != "ECOSYSTEM") continue;
    bool inside = false;
    for (const Json& event : json_child(range, "events")) {
      const std::string introduced = json_text(event, "introduced");
      const std::string end = json_text(event, "fixed");
      const std::string last = json_text(event, "last_affected");
      if (!introduced.empty()) {
        inside |= introduced == "0" || compare_debian_versions(version, introduced) >= 0;
      }
      if (!end.empty() && inside) {
        if (compare_debian_versions(version, end) < 0) {
          fixed = end;
          return true;
        }
        inside = false;
      }
      if (!last.empty() && compare_debian_versions(version, last) > 0) inside = false;
    }
    if (inside) return true;
  }
  return false;
}

bool listed(const Json& affected, const std::string& version) {
  const Json& versions = json_child(affected, "versions");
  return std::any_of(versions.begin(), versions.end(), [&](const Json& one) {
    return one.is_string() && one.get<std::string>() == version;
  });
}

bool ecosystem_fits(const std::string& ecosystem, const ScanSubject& subject) {
  const std::string name = subject.distribution_id == "debian"   ? "Debian"
                           : subject.distribution_id == "ubuntu" ? "Ubuntu"
                                                                 : "";
  if (name.empty() || !ecosystem.starts_with(name)) return false;
  const size_t colon = ecosystem.find(':');
  return colon == std::string::npos ||
         ecosystem.substr(colon + 1).starts_with(subject.distribution_version);
}

class OsvScanner {
 public:
  OsvScanner(const ScanSubject& subject, ScanReport& report)
      : subject_(subject), report_(report), sources_(by_source(subject)) {}

  Status read(const std::string& path) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kFeedLimit));
    const Json json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return data_loss(path, " is not JSON");
    if (json.is_array()) {
      for (const Json& entry : json) add(entry);
      return {};
    }
    if (!json.contains("id")) return invalid_argument(path, " is not an OSV entry");
    add(json);
    return {};
  }

 private:
  void add(const Json& entry) {
    if (!json_text(entry, "withdrawn").empty()) return;
    for (const Json& affected : json_child(entry, "affected")) {
      const Json& package = json_child(affected, "package");
      const std::string ecosystem = json_text(package, "ecosystem");
      const std::string name = json_text(package, "name");
      if (ecosystem == "PyPI") {
        add_wheels(entry, affected, name);
      } else if (ecosystem_fits(ecosystem, subject_)) {
        add_source(entry, affected, name);
      }
    }
  }

  void add_source(const Json& entry, const Json& affected, const std::string& name) {
    const auto source = sources_.find(name);
    if (source == sources_.end()) return;
    std::string fixed;
    const std::string& version = source->second.version;
    if (!in_ranges(affected, version, fixed) && !listed(affected, version)) return;
    add_finding(entry, affected, name, version, source->second.binaries, fixed);
  }

  void add_wheels(const Json& entry, const Json& affected, const std::string& name) {
    for (const ScanSubject::Wheel& wheel : subject_.wheels) {
      if (normal_wheel_name(wheel.name) != normal_wheel_name(name)) continue;
      if (listed(affected, wheel.version)) {
        add_finding(entry, affected, wheel.name, wheel.version, {wheel.name}, "");
      }
    }
  }

  void add_finding(const Json& entry, const Json& affected, const std::string& source,
                   const std::string& version, const std::vector<std::string>& packages,
                   const std::string& fixed) {
    Finding finding;
    finding.id = osv_id(entry);
    set_osv_severity(entry, affected, finding);
    finding.source = source;
    finding.version = version;
    finding.packages = packages;
    finding.fixed_version = fixed;
    finding.evidence = "osv";
    finding.description = json_text(entry, "summary");
    if (finding.description.empty()) {
      finding.description = json_text(entry, "details").substr(0, 200);
    }
    report_.findings.push_back(std::move(finding));
  }

  const ScanSubject& subject_;
  ScanReport& report_;
  std::map<std::string, SourcePackage> sources_;
};

}  // namespace

Status scan_tracker(const std::string& path, const ScanSubject& subject, ScanReport& report) {
  if (subject.codename.empty()) {
    return failed_precondition(
        "the image's os-release gives no VERSION_CODENAME, without which the "
        "tracker's releases cannot be matched");
  }
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kFeedLimit));
  const auto sources = by_source(subject);
  size_t seen = 0;
  const Json json = Json::parse(
      text,
      [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth != 1 || event != Json::parse_event_t::key) return true;
        ++seen;
        return sources.contains(parsed.get<std::string>());
      },
      false);
  if (!json.is_object() || seen == 0) return data_loss(path, " is not Debian's tracker in JSON");
  for (const auto& [name, source] : sources) {
    for (const auto& [id, entry] : json_child(json, name.c_str()).items()) {
      add_tracker_entry(name, source, id, entry, subject.codename, report);
    }
  }
  report.evidence.push_back({cat("tracker ", path), time_of_file(path)});
  return {};
}

Status scan_osv(const std::string& path, const ScanSubject& subject, ScanReport& report) {
  OsvScanner scanner(subject, report);
  int64_t newest = time_of_file(path);
  if (is_directory(path)) {
    TENON_ASSIGN_OR_RETURN(const auto names, list_directory(path));
    newest = 0;
    for (const std::string& name : names) {
      if (!name.ends_with(".json")) continue;
      const std::string file = join_path(path, name);
      TENON_RETURN_IF_ERROR(scanner.read(file));
      newest = std::max(newest, time_of_file(file));
    }
    if (newest == 0) return not_found(path, " holds no .json file");
  } else {
    TENON_RETURN_IF_ERROR(scanner.read(path));
  }
  report.evidence.push_back({cat("osv ", path), newest});
  return {};
}

}  // namespace tenon::image
