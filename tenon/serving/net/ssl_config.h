// --ssl_config_file and --rest_api_ssl_config_file: what clients of a port are served with.
#pragma once

#include "tenon/serving/net/tls.h"

namespace tenon::serving {

// From the text format of tensorflow.serving.SSLConfig.
StatusOr<TlsOptions> parse_ssl_config(const std::string& text);

}  // namespace tenon::serving
