#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "tenon/image/oci/model.h"
#include "tenon/image/trust/json.h"
#include "tenon/image/trust/scan.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

std::string padded(std::string text, size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

}  // namespace

std::string report_table(const ScanReport& report, std::string_view image) {
  std::vector<std::vector<std::string>> rows = {
      {"PACKAGE", "VERSION", "FIXED", "SEVERITY", "ID", "EVIDENCE"}};
  size_t counted = 0, ignored = 0;
  for (const Finding& finding : report.findings) {
    if (!finding.ignored_because.empty()) {
      ++ignored;
      continue;
    }
    ++counted;
    rows.push_back({finding.source, finding.version,
                    finding.fixed_version.empty() ? "-" : finding.fixed_version,
                    std::string(to_string(finding.severity)), finding.id, finding.evidence});
  }
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  if (counted > 0) {
    for (const auto& row : rows) {
      for (size_t i = 0; i < row.size(); ++i) {
        out += i + 1 == row.size() ? row[i] : padded(row[i], widths[i] + 2);
      }
      out += '\n';
    }
    out += '\n';
  }
  for (const Finding& finding : report.findings) {
    if (finding.unscored.empty() || !finding.ignored_because.empty()) continue;
    out += cat("note: the severity of ", finding.id, " in ", finding.source,
               " cannot be read, so that it counts at any --severity: ", finding.unscored, "\n");
  }
  for (const std::string& note : report.notes) out += cat("note: ", note, "\n");
  out += cat(image, ": ", counted, " findings, ", ignored, " ignored; evidence:");
  for (const Evidence& evidence : report.evidence) {
    out += cat(" ", evidence.name,
               evidence.date == 0 ? "" : cat(" of ", rfc3339(evidence.date).substr(0, 10)), ";");
  }
  out += '\n';
  return out;
}

std::string report_json(const ScanReport& report, std::string_view image) {
  Json json;
  json["image"] = std::string(image);
  json["outOfSupport"] = report.out_of_support;
  json["dataTooOld"] = report.too_old;
  json["evidence"] = Json::array();
  for (const Evidence& evidence : report.evidence) {
    json["evidence"].push_back(
        {{"name", evidence.name},
         {"date", evidence.date == 0 ? Json(nullptr) : Json(rfc3339(evidence.date))}});
  }
  json["notes"] = report.notes;
  json["findings"] = Json::array();
  for (const Finding& finding : report.findings) {
    Json entry = {{"id", finding.id},
                  {"severity", to_string(finding.severity)},
                  {"source", finding.source},
                  {"version", finding.version},
                  {"packages", finding.packages},
                  {"fixedVersion",
                   finding.fixed_version.empty() ? Json(nullptr) : Json(finding.fixed_version)},
                  {"evidence", finding.evidence},
                  {"description", finding.description}};
    if (!finding.unscored.empty()) entry["unscored"] = finding.unscored;
    if (!finding.ignored_because.empty()) entry["ignored"] = finding.ignored_because;
    json["findings"].push_back(std::move(entry));
  }
  return json_dump(json, 1) + "\n";
}

std::string report_sarif(const ScanReport& report, std::string_view image,
                         std::string_view tool_version) {
  const auto level = [](VulnerabilitySeverity severity) {
    if (severity >= VulnerabilitySeverity::kHigh) return "error";
    return severity == VulnerabilitySeverity::kMedium ? "warning" : "note";
  };
  Json rules = Json::array(), results = Json::array();
  std::set<std::string> known;
  for (const Finding& finding : report.findings) {
    if (known.insert(finding.id).second) {
      rules.push_back(
          {{"id", finding.id},
           {"shortDescription",
            {{"text", finding.description.empty() ? finding.id : finding.description}}}});
    }
    Json result = {
        {"ruleId", finding.id},
        {"level", level(finding.severity)},
        {"message",
         {{"text",
           cat(finding.source, " ", finding.version, ": ", finding.id,
               finding.fixed_version.empty() ? ", no fix known"
                                             : cat(", fixed in ", finding.fixed_version))}}},
        {"locations", Json::array({{{"physicalLocation",
                                     {{"artifactLocation", {{"uri", "var/lib/dpkg/status"}}}}},
                                    {"message", {{"text", std::string(image)}}}}})}};
    if (!finding.ignored_because.empty()) {
      result["suppressions"] =
          Json::array({{{"kind", "external"}, {"justification", finding.ignored_because}}});
    }
    results.push_back(std::move(result));
  }
  Json json;
  json["$schema"] = "https://json.schemastore.org/sarif-2.1.0.json";
  json["version"] = "2.1.0";
  json["runs"] = Json::array({{{"tool",
                                {{"driver",
                                  {{"name", "tenon image scan"},
                                   {"version", std::string(tool_version)},
                                   {"rules", std::move(rules)}}}}},
                               {"results", std::move(results)}}});
  return json_dump(json, 1) + "\n";
}

}  // namespace tenon::image
