// What must not change an answer: the axes along which every case is run, and which combinations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::differential {

// What the graph is told of its arguments' shapes.
enum class Known {
  kAll,          // every dimension
  kAllButBatch,  // every dimension but the first
  kRank,         // the rank only
  kNothing,
};

// How the rows (dimension 0) of the arguments travel.
enum class Rows {
  kTogether,
  kAlone,     // one run a row
  kPairs,     // two at a time, the last one alone where they are odd
  kRepeated,  // the batch three times over and its first row once more
  kBroadcast  // one argument after the other is cut down to its first row
};

struct Setting {
  bool passes = true;
  int team = 1;
  Known known = Known::kAll;
  Rows rows = Rows::kTogether;
};

// "passes=on team=3 known=rank rows=alone".
std::string to_string(const Setting& setting);

// All combinations that make sense (rows need an unknown dimension 0).
const std::vector<Setting>& every_setting();

// A few of them, such that each pair of values of any two axes that occurs in every_setting()
// occurs in one of these.
const std::vector<Setting>& pairwise_settings();

// Those that case number `turn` runs under. The environment's TENON_DIFFERENTIAL says which:
// "product": every_setting(); nothing: pairwise_settings(); "1/3", "2/3" or "3/3": a third of
// these, another one for the next turn, so that a case meets all in three processes, and the cases
// of a group meet all in each. The instruction set is an axis of its own: TENON_MAX_ISA, a process
// each.
std::vector<Setting> settings(uint64_t turn);

}  // namespace tenon::differential
