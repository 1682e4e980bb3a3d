#include <algorithm>
#include <array>
#include <cmath>

#include "tenon/base/strings.h"
#include "tenon/image/trust/cvss_metrics.h"

namespace tenon::image {
namespace {

constexpr MetricRow kVersion4[] = {
    {"AV", "N A L P", true}, {"AC", "L H", true},
    {"AT", "N P", true},     {"PR", "N L H", true},
    {"UI", "N P A", true},   {"VC", "H L N", true},
    {"VI", "H L N", true},   {"VA", "H L N", true},
    {"SC", "H L N", true},   {"SI", "H L N", true},
    {"SA", "H L N", true},   {"E", "X A P U"},
    {"CR", "X H M L"},       {"IR", "X H M L"},
    {"AR", "X H M L"},       {"MAV", "X N A L P"},
    {"MAC", "X L H"},        {"MAT", "X N P"},
    {"MPR", "X N L H"},      {"MUI", "X N P A"},
    {"MVC", "X H L N"},      {"MVI", "X H L N"},
    {"MVA", "X H L N"},      {"MSC", "X H L N"},
    {"MSI", "X S H L N"},    {"MSA", "X S H L N"},
    {"S", "X N P"},          {"AU", "X N Y"},
    {"R", "X A U I"},        {"V", "X D C"},
    {"RE", "X L M H"},       {"U", "X Clear Green Amber Red"},
};

// Version 4.0. A vector belongs to a macro vector of six equivalence classes; the table gives the
// score, in tenths, of each macro vector's worst vector. The vector's own score lies below it by
// the mean of what each class's distance from its worst is worth.

// By the classes 1 to 6 in order; -1: there is no such macro vector.
constexpr int16_t kMacroScores[3 * 2 * 3 * 3 * 3 * 2] = {
    100, 99, 98, 95, 95, 92, 100, 96, 93, 87, 91, 81, 93, 90, 89, 80, 81, 68, 98, 95, 95, 92,
    90,  84, 93, 92, 89, 81, 81,  65, 88, 80, 78, 70, 69, 48, -1, 92, -1, 82, -1, 72, -1, 79,
    -1,  69, -1, 50, -1, 69, -1,  55, -1, 27, 99, 97, 95, 92, 92, 85, 95, 91, 90, 83, 84, 71,
    92,  81, 82, 71, 72, 53, 95,  93, 92, 85, 85, 73, 92, 82, 80, 72, 70, 59, 84, 70, 71, 52,
    50,  30, -1, 86, -1, 75, -1,  52, -1, 71, -1, 52, -1, 29, -1, 63, -1, 29, -1, 17, 98, 95,
    94,  87, 91, 81, 94, 89, 86,  74, 77, 64, 87, 75, 74, 63, 63, 49, 94, 89, 88, 77, 76, 67,
    86,  76, 74, 58, 59, 50, 72,  57, 57, 52, 52, 25, -1, 83, -1, 70, -1, 54, -1, 65, -1, 58,
    -1,  26, -1, 53, -1, 21, -1,  13, 95, 90, 88, 76, 76, 70, 90, 77, 75, 62, 61, 53, 77, 66,
    68,  59, 52, 30, 89, 78, 76,  67, 62, 58, 74, 59, 57, 57, 47, 23, 61, 52, 57, 29, 24, 16,
    -1,  71, -1, 59, -1, 30, -1,  58, -1, 26, -1, 15, -1, 23, -1, 13, -1, 6,  93, 87, 86, 72,
    75,  58, 86, 74, 74, 61, 56,  34, 70, 54, 52, 40, 40, 22, 85, 75, 74, 55, 62, 51, 72, 57,
    55,  41, 46, 19, 53, 36, 34,  19, 19, 8,  -1, 64, -1, 51, -1, 20, -1, 47, -1, 21, -1, 11,
    -1,  24, -1, 9,  -1, 4,  88,  75, 73, 53, 60, 50, 73, 55, 59, 40, 41, 20, 54, 43, 45, 22,
    20,  11, 75, 55, 58, 45, 40,  21, 61, 51, 48, 18, 20, 9,  46, 18, 17, 7,  8,  2,  -1, 53,
    -1,  24, -1, 14, -1, 24, -1,  12, -1, 5,  -1, 10, -1, 3,  -1, 1};

int macro_score(const std::array<int, 6>& macro) {
  constexpr int kSizes[6] = {3, 2, 3, 3, 3, 2};
  int index = 0;
  for (size_t i = 0; i < macro.size(); ++i) {
    if (macro[i] >= kSizes[i]) return -1;
    index = index * kSizes[i] + macro[i];
  }
  return kMacroScores[index];
}

// The worst vectors of one state of a class, and how many steps lie between them and its mildest.
struct ClassState {
  std::string_view worst;  // "AV:A/PR:N/UI:N AV:N/PR:L/UI:N"
  int depth;
};
constexpr ClassState kClass1[] = {{"AV:N/PR:N/UI:N", 1},
                                  {"AV:A/PR:N/UI:N AV:N/PR:L/UI:N AV:N/PR:N/UI:P", 4},
                                  {"AV:P/PR:N/UI:N AV:A/PR:L/UI:P", 5}};
constexpr ClassState kClass2[] = {{"AC:L/AT:N", 1}, {"AC:H/AT:N AC:L/AT:P", 2}};
// Classes 3 and 6 go together.
constexpr ClassState kClass36[3][2] = {
    {{"VC:H/VI:H/VA:H/CR:H/IR:H/AR:H", 7},
     {"VC:H/VI:H/VA:L/CR:M/IR:M/AR:H VC:H/VI:H/VA:H/CR:M/IR:M/AR:M", 6}},
    {{"VC:L/VI:H/VA:H/CR:H/IR:H/AR:H VC:H/VI:L/VA:H/CR:H/IR:H/AR:H", 8},
     {"VC:L/VI:H/VA:L/CR:H/IR:M/AR:H VC:L/VI:H/VA:H/CR:H/IR:M/AR:M "
      "VC:H/VI:L/VA:H/CR:M/IR:H/AR:M VC:H/VI:L/VA:L/CR:M/IR:H/AR:H "
      "VC:L/VI:L/VA:H/CR:H/IR:H/AR:M",
      8}},
    {{"", 1}, {"VC:L/VI:L/VA:L/CR:H/IR:H/AR:H", 10}}};
constexpr ClassState kClass4[] = {
    {"SC:H/SI:S/SA:S", 6}, {"SC:H/SI:H/SA:H", 5}, {"SC:L/SI:L/SA:L", 4}};

// Values from the worst on: a step is one place.
constexpr MetricRow kSteps[] = {
    {"AV", "N A L P"}, {"PR", "N L H"}, {"UI", "N P A"}, {"AC", "L H"},     {"AT", "N P"},
    {"VC", "H L N"},   {"VI", "H L N"}, {"VA", "H L N"}, {"SC", "S H L N"}, {"SI", "S H L N"},
    {"SA", "S H L N"}, {"CR", "H M L"}, {"IR", "H M L"}, {"AR", "H M L"},
};

int step_of(std::string_view name, std::string_view value) {
  for (const MetricRow& row : kSteps) {
    if (row.name != name) continue;
    const auto values = split(row.values, ' ');
    return static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
  }
  return 0;
}

class Version4 {
 public:
  explicit Version4(const CvssMetrics& metrics) : metrics_(metrics) {}

