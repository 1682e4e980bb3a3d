#include "tenon/image/trust/cvss.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "tenon/base/strings.h"
#include "tenon/image/trust/cvss_metrics.h"

namespace tenon::image {
namespace {

constexpr MetricRow kVersion2[] = {
    {"AV", "L A N", true}, {"AC", "H M L", true},     {"Au", "M S N", true}, {"C", "N P C", true},
    {"I", "N P C", true},  {"A", "N P C", true},      {"E", "U POC F H ND"}, {"RL", "OF TF W U ND"},
    {"RC", "UC UR C ND"},  {"CDP", "N L LM MH H ND"}, {"TD", "N L M H ND"},  {"CR", "L M H ND"},
    {"IR", "L M H ND"},    {"AR", "L M H ND"},
};
constexpr MetricRow kVersion3[] = {
    {"AV", "N A L P", true}, {"AC", "L H", true},  {"PR", "N L H", true}, {"UI", "N R", true},
    {"S", "U C", true},      {"C", "H L N", true}, {"I", "H L N", true},  {"A", "H L N", true},
    {"E", "X H F P U"},      {"RL", "X U W T O"},  {"RC", "X C R U"},     {"CR", "X H M L"},
    {"IR", "X H M L"},       {"AR", "X H M L"},    {"MAV", "X N A L P"},  {"MAC", "X L H"},
    {"MPR", "X N L H"},      {"MUI", "X N R"},     {"MS", "X U C"},       {"MC", "X H L N"},
    {"MI", "X H L N"},       {"MA", "X H L N"},
};
bool any_defined(const CvssMetrics& metrics, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return !cvss_value(metrics, name).empty(); });
}

struct Weight {
  std::string_view value;
  double number;
};

// The weight of a value; 1 for what is not defined.
double weight(std::string_view value, std::initializer_list<Weight> weights) {
  for (const Weight& one : weights) {
    if (one.value == value) return one.number;
  }
  return 1;
}

double nearest_tenth(double value) { return std::round(value * 10 + 1e-9) / 10; }

// Version 2, section 3.2.
double score_version2(const CvssMetrics& metrics) {
  const auto impact_weight = [&](std::string_view name) {
    return weight(cvss_value(metrics, name), {{"N", 0}, {"P", 0.275}, {"C", 0.66}});
  };
  const auto requirement = [&](std::string_view name) {
    return weight(cvss_value(metrics, name), {{"L", 0.5}, {"M", 1}, {"H", 1.51}});
  };
  const double exploitability =
      20 * weight(cvss_value(metrics, "AV"), {{"L", 0.395}, {"A", 0.646}, {"N", 1}}) *
      weight(cvss_value(metrics, "AC"), {{"H", 0.35}, {"M", 0.61}, {"L", 0.71}}) *
      weight(cvss_value(metrics, "Au"), {{"M", 0.45}, {"S", 0.56}, {"N", 0.704}});
  const auto base_of = [&](double impact) {
    const double factor = impact == 0 ? 0 : 1.176;
    return nearest_tenth((0.6 * impact + 0.4 * exploitability - 1.5) * factor);
  };
  const auto temporal_of = [&](double base) {
    if (!any_defined(metrics, {"E", "RL", "RC"})) return base;
    return nearest_tenth(
        base *
        weight(cvss_value(metrics, "E"), {{"U", 0.85}, {"POC", 0.9}, {"F", 0.95}, {"H", 1}}) *
        weight(cvss_value(metrics, "RL"), {{"OF", 0.87}, {"TF", 0.9}, {"W", 0.95}, {"U", 1}}) *
        weight(cvss_value(metrics, "RC"), {{"UC", 0.9}, {"UR", 0.95}, {"C", 1}}));
  };
  const double c = impact_weight("C"), i = impact_weight("I"), a = impact_weight("A");
  if (!any_defined(metrics, {"CDP", "TD", "CR", "IR", "AR"})) {
    return std::max(0.0, temporal_of(base_of(10.41 * (1 - (1 - c) * (1 - i) * (1 - a)))));
  }
  const double adjusted_impact =
      std::min(10.0, 10.41 * (1 - (1 - c * requirement("CR")) * (1 - i * requirement("IR")) *
                                      (1 - a * requirement("AR"))));
  const double adjusted = std::max(0.0, temporal_of(base_of(adjusted_impact)));
  const double damage = weight(cvss_value(metrics, "CDP", "N"),
                               {{"N", 0}, {"L", 0.1}, {"LM", 0.3}, {"MH", 0.4}, {"H", 0.5}});
  const double targets =
      weight(cvss_value(metrics, "TD"), {{"N", 0}, {"L", 0.25}, {"M", 0.75}, {"H", 1}});
  return nearest_tenth((adjusted + (10 - adjusted) * damage) * targets);
}

// Version 3.1, appendix A: the smallest number with one decimal that is not below.
double round_up(double value) {
  const auto scaled = static_cast<int64_t>(std::round(value * 100000));
  const int64_t tenths = scaled % 10000 == 0 ? scaled / 10000 : scaled / 10000 + 1;
  return static_cast<double>(tenths) / 10;
}

