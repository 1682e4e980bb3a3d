#include <cerrno>
#include <cstdio>

#include "tenon/cli/flags.h"
#include "tenon/cli/team_waits.h"
#include "tenon/cli/verbs.h"

namespace {

using tenon::cat;
using tenon::cli::print;
using tenon::cli::Verb;

std::string usage() {
  std::string out =
      "usage: tenon VERB [flags]\n\nTrains, exports, serves and ships models in TensorFlow's "
      "formats.\n\n";
  for (const Verb& verb : tenon::cli::verbs()) {
    std::string left = cat("  ", verb.name);
    left.resize(14, ' ');
    out += cat(left, verb.summary, "\n");
  }
  return out +
         "\ntenon VERB --help lists the flags. Exit codes: 0 done, 1 failed, 2 wrong usage.\n"
         "Environment: TENON_PLUGIN_PATH (plug-ins to load), TENON_DEVICE (where models run).\n";
}

// Images start the program under the names of TensorFlow Serving's: the server, and the script that
// opens port 8501 for REST before the flags that it is given.
std::vector<std::string> words_of_name(std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  if (program == "tensorflow_model_server") return {"serve"};
  if (program.starts_with("tf_serving_entrypoint")) return {"serve", "--rest_api_port=8501"};
  return {};
}

int run(std::vector<std::string> words, std::string_view program) {
  const std::vector<std::string> implied = words_of_name(program);
  words.insert(words.begin(), implied.begin(), implied.end());
  if (words.empty()) {
    std::fputs(usage().c_str(), stderr);
    return 2;
  }
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    print(usage());
    return 0;
  }
  if (words[0] == "--version" || words[0] == "version") {
    print("tenon " TENON_VERSION "\n");
    return 0;
  }
  for (const Verb& verb : tenon::cli::verbs()) {
    if (verb.name == words[0]) return verb.run(std::span(words).subspan(1));
  }
  tenon::cli::print_error(tenon::invalid_argument("there is no verb '", words[0],
                                                  "'; `tenon --help` lists those there are"));
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  tenon::cli::finish_bounding_team_waits();
  const int code =
      run(std::vector<std::string>(argv + (argc > 0), argv + argc), argc > 0 ? argv[0] : "");
  // A result that could not be written (a full disk, a closed pipe) is no success.
  if (std::fflush(stdout) != 0 && code == 0) {
    tenon::cli::print_error(tenon::errno_status(errno, "writing to", "standard output"));
    return 1;
  }
  return code;
}
