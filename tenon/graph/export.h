// GraphDef out: Graphs as TensorFlow's messages.
//
// Node names are kept. Attributes with their default value are left out, so that consumers older
// than an attribute still read the node. Ops of Tenon's own (fused ones, "_...") exist after the
// passes only; a graph that holds one is UNIMPLEMENTED to export.
#pragma once

#include "tenon/graph/graph.h"

namespace tensorflow {
class FunctionDef;
class FunctionDefLibrary;
class GraphDef;
}  // namespace tensorflow

namespace tenon {

// `graph` as the function `name`: its args and results, in order, are the function's. Their names
// are made what TensorFlow allows (argument_name) and unique.
Status function_to_proto(const Graph& graph, std::string_view name, tensorflow::FunctionDef& proto);

// `graph` as a GraphDef; its args are placeholders. The library is left alone.
Status graph_to_proto(const Graph& graph, tensorflow::GraphDef& proto);

// Adds the functions that `graph` reaches to `library`, each once. ALREADY_EXISTS when another
// function of such a name stands there.
Status add_reached_functions(const Graph& graph, tensorflow::FunctionDefLibrary& library);

// Adds the argument `name`, with dtype and shape of the _Arg `node`.
void argument_to_proto(const Node& node, const std::string& name, tensorflow::FunctionDef& proto);

// TensorFlow's rule for names of arguments and results: lower case, '_' for what is no letter or
// digit, a letter first; "unknown" if nothing is left.
std::string argument_name(std::string_view name);

}  // namespace tenon
