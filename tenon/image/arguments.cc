#include "tenon/image/arguments.h"

#include <algorithm>

#include "tenon/base/nearest.h"

namespace tenon::image {

StatusOr<Arguments> Arguments::parse(std::span<const std::string> words,
                                     std::span<const std::string_view> valued,
                                     std::span<const std::string_view> switches,
                                     std::span<const std::string_view> repeated) {
  const auto known = [](std::span<const std::string_view> flags, std::string_view name) {
    return std::find(flags.begin(), flags.end(), name) != flags.end();
  };
  Arguments arguments;
  bool only_words = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (only_words || !word.starts_with("--")) {
      arguments.positional_.push_back(word);
      continue;
    }
    if (word == "--") {
      only_words = true;
      continue;
    }
    const size_t equals = word.find('=');
    std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::replace(name.begin(), name.end(), '-', '_');
    if (known(switches, name)) {
      if (equals != std::string::npos) return invalid_argument("--", name, " takes no value");
      arguments.flags_[name];
    } else if (!known(valued, name)) {
      std::vector<std::string_view> names(valued.begin(), valued.end());
      names.insert(names.end(), switches.begin(), switches.end());
      const std::string_view meant = nearest(name, names);
      return invalid_argument("unknown flag --", name, meant.empty() ? "" : "; did you mean --",
                              meant, meant.empty() ? "" : "?");
    } else if (equals != std::string::npos) {
      arguments.flags_[name].push_back(word.substr(equals + 1));
    } else if (i + 1 < words.size()) {
      arguments.flags_[name].push_back(words[++i]);
    } else {
      return invalid_argument("--", name, " needs a value");
    }
  }
  for (const auto& [name, values] : arguments.flags_) {
    if (std::find(values.begin(), values.end(), std::string()) != values.end()) {
      return invalid_argument("--", name, " has an empty value");
    }
    if (values.size() > 1 && !known(repeated, name)) {
      return invalid_argument("--", name, " stands ", values.size(), " times and counts once");
    }
  }
  return arguments;
}

std::string Arguments::get(std::string_view flag, std::string otherwise) const {
  const auto found = flags_.find(flag);
  return found == flags_.end() || found->second.empty() ? std::move(otherwise)
                                                        : found->second.back();
}

std::vector<std::string> Arguments::all(std::string_view flag) const {
  const auto found = flags_.find(flag);
  return found == flags_.end() ? std::vector<std::string>() : found->second;
}

Status Arguments::expect_positional(size_t least, size_t most, std::string_view usage) const {
  if (positional_.size() >= least && positional_.size() <= most) return {};
  return invalid_argument(positional_.size(), " arguments; usage: tenon image ", usage);
}

}  // namespace tenon::image
