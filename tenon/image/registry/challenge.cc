#include "tenon/image/registry/challenge.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tenon/base/percent.h"
#include "tenon/base/strings.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {
namespace {

constexpr size_t kTokenLimit = 64 << 10;

// Reads a header field from left to right.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  void skip(std::string_view any) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(any), rest_.size()));
  }
  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string token() {
    const size_t end = std::min(rest_.find_first_of(" \t,=\""), rest_.size());
    const std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return word;
  }
  // A quoted text, its opening quote taken; false when it does not end.
  bool quoted(std::string& out) {
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      out += rest_[i];
    }
    return false;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> challenges;
  HeaderReader reader(field);
  while (true) {
    reader.skip(" \t,");
    if (reader.at_end()) return challenges;
    const std::string word = reader.token();
    if (word.empty()) return challenges;
    reader.skip(" \t");
    if (!reader.take('=')) {
      challenges.push_back({to_lower(word), {}});
      continue;
    }
    if (challenges.empty()) return challenges;
    reader.skip(" \t");
    std::string value;
    if (!reader.take('"')) {
      value = reader.token();
    } else if (!reader.quoted(value)) {
      return challenges;
    }
    // The first counts: a later one cannot replace what was read.
    challenges.back().parameters.emplace(to_lower(word), std::move(value));
  }
}

StatusOr<std::string> parse_token_answer(std::string_view json, std::string_view what) {
  const auto answer = nlohmann::ordered_json::parse(json, nullptr, false);
  std::string token = json_text(answer, "token");
  if (token.empty()) token = json_text(answer, "access_token");
  if (token.empty()) return permission_denied(what, " gave no token");
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable || token.size() > kTokenLimit) {
    return permission_denied(what, " gave a token that fits into no header");
  }
  return token;
}

std::string url_encoded(std::string_view text) {
  constexpr std::string_view kSafe = "-._~/:,";
  return percent_encoded(text, [&](char c) {
    return is_letter_or_digit(c) || kSafe.find(c) != std::string_view::npos;
  });
}

}  // namespace tenon::image
