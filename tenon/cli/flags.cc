#include "tenon/cli/flags.h"

#include <cstdio>

#include "tenon/base/error_parts.h"
#include "tenon/base/nearest.h"

namespace tenon::cli {
namespace {

constexpr std::string_view kUsagePayload = "tenon/wrong_usage";

std::string plain_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

bool has_name(const Flag& flag, std::string_view name) {
  const std::vector<std::string_view> aliases = split(flag.aliases, ',');
  return flag.name == name ||
         (!name.empty() && std::find(aliases.begin(), aliases.end(), name) != aliases.end());
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  const auto it = std::find_if(flags.begin(), flags.end(),
                               [&](const Flag& flag) { return has_name(flag, name); });
  return it == flags.end() ? nullptr : &*it;
}

Status no_such_flag(std::span<const Flag> flags, std::string_view name) {
  std::vector<std::string_view> names = {"help"};
  for (const Flag& flag : flags) {
    names.push_back(flag.name);
    for (std::string_view alias : split(flag.aliases, ',')) names.push_back(alias);
  }
  return invalid_argument("there is no flag --", name, did_you_mean(name, names, "--"));
}

Status set_switch(bool& target, const Flag& flag, std::string_view value) {
  if (value != "true" && value != "false" && value != "1" && value != "0") {
    return invalid_argument("--", flag.name, "=", value, ": expected true or false");
  }
  target = value == "true" || value == "1";
  return absl::OkStatus();
}

Status set_value(const Flag& flag, std::string_view value) {
  return std::visit(
      [&]<class T>(T* target) -> Status {
        if constexpr (std::is_same_v<T, bool>) {
          return set_switch(*target, flag, value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          *target = value;
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          for (std::string_view piece : split(value, ',')) {
            if (!trim(piece).empty()) target->emplace_back(trim(piece));
          }
        } else if (!parse_number(value, *target)) {
          return invalid_argument("--", flag.name, "=", value, ": expected ",
                                  std::is_same_v<T, double> ? "a number" : "an integer");
        }
        return absl::OkStatus();
      },
      flag.target);
}

// Without what would move a terminal's cursor or end the line.
std::string printable(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return plain;
}

std::string default_text(const Flag& flag) {
  return std::visit(
      []<class T>(const T* target) -> std::string {
        if constexpr (std::is_same_v<T, bool>) {
          return *target ? "true" : "";
        } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          return join(*target, ",");
        } else {
          return cat(*target);
        }
      },
      flag.target);
}

}  // namespace

StatusOr<Operands> parse_flags(std::span<const std::string> words, std::span<const Flag> flags,
                               std::string_view operand_flag) {
  Operands operands;
  std::vector<std::string_view> given;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("--") || word.size() == 2) {
      if (word.starts_with("-") && word.size() > 1) {
        return invalid_argument("'", word, "' is no flag; flags start with --");
      }
      operands.emplace_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = plain_name(word.substr(2, equals - 2));
    const Flag* flag = find_flag(flags, name);
    if (!flag) return no_such_flag(flags, name);
    if (equals != std::string_view::npos) {
      TENON_RETURN_IF_ERROR(set_value(*flag, word.substr(equals + 1)));
    } else if (bool* const* on = std::get_if<bool*>(&flag->target)) {
      **on = true;
    } else if (i + 1 < words.size()) {
      TENON_RETURN_IF_ERROR(set_value(*flag, words[++i]));
    } else {
      return invalid_argument("--", name, " needs a value: ", flag->value);
    }
    given.push_back(flag->name);
  }
  if (!operand_flag.empty() && !operands.empty()) {
    const Flag* flag = find_flag(flags, operand_flag);
    if (std::find(given.begin(), given.end(), flag->name) != given.end()) {
      return invalid_argument("'", operands[0], "' is not expected beside --", flag->name);
    }
    TENON_RETURN_IF_ERROR(set_value(*flag, operands[0]));
    given.push_back(flag->name);
    operands.erase(operands.begin());
  }
  for (const Flag& flag : flags) {
    if (flag.required && std::find(given.begin(), given.end(), flag.name) == given.end()) {
      return invalid_argument("--", flag.name, " is missing: ", flag.help);
    }
  }
  return operands;
}

std::string help_text(const Usage& usage, std::span<const Flag> flags) {
  std::string out = cat("usage: tenon ", usage.verb, usage.operands.empty() ? "" : " ",
                        usage.operands, flags.empty() ? "" : " [flags]", "\n\n", usage.what, "\n");
  if (!flags.empty()) out += "\n";
  for (const Flag& flag : flags) {
    std::string left = cat("  --", flag.name);
    if (!flag.value.empty()) left += cat("=", flag.value);
    left.resize(std::max<size_t>(left.size() + 2, 30), ' ');
    const std::string otherwise = default_text(flag);
    out += cat(left, flag.help, flag.required ? " (required)" : "");
    for (std::string_view alias : split(flag.aliases, ',')) {
      if (!alias.empty()) out += cat(" (also --", alias, ")");
    }
    out += otherwise.empty() ? "\n" : cat(" (", otherwise, ")\n");
  }
  return out + cat("\nexample:\n  ", usage.example, "\n");
}

int run_verb(const Usage& usage, std::span<const Flag> table, std::span<const std::string> words,
             FunctionRef<Status(const Operands&)> body) {
  bool verbose = false;
  std::vector<Flag> flags(table.begin(), table.end());
  flags.push_back({"verbose", &verbose, "", "an error says in full where it came from"});
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") {
      print(help_text(usage, flags));
      return 0;
    }
  }
  StatusOr<Operands> operands = parse_flags(words, flags, usage.operand_flag);
  const bool takes_words = !usage.operands.empty() && usage.operand_flag.empty();
  if (operands.ok() && !takes_words && !operands->empty()) {
    operands = invalid_argument("'", operands->front(), "' is not expected");
  }
  if (!operands.ok()) {
    print_error(make_status(
        operands.status().code(),
        cat(message_of(operands.status()), "; `tenon ", usage.verb, " --help` lists the flags")));
    return 2;
  }
  const Status status = body(*operands);
  if (status.ok()) return 0;
  print_error(status, verbose);
  return is_wrong_usage(status) ? 2 : 1;
}

Status wrong_usage(std::string_view message) {
  Status status = invalid_argument(message);
  status.SetPayload({kUsagePayload.data(), kUsagePayload.size()}, {});
  return status;
}

bool is_wrong_usage(const Status& status) {
  return status.GetPayload({kUsagePayload.data(), kUsagePayload.size()}).has_value();
}

void print_error(const Status& status, bool verbose) {
  const ErrorParts parts = parts_of(status);
  std::vector<std::string> lines = {cat("error: ", code_name(status.code()), ": ", parts.cause)};
  if (verbose) {
    for (const std::string& context : parts.contexts) lines.push_back(cat("  in ", context));
  } else if (parts.contexts.size() > 2) {
    lines[0] += cat(" (", parts.contexts.front(), ", ..., ", parts.contexts.back(),
                    "; --verbose says more)");
  } else if (!parts.contexts.empty()) {
    lines[0] += cat(" (", join(parts.contexts, ", "), ")");
  }
  std::fflush(stdout);
  for (const std::string& line : lines) std::fprintf(stderr, "%s\n", printable(line).c_str());
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> candidates,
                         std::string_view prefix) {
  const std::string_view found = nearest(text, candidates);
  return found.empty() ? "" : cat("; did you mean ", prefix, found, "?");
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace tenon::cli
