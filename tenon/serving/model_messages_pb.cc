#include <google/protobuf/util/json_util.h>

#include "tenon/serving/model_messages.h"
#include "tensorflow_serving/apis/get_model_metadata.pb.h"
#include "tensorflow_serving/apis/get_model_status.pb.h"

namespace tenon::serving {
namespace {

namespace tfs = tensorflow::serving;

StatusOr<std::string> json_of(const google::protobuf::Message& message, bool proto_names) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = proto_names;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) {
    return internal("Failed to convert proto to json. Error: ", status.ToString());
  }
  return json;
}

}  // namespace

void set_model_status(std::span<const VersionStatus> versions,
                      tfs::GetModelStatusResponse& response) {
  for (const VersionStatus& version : versions) {
    tfs::ModelVersionStatus& status = *response.add_model_version_status();
    status.set_version(version.version);
    status.set_state(static_cast<tfs::ModelVersionStatus::State>(version.state));
    status.mutable_status()->set_error_code(
        static_cast<tensorflow::error::Code>(version.status.code()));
    status.mutable_status()->set_error_message(std::string(message_of(version.status)));
  }
}

StatusOr<std::string> model_status_json(std::span<const VersionStatus> versions) {
  tfs::GetModelStatusResponse response;
  set_model_status(versions, response);
  return json_of(response, false);
}

StatusOr<std::string> model_metadata_json(const ServedVersion& served) {
  tfs::ModelSpec spec;
  spec.set_name(served.model);
  spec.mutable_version()->set_value(served.version);
  tfs::SignatureDefMap signatures;
  if (!signatures.ParseFromString(served.servable->signature_def_map())) {
    return internal("the signatures of model ", served.model, " cannot be printed");
  }
  TENON_ASSIGN_OR_RETURN(const std::string spec_json, json_of(spec, true));
  TENON_ASSIGN_OR_RETURN(const std::string signatures_json, json_of(signatures, true));
  return cat("{\n\"model_spec\":", spec_json,
             ",\n\"metadata\": {\"signature_def\": ", signatures_json, "}\n}\n");
}

}  // namespace tenon::serving
