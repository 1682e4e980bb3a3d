// The verbs of the program, one file each. Each takes the words after its name and returns the exit
// code: 0 done, 1 failed, 2 wrong usage. Nothing is registered or probed before a verb is known.
#pragma once

#include <span>
#include <string>

#include "tenon/base/status.h"

namespace tenon::cli {

using Words = std::span<const std::string>;

int train_command(Words words);
int evaluate_command(Words words);
int predict_command(Words words);
int export_command(Words words);
int convert_command(Words words);
int serve_command(Words words);
int run_command(Words words);
int inspect_command(Words words);
int verify_command(Words words);
int bench_command(Words words);
int image_command(Words words);
int ops_command(Words words);
int devices_command(Words words);
int doctor_command(Words words);

struct Verb {
  std::string_view name;
  std::string_view summary;
  int (*run)(Words words);
};

// In the order of the help.
std::span<const Verb> verbs();

}  // namespace tenon::cli
