#include <cerrno>
#include <cstdio>

#include "tenon/base/out_of_memory.h"
#include "tenon/cli/flags.h"
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
         "\n`tenon help VERB` lists its flags. Exit codes: 0 done, 1 failed, 2 wrong usage.\n"
         "TENON_PLUGIN_PATH names plug-ins to load, TENON_DEVICE where models run.\n";
}

// Images start the program under the names of TensorFlow Serving's: the server, and the script that
// opens port 8501 for REST before the flags that it is given.
std::vector<std::string> words_of_name(std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  const std::string original = "--as_tensorflow_model_server";
  if (program == "tensorflow_model_server") return {"serve", original};
  if (program.starts_with("tf_serving_entrypoint")) {
    return {"serve", original, "--rest_api_port=8501"};
  }
  return {};
}

int run_named_verb(const std::string& name, tenon::cli::Words words) {
  std::vector<std::string_view> names = {"help", "version"};
  for (const Verb& verb : tenon::cli::verbs()) {
    if (verb.name == name) return verb.run(words);
    names.push_back(verb.name);
  }
  tenon::cli::print_error(tenon::invalid_argument("there is no verb '", name, "'",
                                                  tenon::cli::did_you_mean(name, names),
                                                  "; `tenon --help` lists those there are"));
  return 2;
}

int run(std::vector<std::string> words, std::string_view program) {
  const std::vector<std::string> implied = words_of_name(program);
  words.insert(words.begin(), implied.begin(), implied.end());
  if (words.empty()) {
    std::fputs(usage().c_str(), stderr);
    return 2;
  }
  const bool help = words[0] == "--help" || words[0] == "-h" || words[0] == "help";
  if (help && (words.size() == 1 || words[1].starts_with('-') || words[1] == "help")) {
    print(usage());
    return 0;
  }
  if (help) {  // help VERB, help image VERB
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  if (words[0] == "--version" || words[0] == "version") {
    print("tenon " TENON_VERSION "\n");
    return 0;
  }
  int code = 1;
  const tenon::Status status = tenon::or_out_of_memory([&] {
    code = run_named_verb(words[0], std::span(words).subspan(1));
    return absl::OkStatus();
  });
  if (!status.ok()) tenon::cli::print_error(status);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  const int code =
      run(std::vector<std::string>(argv + (argc > 0), argv + argc), argc > 0 ? argv[0] : "");
  // A result that could not be written (a full disk, a closed pipe) is no success.
  errno = 0;
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written || code != 0) return code;
  tenon::cli::print_error(
      errno != 0 ? tenon::errno_status(errno, "writing to", "standard output")
                 : tenon::data_loss("standard output did not take all of the results"));
  return 1;
}
