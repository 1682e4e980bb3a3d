#include "tests/differential/settings.h"

#include <array>
#include <cstdlib>
#include <set>

#include "tenon/base/log.h"
#include "tenon/base/strings.h"

namespace tenon::differential {
namespace {

constexpr const char* kKnownNames[] = {"all", "all_but_batch", "rank", "nothing"};
constexpr const char* kRowsNames[] = {"together", "alone", "pairs", "repeated", "broadcast"};

bool makes_sense(const Setting& s) {
  if (s.rows == Rows::kTogether) return true;
  if (s.rows == Rows::kBroadcast) return s.known != Known::kAll;
  // Nobody merges rows of a signature whose rank is not known.
  return s.known == Known::kAllButBatch || s.known == Known::kRank;
}

std::vector<Setting> product() {
  std::vector<Setting> all;
  for (bool passes : {true, false}) {
    for (int team : {1, 2, 3, 8}) {
      for (int known = 0; known < 4; ++known) {
        for (int rows = 0; rows < 5; ++rows) {
          const Setting setting{passes, team, static_cast<Known>(known), static_cast<Rows>(rows)};
          if (makes_sense(setting)) all.push_back(setting);
        }
      }
    }
  }
  return all;
}

// Two values of two axes: (axis, value, axis, value).
using Pair = std::array<int, 4>;

std::vector<Pair> pairs_of(const Setting& s) {
  const int values[] = {s.passes, s.team, static_cast<int>(s.known), static_cast<int>(s.rows)};
  std::vector<Pair> pairs;
  for (int a = 0; a < 4; ++a) {
    for (int b = a + 1; b < 4; ++b) pairs.push_back({a, values[a], b, values[b]});
  }
  return pairs;
}

// Greedy: the setting that brings the most new pairs, until there are none left.
std::vector<Setting> covering(const std::vector<Setting>& all) {
  std::set<Pair> missing;
  for (const Setting& setting : all) {
    for (const Pair& pair : pairs_of(setting)) missing.insert(pair);
  }
  std::vector<Setting> chosen;
  while (!missing.empty()) {
    const Setting* best = nullptr;
    size_t most = 0;
    for (const Setting& setting : all) {
      size_t brings = 0;
      for (const Pair& pair : pairs_of(setting)) brings += missing.count(pair);
      if (brings > most) best = &setting, most = brings;
    }
    for (const Pair& pair : pairs_of(*best)) missing.erase(pair);
    chosen.push_back(*best);
  }
  return chosen;
}

}  // namespace

std::string to_string(const Setting& s) {
  return cat("passes=", s.passes ? "on" : "off", " team=", s.team,
             " known=", kKnownNames[static_cast<int>(s.known)],
             " rows=", kRowsNames[static_cast<int>(s.rows)]);
}

const std::vector<Setting>& every_setting() {
  static const std::vector<Setting> all = product();
  return all;
}

const std::vector<Setting>& pairwise_settings() {
  static const std::vector<Setting> chosen = covering(every_setting());
  return chosen;
}

std::vector<Setting> settings(uint64_t turn) {
  const char* const named = std::getenv("TENON_DIFFERENTIAL");
  const std::string_view wanted = named ? named : "";
  if (wanted == "product") return every_setting();
  if (wanted.empty()) return pairwise_settings();
  TENON_CHECK(wanted.size() == 3 && wanted.ends_with("/3"));
  const uint64_t share = static_cast<uint64_t>(wanted[0] - '0') + turn;
  std::vector<Setting> chosen;
  for (uint64_t i = 0; i < pairwise_settings().size(); ++i) {
    if (i % 3 == share % 3) chosen.push_back(pairwise_settings()[i]);
  }
  return chosen;
}

}  // namespace tenon::differential
