// What must not change an answer: the axes along which every case is run, and which combinations.
#pragma once

#include <string>
#include <vector>

#include "tenon/base/function_ref.h"

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

// every_setting() when the environment says TENON_DIFFERENTIAL=product, pairwise_settings()
// otherwise. The instruction set is an axis of its own: TENON_MAX_ISA, a process each.
const std::vector<Setting>& settings();

}  // namespace tenon::differential
