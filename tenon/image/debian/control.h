// Debian's control syntax (deb822): stanzas of "Field: value" lines, and the dependency fields in
// them.
#pragma once

#include <vector>

#include "tenon/base/function_ref.h"
#include "tenon/image/net.h"

namespace tenon::image {

// Fields in file order. Continuation lines are joined with '\n', without their first space.
class Stanza {
 public:
  struct Field {
    std::string name, value;
  };
  // The value, or empty when there is no such field. Names are compared without case.
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  const std::vector<Field>& fields() const { return fields_; }
  void clear() { fields_.clear(); }
  bool empty() const { return fields_.empty(); }
  // INVALID_ARGUMENT for a line that is neither a field, a continuation nor a comment.
  Status add_line(std::string_view line);

 private:
  std::vector<Field> fields_;
};

// Calls `visit` with each stanza; the stanza is reused afterwards. A line may have 1 MB, a stanza
// 100,000 lines. `what` names the source in errors.
Status for_each_stanza(ByteSource& source, std::string_view what,
                       FunctionRef<Status(const Stanza&)> visit);

// The only stanza of `text`.
StatusOr<Stanza> parse_stanza(std::string_view text, std::string_view what);

// One package of a dependency: "name:qualifier (op version)".
struct Alternative {
  std::string name;
  std::string op;  // empty: any version
  std::string version;
};
std::string to_string(const Alternative& alternative);

// Alternatives, the preferred one first; any of them satisfies.
using DependencyGroup = std::vector<Alternative>;
std::string to_string(const DependencyGroup& group);

// A Depends-like field for `architecture`: alternatives restricted to others ("[arm64]") are left
// out, and so are build profiles ("<!nocheck>").
StatusOr<std::vector<DependencyGroup>> parse_dependencies(std::string_view field,
                                                          std::string_view architecture);

}  // namespace tenon::image
