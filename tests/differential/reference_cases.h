// The reference cases of ../shared/cases, which TensorFlow computed: ops, gradients, models. The
// rules are in the READMEs there.
#pragma once

#include <map>
#include <set>

#include "tenon/base/status.h"
#include "tests/differential/compare.h"

namespace tenon::differential {

enum class CaseKind { kOp, kGradient, kModel };

// One request and its answer.
struct ReferenceCase {
  CaseKind kind = CaseKind::kOp;
  std::string group;      // "ops/Softmax", as in tests/conformance/expected.txt
  std::string name;       // "c00"; of a model the request: "0"
  std::string folder;     // of the SavedModel
  std::string signature;  // its name there
  std::map<std::string, Tensor> inputs;
  std::map<std::string, Tensor> outputs;    // of a gradient: those of the inputs, by their names
  std::map<std::string, Tensor> upstreams;  // of a gradient: dy by output
  Tolerance tolerance;
  std::string error;        // the canonical code, where it must fail
  bool shape_only = false;  // unseeded random: dtype and shape are judged, and bools
  std::vector<std::pair<std::string, std::string>> files;  // name in the working folder, content

  std::string id() const { return group + " " + name + " " + signature; }
};

// The groups of a kind that tests/conformance/expected.txt lists: names of ops or models.
std::vector<std::string> listed_groups(CaseKind kind);

// The cases of a group that are listed there; Tenon meets the others no more than it did when the
// list was written. Sequences of requests to one stateful model are left to tests/conformance.
StatusOr<std::vector<ReferenceCase>> listed_cases(CaseKind kind, const std::string& name);

}  // namespace tenon::differential
