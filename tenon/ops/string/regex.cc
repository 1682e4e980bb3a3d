// Regular expressions in RE2's syntax: does a whole string match (RegexFullMatch), and replacing
// what matches (RegexReplace). The Static ops have the pattern as an attribute.
#include <re2/re2.h>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/string/map_strings.h"

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

void match_all(KernelRun& r, const re2::RE2& regex) {
  const auto texts = r.input(0).span<std::string_view>();
  std::transform(texts.begin(), texts.end(), r.out<bool>(0), [&](std::string_view text) {
    return re2::RE2::FullMatch({text.data(), text.size()}, regex);
  });
}

StatusOr<Kernel> make_static_regex_full_match(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const auto regex, compile_regex(p.attr<std::string>("pattern")));
  return Kernel([regex](KernelRun& r) {
    match_all(r, *regex);
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_regex_full_match(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto regex,
                           compile_regex(std::string(*r.in<std::string_view>(1))));
    match_all(r, *regex);
    return absl::OkStatus();
  });
}

// A rewrite that names a group that is not there leaves the text as it is, as in TensorFlow.
Status replace_all(KernelRun& r, const re2::RE2& regex, std::string_view rewrite, bool global) {
  return map_strings(r, [&](std::string_view text, std::string& out) {
    out = text;
    const re2::StringPiece by(rewrite.data(), rewrite.size());
    if (global) {
      re2::RE2::GlobalReplace(&out, regex, by);
    } else {
      re2::RE2::Replace(&out, regex, by);
    }
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_static_regex_replace(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const auto regex, compile_regex(p.attr<std::string>("pattern")));
  return Kernel([regex, rewrite = p.attr<std::string>("rewrite"),
                 global = p.attr<bool>("replace_global")](KernelRun& r) {
    return replace_all(r, *regex, rewrite, global);
  });
}

StatusOr<Kernel> make_regex_replace(Prepare& p) {
  return Kernel([global = p.attr<bool>("replace_global")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const auto regex,
                           compile_regex(std::string(*r.in<std::string_view>(1))));
    return replace_all(r, *regex, *r.in<std::string_view>(2), global);
  });
}

// Pattern and rewrite are scalars.
Status regex_shape(ShapeContext& c) {
  for (int i = 1; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

constexpr OpDecl regex_replace(ArgsText inputs, AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: string",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = regex_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

constexpr OpDecl regex_full_match(ArgsText inputs, AttrsText attrs, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: bool",
      .attrs = attrs,
      .shape = regex_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(StaticRegexFullMatch) = regex_full_match("input: string", "pattern: string",
                                                  make_static_regex_full_match);
TENON_OP(RegexFullMatch) = regex_full_match("input: string, pattern: string", "",
                                            make_regex_full_match);
TENON_OP(StaticRegexReplace) =
    regex_replace("input: string", "pattern: string; rewrite: string; replace_global: bool = true",
                  make_static_regex_replace);
TENON_OP(RegexReplace) = regex_replace("input: string, pattern: string, rewrite: string",
                                       "replace_global: bool = true", make_regex_replace);

}  // namespace tenon
