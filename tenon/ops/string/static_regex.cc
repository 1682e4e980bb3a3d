// StaticRegexFullMatch: does the whole string match a pattern in RE2's syntax?
#include <re2/re2.h>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

StatusOr<std::shared_ptr<const re2::RE2>> compile_regex(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const re2::RE2>(pattern, options);
  if (!regex->ok()) {
    return invalid_argument("Invalid pattern: ", pattern, ", error: ", regex->error());
  }
  return regex;
}

StatusOr<Kernel> make_static_regex_full_match(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const auto regex, compile_regex(p.attr<std::string>("pattern")));
  return Kernel([regex, count = p.input_shape(0).num_elements()](KernelRun& r) {
    for (int64_t i = 0; i < count; ++i) {
      const std::string_view text = r.in<std::string_view>(0)[i];
      r.out<bool>(0)[i] = re2::RE2::FullMatch({text.data(), text.size()}, *regex);
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(StaticRegexFullMatch) = {
    .inputs = "input: string",
    .outputs = "output: bool",
    .attrs = "pattern: string",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_static_regex_full_match},
};

}  // namespace tenon
