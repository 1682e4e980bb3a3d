// The two gRPC services, as calls that need no gRPC: requests in, responses or an error out.
#pragma once

#include "tenon/serving/served_models.h"

namespace tensorflow::serving {
class GetModelMetadataRequest;
class GetModelMetadataResponse;
class GetModelStatusRequest;
class GetModelStatusResponse;
class PredictRequest;
class PredictResponse;
class ReloadConfigRequest;
class ReloadConfigResponse;
}  // namespace tensorflow::serving

namespace tenon::serving {

struct PredictOptions {
  bool tensor_content = false;     // answer in tensor_content rather than *_val
  bool check_method_name = false;  // refuse signatures that are for no prediction
};

// Predicts on `servable`, whatever model the request names.
Status run_predict_request(const Servable& servable, const PredictOptions& options,
                           const tensorflow::serving::PredictRequest& request,
                           tensorflow::serving::PredictResponse& response,
                           Histogram* runtime_latency, const RunLimits& limits = {});

// Sets `served` to the version that was found, as soon as it is.
Status predict(const ServedModels& models, const PredictOptions& options,
               const tensorflow::serving::PredictRequest& request,
               tensorflow::serving::PredictResponse& response,
               std::shared_ptr<const ServedVersion>& served, const RunLimits& limits);

Status get_model_metadata(const ServedModels& models,
                          const tensorflow::serving::GetModelMetadataRequest& request,
                          tensorflow::serving::GetModelMetadataResponse& response);

Status get_model_status(const ServedModels& models,
                        const tensorflow::serving::GetModelStatusRequest& request,
                        tensorflow::serving::GetModelStatusResponse& response);

Status reload_config(ServedModels& models, MetricRegistry& metrics,
                     const tensorflow::serving::ReloadConfigRequest& request,
                     tensorflow::serving::ReloadConfigResponse& response);

}  // namespace tenon::serving
