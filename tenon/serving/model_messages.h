// What is said about models: status and metadata, in the JSON of the REST API.
#pragma once

#include <span>

#include "tenon/serving/served_models.h"

namespace tenon::serving {

// GetModelStatusResponse as protobuf prints it in JSON, with white space and defaults.
StatusOr<std::string> model_status_json(std::span<const VersionStatus> versions);

// GetModelMetadataResponse as TensorFlow Serving composes it.
StatusOr<std::string> model_metadata_json(const ServedVersion& served);

}  // namespace tenon::serving
