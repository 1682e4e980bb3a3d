// Which operators compute with integers, and how the levels of their operands go together.
#pragma once

#include "tenon/lite/model_file.h"

namespace tenon::lite {

// One scale and zero point.
struct Levels {
  float scale = 1;
  int64_t zero_point = 0;
  friend bool operator==(const Levels&, const Levels&) = default;
};

struct LevelRule {
  enum Kind : uint8_t {
    kFree,     // every operand has levels of its own
    kSame,     // the result has those of the data
    kJoined,   // operands take those of the result
    kFixed,    // the result's are the kernel's
    kProduct,  // constant weights in input 1, and perhaps a bias
  };
  int builtin;  // BuiltinOperator
  Kind kind;
  bool wide = true;  // there is a kernel of 16-bit activations too
  int data = 0;      // which input is the data
  Levels fixed = {}, fixed_wide = {};
};

// Null: computed in floats.
const LevelRule* find_level_rule(int builtin);

}  // namespace tenon::lite
