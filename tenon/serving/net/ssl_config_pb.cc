#include "tenon/serving/model_config.h"
#include "tenon/serving/net/ssl_config.h"
#include "tensorflow_serving/config/ssl_config.pb.h"

namespace tenon::serving {

StatusOr<TlsOptions> parse_ssl_config(const std::string& text) {
  tensorflow::serving::SSLConfig config;
  TENON_RETURN_IF_ERROR(parse_text_message(text, "the SSL configuration", config));
  TlsOptions options;
  options.certificate = config.server_cert();
  options.key = config.server_key();
  options.client_ca = config.custom_ca();
  options.verify_client = config.client_verify();
  return options;
}

}  // namespace tenon::serving