  double score() const {
    const auto none = [&](std::string_view name) { return get(name) == "N"; };
    if (none("VC") && none("VI") && none("VA") && none("SC") && none("SI") && none("SA")) return 0;
    const std::array<int, 6> macro = macro_vector();
    const int worst = macro_score(macro);
    const auto lower = [&](size_t at) {
      std::array<int, 6> next = macro;
      ++next[at];
      return macro_score(next);
    };
    double sum = 0;
    int count = 0;
    const auto add = [&](int next, int distance, int depth) {
      if (next < 0) return;
      sum += static_cast<double>(worst - next) * distance / depth;
      ++count;
    };
    const auto at = [&](size_t i) { return static_cast<size_t>(macro[i]); };
    add(lower(0), distance(kClass1[at(0)].worst), kClass1[at(0)].depth);
    add(lower(1), distance(kClass2[at(1)].worst), kClass2[at(1)].depth);
    const ClassState& both = kClass36[at(2)][at(5)];
    add(lower_of_36(macro), distance(both.worst), both.depth);
    add(lower(3), distance(kClass4[at(3)].worst), kClass4[at(3)].depth);
    add(lower(4), 0, 1);
    const double mean = count == 0 ? 0 : sum / count;
    return std::clamp(std::floor(worst - mean + 0.5 + 1e-5), 0.0, 100.0) / 10;
  }

 private:
  // The modified value where there is one; what is not defined counts as the worst.
  std::string_view get(std::string_view name) const {
    const bool worst_high = name == "CR" || name == "IR" || name == "AR";
    const std::string_view plain = cvss_value(metrics_, name,
                                              name == "E"  ? "A"
                                              : worst_high ? "H"
                                                           : "");
    return cvss_value(metrics_, cat("M", name), plain);
  }
  bool is(std::string_view name, std::string_view value) const { return get(name) == value; }

  std::array<int, 6> macro_vector() const {
    const bool av = is("AV", "N"), pr = is("PR", "N"), ui = is("UI", "N");
    const bool vc = is("VC", "H"), vi = is("VI", "H"), va = is("VA", "H");
    const bool safety = is("SI", "S") || is("SA", "S");
    const bool later = is("SC", "H") || is("SI", "H") || is("SA", "H");
    const bool needed = (is("CR", "H") && vc) || (is("IR", "H") && vi) || (is("AR", "H") && va);
    return {av && pr && ui                       ? 0
            : (av || pr || ui) && !is("AV", "P") ? 1
                                                 : 2,
            is("AC", "L") && is("AT", "N") ? 0 : 1,
            vc && vi           ? 0
            : (vc || vi || va) ? 1
                               : 2,
            safety  ? 0
            : later ? 1
                    : 2,
            is("E", "A")   ? 0
            : is("E", "P") ? 1
                           : 2,
            needed ? 0 : 1};
  }

  // The next lower of classes 3 and 6 together: where both can go down, the higher score counts.
  static int lower_of_36(const std::array<int, 6>& macro) {
    std::array<int, 6> by3 = macro, by6 = macro;
    ++by3[2];
    ++by6[5];
    if (macro[2] == 0 && macro[5] == 0) return std::max(macro_score(by3), macro_score(by6));
    if (macro[2] == 1 && macro[5] == 0) return macro_score(by6);
    return macro_score(by3);
  }

  // Steps from the first of the worst vectors that is nowhere milder.
  int distance(std::string_view worst) const {
    for (std::string_view vector : split(worst, ' ')) {
      int sum = 0;
      bool below = true;
      for (std::string_view part : split(vector, '/')) {
        const std::string_view name = part.substr(0, 2);
        if (part.size() < 4) continue;
        const int steps = step_of(name, get(name)) - step_of(name, part.substr(3));
        below &= steps >= 0;
        sum += steps;
      }
      if (below) return sum;
    }
    return 0;
  }

  const CvssMetrics& metrics_;
};

}  // namespace

StatusOr<double> score_cvss4(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const CvssMetrics metrics, parse_cvss_metrics(text, kVersion4));
  return Version4(metrics).score();
}

}  // namespace tenon::image
