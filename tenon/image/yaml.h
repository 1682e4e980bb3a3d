// YAML as a tree of text: scalars keep their spelling ("no" stays "no", 1.10 stays 1.10). Anchors,
// aliases and tags are refused, so that a small file cannot grow.
#pragma once

#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

struct YamlNode {
  enum class Kind { kScalar, kSequence, kMapping };
  Kind kind = Kind::kScalar;
  int line = 0;  // from 1
  std::string scalar;
  std::vector<std::string> keys;  // of a mapping, beside items
  std::vector<YamlNode> items;    // of a sequence, or the values of a mapping

  // The value under `key`, or null.
  const YamlNode* find(std::string_view key) const;
};

// How much of YAML a reader takes.
struct YamlOptions {
  // Files of others: anchors and aliases are followed (an alias counts as many nodes as it stands
  // for), tags are passed over, and a key may stand twice.
  bool lenient = false;
};

// Every document of `text`, in order, of any kind. Depth at most 20, 64 when lenient; 100,000
// nodes. Errors give the line.
StatusOr<std::vector<YamlNode>> parse_yaml_documents(std::string_view text, std::string_view what,
                                                     YamlOptions options = {});

// The one document of `text`, a mapping. Depth at most 20, 100,000 nodes. Errors give the line.
StatusOr<YamlNode> parse_yaml(std::string_view text, std::string_view what);

}  // namespace tenon::image
