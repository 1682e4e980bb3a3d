#include "tenon/base/files.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/unpack.h"
#include "tenon/cli/verbs.h"
#include "tenon/serving/server.h"
#include "tenon/serving/server_flags.h"

namespace tenon::cli {
namespace {

// The folder of version folders that `model` names: itself, or the one above it where `model` is
// the version that would be served from there.
StatusOr<std::string> base_path_of(std::string model) {
  while (model.size() > 1 && model.ends_with('/')) model.pop_back();
  const StatusOr<std::string> version = model_folder(model);
  if (!version.ok() || *version != model) return model;
  const size_t slash = model.rfind('/');
  const std::string base = slash == model.npos ? "." : slash == 0 ? "/" : model.substr(0, slash);
  const StatusOr<std::string> served = model_folder(base);
  if (served.ok() && *served == join_path(base, model.substr(slash + 1))) return base;
  return wrong_usage(cat("--model=", model, " is a model itself and not the newest version beside ",
                         "it; name the folder that holds the versions (1, 2, ...)"));
}

// --model, and a word that stands alone in front, as --model_base_path.
StatusOr<std::vector<std::string>> with_base_path(Words words) {
  std::vector<std::string> out(words.begin(), words.end());
  for (size_t i = 0; i < out.size(); ++i) {
    const bool in_front = i == 0 && !out[i].starts_with('-') && path_exists(out[i]);
    std::string model;
    if (in_front) {
      model = out[i];
    } else if (out[i].starts_with("--model=")) {
      model = out[i].substr(8);
    } else if (out[i] == "--model" && i + 1 < out.size()) {
      model = out[i + 1];
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      continue;
    }
    TENON_ASSIGN_OR_RETURN(const std::string base, base_path_of(model));
    out[i] = cat("--model_base_path=", base);
  }
  return out;
}

}  // namespace

// The flags are tensorflow_model_server's and parsed as there, so they are no table of ours.
int serve_command(Words words) {
  for (const std::string& word : words) {
    if (word != "--help" && word != "-h") continue;
    print(
        cat("usage: tenon serve [MODEL] [flags]\n\nServes SavedModels by REST and gRPC, with "
            "tensorflow_model_server's flags.\nMODEL or --model is --model_base_path.\n\n",
            serving::server_usage(),
            "\nexample:\n  tenon serve --model_name=digits --model_base_path=/models/digits "
            "--rest_api_port=8501\n"));
    return 0;
  }
  const StatusOr<std::vector<std::string>> arguments = with_base_path(words);
  Status status = arguments.status();
  if (status.ok()) status = start_engine();
  if (status.ok()) return serving::serve(*arguments, unpack_archive);
  print_error(status);
  return is_wrong_usage(status) ? 2 : 1;
}

}  // namespace tenon::cli
