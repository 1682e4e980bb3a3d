// Graphs as TensorFlow's functions.
//
// Node names are kept. Attributes with their default value are left out, so that consumers older
// than an attribute still read the node. Ops of Tenon's own ("_...") are for Tenon alone: a graph
// that holds one is UNIMPLEMENTED to export, unless what is written stays in this process.
#pragma once

#include "tenon/graph/messages/function_def_writer.h"

namespace tenon {

enum class OwnOps : bool { kRefuse, kWrite };

// `graph` as the function `name`: its args and results, in order, are the function's. Their names
// are made what TensorFlow allows (argument_name) and unique.
StatusOr<FunctionDefWriter> write_function(const Graph& graph, std::string_view name,
                                           OwnOps own_ops = OwnOps::kRefuse);

// Adds the functions that `graph` reaches to `functions`, each once. ALREADY_EXISTS when another
// function of such a name stands there.
Status add_reached_functions(const Graph& graph, FunctionDefList& functions,
                             OwnOps own_ops = OwnOps::kRefuse);

// TensorFlow's rule for names of arguments and results: lower case, '_' for what is no letter or
// digit, a letter first; "unknown" if nothing is left.
std::string argument_name(std::string_view name);

}  // namespace tenon
