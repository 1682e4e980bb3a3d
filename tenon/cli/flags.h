// Flags of a verb: one table parses the command line and prints the help.
//
// `--name=value`, `--name value`; '-' is taken for '_' in names. A switch stands alone, or takes
// `=true` or `=false`. The last value given counts; lists collect all of them, split at commas. A
// name that is no flag meets the nearest one. Every verb has --verbose and --help.
#pragma once

#include <variant>

#include "tenon/base/function_ref.h"
#include "tenon/base/status.h"

namespace tenon::cli {

struct Flag {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*>;
  std::string_view name;
  Target target;           // what it points to holds the default
  std::string_view value;  // what the value is, for the help: "DIR"; empty for switches
  std::string_view help;
  bool required = false;
  std::string_view aliases = "";  // other names for it, separated by commas
};

struct Usage {
  std::string_view verb;           // "run"
  std::string_view what;           // what it does, in a sentence or two
  std::string_view example;        // one or more command lines
  std::string_view operands = "";  // words beside flags that it takes, for the help; empty: none
  std::string_view operand_flag = "";  // the flag whose value the first such word is; "": none
};

using Operands = std::vector<std::string>;

// Sets the flags' targets and returns the words that are none; the first of these is the value of
// `operand_flag`, where there is one. INVALID_ARGUMENT for a flag that is not in the table, a value
// that it cannot take, or a required one that is missing.
StatusOr<Operands> parse_flags(std::span<const std::string> words, std::span<const Flag> flags,
                               std::string_view operand_flag = "");

std::string help_text(const Usage& usage, std::span<const Flag> flags);

// A verb from its words to its exit code: 0 done (or help printed), 1 `body` failed, 2 wrong usage.
// Errors are one line on stderr.
int run_verb(const Usage& usage, std::span<const Flag> flags, std::span<const std::string> words,
             FunctionRef<Status(const Operands&)> body);

// INVALID_ARGUMENT for what only `body` finds to be wrong usage: exit code 2.
Status wrong_usage(std::string_view message);
bool is_wrong_usage(const Status& status);

// "error: INVALID_ARGUMENT: cause (where)" on stderr, one line whatever the message holds. Of a
// long chain of contexts only the ends are shown; `verbose` puts each on a line of its own below.
void print_error(const Status& status, bool verbose = false);

// "; did you mean PREFIXserve?" where a candidate is near enough to `text`, else "".
std::string did_you_mean(std::string_view text, std::span<const std::string_view> candidates,
                         std::string_view prefix = "");

// To stdout.
void print(std::string_view text);

}  // namespace tenon::cli
