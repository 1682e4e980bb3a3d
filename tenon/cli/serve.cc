#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/verbs.h"
#include "tenon/serving/server.h"
#include "tenon/serving/server_flags.h"

namespace tenon::cli {

// The flags are tensorflow_model_server's and parsed as there, so they are no table of ours.
int serve_command(Words words) {
  for (const std::string& word : words) {
    if (word != "--help" && word != "-h") continue;
    print(
        cat("usage: tenon serve [flags]\n\nServes SavedModels by REST and gRPC, with "
            "tensorflow_model_server's flags.\n\n",
            serving::server_usage(),
            "\nexample:\n  tenon serve --model_name=digits --model_base_path=/models/digits "
            "--rest_api_port=8501\n"));
    return 0;
  }
  if (const Status status = start_engine(); !status.ok()) {
    print_error(status);
    return 1;
  }
  return serving::serve(words);
}

}  // namespace tenon::cli
