// A verb's command line: positional words, and flags "--name=value" or "--name value", '-' taken
// for
// '_' in names.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::image {

class Arguments {
 public:
  // `valued` and `switches` are the flags that the verb knows, without "--"; `repeated` those of
  // `valued` that may stand more than once. INVALID_ARGUMENT for others, for a superfluous value,
  // and for a missing or empty one: `--key "$KEY"` without a KEY asks for what it does not get.
  static StatusOr<Arguments> parse(std::span<const std::string> words,
                                   std::span<const std::string_view> valued,
                                   std::span<const std::string_view> switches,
                                   std::span<const std::string_view> repeated);

  const std::vector<std::string>& positional() const { return positional_; }
  bool has(std::string_view flag) const { return flags_.find(flag) != flags_.end(); }
  // The value given, or `otherwise`.
  std::string get(std::string_view flag, std::string otherwise = {}) const;
  // Every value given, in order.
  std::vector<std::string> all(std::string_view flag) const;
  // INVALID_ARGUMENT, with the verb's usage, unless there are `least` to `most` positional words.
  Status expect_positional(size_t least, size_t most, std::string_view usage) const;

 private:
  std::vector<std::string> positional_;
  std::map<std::string, std::vector<std::string>, std::less<>> flags_;
};

}  // namespace tenon::image
