// tensorflow.StructuredValue: how a SavedModel describes the arguments and results of its Python
// functions. Everything is a serialized message.
#pragma once

#include "tenon/saved_model/export_parts.h"

namespace tenon::saved_model_internal {

std::string none_value();
std::string tuple_value(const std::vector<std::string>& values);

// The one positional argument of an endpoint: a tensor, or a list of them as Keras passes it.
std::string positional_argument(const ExportedEndpoint& endpoint);

// (args, kwargs): of an endpoint, an empty args where it takes nothing; of a signature.
std::string endpoint_inputs(const ExportedEndpoint& endpoint);
std::string signature_inputs(const ExportedEndpoint& endpoint);

// What the model's call returns: a tensor, a list or a dictionary; what a signature returns.
std::string endpoint_outputs(const ExportedEndpoint& endpoint);
std::string outputs_by_name(const ExportedEndpoint& endpoint);

// inspect.FullArgSpec of a Python function with these arguments.
std::string argument_spec(const std::vector<std::string>& args,
                          const std::vector<std::string>& keywords);

}  // namespace tenon::saved_model_internal
