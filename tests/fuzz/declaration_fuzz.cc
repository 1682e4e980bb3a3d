// Any bytes as a declaration of an image and as a deployment: refused, or read.

#include "tenon/image/declaration.h"
#include "tenon/image/trust/lint.h"
#include "tenon/image/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)tenon::image::parse_declaration(text, "input", "").ok();
  (void)tenon::image::parse_yaml_documents(text, "input").ok();
  (void)tenon::image::lint_deployment(text, "input").ok();
  return 0;
}
