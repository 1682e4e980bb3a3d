#include "tenon/cli/flags.h"

#include <cstdio>

namespace tenon::cli {
namespace {

constexpr std::string_view kUsagePayload = "tenon/wrong_usage";

std::string plain_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  const auto it =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return it == flags.end() ? nullptr : &*it;
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

StatusOr<Operands> parse_flags(std::span<const std::string> words, std::span<const Flag> flags) {
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
    if (!flag) return invalid_argument("there is no flag --", name);
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
    out += otherwise.empty() ? "\n" : cat(" (", otherwise, ")\n");
  }
  return out + cat("\nexample:\n  ", usage.example, "\n");
}

int run_verb(const Usage& usage, std::span<const Flag> flags, std::span<const std::string> words,
             FunctionRef<Status(const Operands&)> body) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") {
      print(help_text(usage, flags));
      return 0;
    }
  }
  StatusOr<Operands> operands = parse_flags(words, flags);
  if (operands.ok() && usage.operands.empty() && !operands->empty()) {
    operands = invalid_argument("'", operands->front(), "' is not expected: tenon ", usage.verb,
                                " takes flags only");
  }
  if (!operands.ok()) {
    print_error(with_context(operands.status(), cat("tenon ", usage.verb)));
    return 2;
  }
  const Status status = body(*operands);
  if (status.ok()) return 0;
  print_error(status);
  return status.GetPayload({kUsagePayload.data(), kUsagePayload.size()}) ? 2 : 1;
}

Status wrong_usage(std::string_view message) {
  Status status = invalid_argument(message);
  status.SetPayload({kUsagePayload.data(), kUsagePayload.size()}, {});
  return status;
}

void print_error(const Status& status) {
  std::string line = cat("error: ", code_name(status.code()), ": ", message_of(status));
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", line.c_str());
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace tenon::cli
