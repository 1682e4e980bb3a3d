// What nodes do besides computing values, calls of functions included.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

struct Effects {
  bool reads = false;
  bool writes = false;
  bool random = false;
  bool outside = false;
  bool beyond_reading() const { return writes || random || outside; }
  bool any() const { return reads || beyond_reading(); }
};

// The effect of the node's op, and the effects of all that the functions it may run do, at any
// depth. All of them when a function cannot be found or calls go more than 100 deep.
Effects effects_of(const Graph& graph, const Node& node);

// "node 'x' (op Y)", the first in `graph` or in the functions that it may run whose op has
// `effect`; empty when there is none. Errors of functions that are not found; INVALID_ARGUMENT when
// calls go more than 100 deep.
StatusOr<std::string> find_effect(const Graph& graph, Effect effect);

}  // namespace tenon