// Versions 3.0 and 3.1, section 7 and 8.
double score_version3(const CvssMetrics& metrics, bool is_30) {
  const bool environmental =
      any_defined(metrics, {"CR", "IR", "AR", "MAV", "MAC", "MPR", "MUI", "MS", "MC", "MI", "MA"});
  const auto get = [&](std::string_view name) {
    return cvss_value(metrics, cat("M", name), cvss_value(metrics, name));
  };
  const auto impact_weight = [&](std::string_view name, std::string_view requirement) {
    return weight(get(name), {{"H", 0.56}, {"L", 0.22}, {"N", 0}}) *
           weight(cvss_value(metrics, requirement), {{"H", 1.5}, {"M", 1}, {"L", 0.5}});
  };
  const bool changed = get("S") == "C";
  double sum = 1 - (1 - impact_weight("C", "CR")) * (1 - impact_weight("I", "IR")) *
                       (1 - impact_weight("A", "AR"));
  if (environmental) sum = std::min(sum, 0.915);
  double impact = 6.42 * sum;
  if (changed) {
    const bool newer = environmental && !is_30;
    impact = 7.52 * (sum - 0.029) -
             3.25 * std::pow(newer ? sum * 0.9731 - 0.02 : sum - 0.02, newer ? 13 : 15);
  }
  const double exploitability =
      8.22 * weight(get("AV"), {{"N", 0.85}, {"A", 0.62}, {"L", 0.55}, {"P", 0.2}}) *
      weight(get("AC"), {{"L", 0.77}, {"H", 0.44}}) *
      weight(get("PR"), {{"N", 0.85}, {"L", changed ? 0.68 : 0.62}, {"H", changed ? 0.5 : 0.27}}) *
      weight(get("UI"), {{"N", 0.85}, {"R", 0.62}});
  if (impact <= 0) return 0;
  const double base = round_up(std::min((changed ? 1.08 : 1.0) * (impact + exploitability), 10.0));
  return round_up(
      base * weight(cvss_value(metrics, "E"), {{"H", 1}, {"F", 0.97}, {"P", 0.94}, {"U", 0.91}}) *
      weight(cvss_value(metrics, "RL"), {{"U", 1}, {"W", 0.97}, {"T", 0.96}, {"O", 0.95}}) *
      weight(cvss_value(metrics, "RC"), {{"C", 1}, {"R", 0.96}, {"U", 0.92}}));
}

}  // namespace

StatusOr<CvssMetrics> parse_cvss_metrics(std::string_view text, std::span<const MetricRow> rows) {
  CvssMetrics metrics;
  for (std::string_view part : split(text, '/')) {
    const size_t colon = part.find(':');
    const std::string_view name = part.substr(0, colon);
    const std::string_view value =
        colon == std::string_view::npos ? std::string_view() : part.substr(colon + 1);
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const MetricRow& one) { return one.name == name; });
    if (row == rows.end()) return invalid_argument("CVSS metric '", part, "' is not known");
    const auto values = split(row->values, ' ');
    if (std::find(values.begin(), values.end(), value) == values.end()) {
      return invalid_argument("CVSS metric '", part, "' has no such value");
    }
    if (!metrics.emplace(name, value).second) {
      return invalid_argument("CVSS metric '", name, "' stands there twice");
    }
  }
  for (const MetricRow& row : rows) {
    if (row.required && metrics.find(row.name) == metrics.end()) {
      return invalid_argument("CVSS metric '", row.name, "' is missing");
    }
  }
  return metrics;
}

// The metric's value, or `otherwise` where it is missing or not defined.
std::string_view cvss_value(const CvssMetrics& metrics, std::string_view name,
                            std::string_view otherwise) {
  const auto found = metrics.find(name);
  const bool defined = found != metrics.end() && found->second != "X" && found->second != "ND";
  return defined ? std::string_view(found->second) : otherwise;
}

StatusOr<double> cvss_score(std::string_view vector) {
  vector = trim(vector);
  if (vector.size() > 1 && vector.starts_with('(') && vector.ends_with(')')) {
    vector = vector.substr(1, vector.size() - 2);
  }
  if (vector.size() > 1000) return invalid_argument("a CVSS vector has ", vector.size(), " bytes");
  if (vector.starts_with("CVSS:4.0/")) return score_cvss4(vector.substr(9));
  const bool is_30 = vector.starts_with("CVSS:3.0/");
  if (is_30 || vector.starts_with("CVSS:3.1/")) {
    TENON_ASSIGN_OR_RETURN(const CvssMetrics metrics,
                           parse_cvss_metrics(vector.substr(9), kVersion3));
    return score_version3(metrics, is_30);
  }
  if (vector.starts_with("CVSS:2.0/")) vector.remove_prefix(9);
  if (vector.starts_with("CVSS:")) {
    return invalid_argument("'", vector.substr(0, 10), "' is no version of CVSS from 2.0 to 4.0");
  }
  TENON_ASSIGN_OR_RETURN(const CvssMetrics metrics, parse_cvss_metrics(vector, kVersion2));
  return score_version2(metrics);
}

}  // namespace tenon::image
