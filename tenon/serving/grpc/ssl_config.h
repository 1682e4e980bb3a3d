// --ssl_config_file: what clients of the gRPC port are served with.
#pragma once

#include "tenon/serving/net/tls.h"

namespace tenon::serving {

// From the text format of tensorflow.serving.SSLConfig.
StatusOr<TlsOptions> parse_ssl_config(const std::string& text);

}  // namespace tenon::serving
