// Runs another program: no shell, a bounded amount of output.
#pragma once

#include <string>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::net {

struct ProcessResult {
  int exit_code = 0;  // 128 + signal when killed by one
  std::string out, err;
};

// `arguments[0]` is looked up in PATH. stdin holds `input`, LC_ALL is C.UTF-8. NOT_FOUND when there
// is no such program; RESOURCE_EXHAUSTED when it prints more than `output_limit` bytes.
StatusOr<ProcessResult> run_process(const std::vector<std::string>& arguments,
                                    size_t output_limit = 16 << 20, std::string_view input = {});

}  // namespace tenon::net
