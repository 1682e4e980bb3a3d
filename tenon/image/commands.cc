#include "tenon/image/commands.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tenon/base/nearest.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

constexpr std::string_view kUsagePayload = "tenon/usage";

std::string_view nearest_verb(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto table : {build_verbs(), store_verbs(), trust_verbs(), registry_verbs()}) {
    for (const Verb& verb : table) names.push_back(verb.name);
  }
  return nearest(name, names);
}

const Verb* find_verb(std::string_view name) {
  for (const auto table : {build_verbs(), store_verbs(), trust_verbs(), registry_verbs()}) {
    for (const Verb& verb : table) {
      if (verb.name == name) return &verb;
    }
  }
  return nullptr;
}

// `text` with its control characters as "\x1b", those of `kept` aside: paths, users and what
// registries say are others' words, and a terminal would obey them. U+0080 to U+009F are such in
// UTF-8.
std::string printable(std::string_view text, std::string_view kept) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool upper = byte == 0xC2 && i + 1 < text.size() &&
                       (static_cast<unsigned char>(text[i + 1]) & 0xE0) == 0x80;
    if ((byte >= 0x20 && byte != 0x7F && !upper) || kept.find(text[i]) != std::string_view::npos) {
      out += text[i];
      continue;
    }
    const auto escaped = upper ? static_cast<unsigned char>(text[++i]) : byte;
    out += cat("\\x", kDigits[escaped >> 4], kDigits[escaped & 15]);
  }
  return out;
}

int report(const Status& status, const CommandContext& context, int usage_code, int failure_code) {
  context.err(
      cat("error: ", code_name(status.code()), ": ", printable(message_of(status), "\t"), "\n"));
  return is_usage_error(status) ? usage_code : failure_code;
}

}  // namespace

Status usage_error(std::string_view message) {
  Status status = invalid_argument(message);
  status.SetPayload({kUsagePayload.data(), kUsagePayload.size()}, absl::Cord());
  return status;
}

bool is_usage_error(const Status& status) {
  return status.GetPayload({kUsagePayload.data(), kUsagePayload.size()}).has_value();
}

StatusOr<std::string> output_path(const Arguments& arguments, std::string_view usage) {
  const std::string output = arguments.get("output");
  if (output == "-") return usage_error("--output - names no file; stdout is for messages");
  if (output.empty()) return usage_error(cat("--output is missing; usage: ", usage));
  return output;
}

StatusOr<int64_t> source_date_epoch() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return int64_t{-1};
  int64_t value = 0;
  if (!parse_number(text, value) || value < 0 || value > 0xffffffff) {
    return invalid_argument("SOURCE_DATE_EPOCH '", text, "' is not a number of seconds since 1970");
  }
  return value;
}

std::string decimal_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; ++unit) value /= 1000;
  char text[40];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
  return text;
}

int64_t current_time() {
  int64_t value = 0;
  if (const char* text = std::getenv("TENON_IMAGE_NOW"); text && parse_number(text, value)) {
    return value;
  }
  return static_cast<int64_t>(std::time(nullptr));
}

std::string image_usage() {
  std::string text = "usage: tenon image VERB ...\n\n";
  for (const auto table : {build_verbs(), store_verbs(), trust_verbs(), registry_verbs()}) {
    for (const Verb& verb : table) text += cat("  ", verb.usage, "\n      ", verb.purpose, "\n");
  }
  return text;
}

int run_image_command(std::span<const std::string> words, const CommandContext& context) {
  if (words.empty() || words[0] == "--help" || words[0] == "help") {
    (words.empty() ? context.err : context.out)(image_usage());
    return words.empty() ? 2 : 0;
  }
  const Verb* verb = find_verb(words[0]);
  if (verb == nullptr) {
    const std::string_view meant = nearest_verb(words[0]);
    return report(
        usage_error(cat("there is no verb '", words[0], "'", meant.empty() ? "" : "; did you mean ",
                        meant, meant.empty() ? "" : "?",
                        "; `tenon image --help` lists those there are")),
        context, 2, 2);
  }
  const int failure_code = verb->name == "scan" ? 3 : 1;
  if (words.size() > 1 && words[1] == "--help") {
    context.out(cat("usage: tenon image ", verb->usage, "\n", verb->purpose, "\n"));
    return 0;
  }
  const auto arguments =
      Arguments::parse(words.subspan(1), verb->valued, verb->switches, verb->repeated);
  if (!arguments.ok()) {
    return report(
        usage_error(cat(message_of(arguments.status()), "; usage: tenon image ", verb->usage)),
        context, 2, failure_code);
  }
  CommandContext checked = context;
  checked.out = [&context](std::string_view text) { context.out(printable(text, "\n\t")); };
  const StatusOr<int> code = verb->run(*arguments, checked);
  return code.ok() ? *code : report(code.status(), context, 2, failure_code);
}

}  // namespace tenon::image
