#include <cstdio>

#include "tenon/cli/flags.h"
#include "tenon/cli/verbs.h"
#include "tenon/cli/verify.h"
#include "tenon/image/commands.h"
#include "tenon/image/partial.h"

namespace tenon::cli {

int image_command(Words words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print(
        cat("usage: tenon image VERB ...\n\nBuilds, checks and ships reproducible OCI images.\n\n",
            image::image_usage(), "\nexample:\n  tenon image lock runtime --output runtime.lock\n",
            "  tenon image build runtime --lock runtime.lock --output runtime.tar --model "
            "digits/1\n"));
    return words.empty() ? 2 : 0;
  }
  const image::RemovePartialOnSignal clean_up;
  return image::run_image_command(
      words,
      {.program = "/proc/self/exe",
       .program_version = TENON_VERSION,
       .out = print,
       .err = [](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
       .verify_model = verify_model});
}

}  // namespace tenon::cli
