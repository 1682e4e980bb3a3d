// What is said about models: status and metadata, as messages and in the JSON of the REST API.
#pragma once

#include <span>

#include "tenon/serving/served_models.h"

namespace tensorflow::serving {
class GetModelStatusResponse;
}

namespace tenon::serving {

void set_model_status(std::span<const VersionStatus> versions,
                      tensorflow::serving::GetModelStatusResponse& response);

// GetModelStatusResponse as protobuf prints it in JSON, with white space and defaults.
StatusOr<std::string> model_status_json(std::span<const VersionStatus> versions);

// GetModelMetadataResponse as TensorFlow Serving composes it.
StatusOr<std::string> model_metadata_json(const ServedVersion& served);

}  // namespace tenon::serving
