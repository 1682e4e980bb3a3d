// For tests: the models of shared/cases/serving, as far as their signatures go. What they compute
// is done by hand, so that the serving path is tested without an engine.
#pragma once

#include <string>

#include "tenon/serving/served_models.h"

namespace tenon::serving {

// The ops, registered once by whoever comes first.
const Status& register_case_ops();

// shared/cases/serving
const std::string& cases_folder();

// Version `version` of models/`model` of that folder.
std::shared_ptr<const Servable> case_servable(const std::string& model, int64_t version);

// The models that its README names, under their names, policies and labels; null if they cannot be
// had.
std::unique_ptr<ServedModels> serve_case_models(MetricRegistry& metrics);

}  // namespace tenon::serving
