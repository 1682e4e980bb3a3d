#include "tenon/image/debian/control.h"

#include <algorithm>

namespace tenon::image {
namespace {

constexpr size_t kLongestLine = 1 << 20;
constexpr size_t kMostLines = 100'000;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
           return lower(x) == lower(y);
         });
}

// Whether "[amd64 !arm64]" admits `architecture`.
bool architecture_admitted(std::string_view list, std::string_view architecture) {
  bool any_positive = false, admitted = false;
  for (std::string_view word : split(list, ' ')) {
    if (word.empty()) continue;
    const bool negated = word.starts_with('!');
    if (negated) word.remove_prefix(1);
    const bool hit = word == architecture || word == "any" || word == cat("linux-any");
    if (negated && hit) return false;
    any_positive |= !negated;
    admitted |= !negated && hit;
  }
  return admitted || !any_positive;
}

// Cuts "OPEN ... CLOSE" out of `text` and returns what stood between.
std::string cut_bracketed(std::string& text, char open, char close) {
  const size_t begin = text.find(open);
  if (begin == std::string::npos) return {};
  const size_t end = text.find(close, begin);
  if (end == std::string::npos) return {};
  std::string inside = text.substr(begin + 1, end - begin - 1);
  text.erase(begin, end - begin + 1);
  return inside;
}

}  // namespace

std::string_view Stanza::get(std::string_view name) const {
  for (const Field& field : fields_) {
    if (same_name(field.name, name)) return field.value;
  }
  return {};
}

bool Stanza::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& field) { return same_name(field.name, name); });
}

Status Stanza::add_line(std::string_view line) {
  if (line.starts_with('#')) return {};
  if (line.starts_with(' ') || line.starts_with('\t')) {
    if (fields_.empty()) return invalid_argument("a continuation line before any field");
    std::string& value = fields_.back().value;
    value += '\n';
    value += line.substr(1);
    return {};
  }
  const size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) {
    return invalid_argument("line '", line.substr(0, 60), "' is not 'Field: value'");
  }
  fields_.push_back(
      {std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
  return {};
}

Status for_each_stanza(ByteSource& source, std::string_view what,
                       FunctionRef<Status(const Stanza&)> visit) {
  Stanza stanza;
  size_t lines = 0;
  const auto take = [&](std::string_view line) -> Status {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim(line).empty()) {
      if (stanza.empty()) return {};
      TENON_RETURN_IF_ERROR(visit(stanza));
      stanza.clear();
      lines = 0;
      return {};
    }
    if (++lines > kMostLines) return resource_exhausted(what, ": a stanza of too many lines");
    return with_context(stanza.add_line(line), what);
  };
  std::string window(256 << 10, '\0');
  std::string partial;
  while (true) {
    TENON_ASSIGN_OR_RETURN(const size_t got, source.read(window));
    if (got == 0) break;
    std::string_view bytes(window.data(), got);
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
      if (partial.empty()) {
        TENON_RETURN_IF_ERROR(take(bytes.substr(0, end)));
      } else {
        partial += bytes.substr(0, end);
        TENON_RETURN_IF_ERROR(take(partial));
        partial.clear();
      }
      bytes.remove_prefix(end + 1);
    }
    partial += bytes;
    if (partial.size() > kLongestLine) return resource_exhausted(what, ": a line of over 1 MB");
  }
  if (!partial.empty()) TENON_RETURN_IF_ERROR(take(partial));
  return stanza.empty() ? Status() : visit(stanza);
}

StatusOr<Stanza> parse_stanza(std::string_view text, std::string_view what) {
  StringSource source(text);
  Stanza result;
  TENON_RETURN_IF_ERROR(for_each_stanza(source, what, [&](const Stanza& stanza) -> Status {
    if (!result.empty()) return invalid_argument(what, " has more than one stanza");
    result = stanza;
    return {};
  }));
  if (result.empty()) return invalid_argument(what, " is empty");
  return result;
}

std::string to_string(const Alternative& alternative) {
  if (alternative.op.empty()) return alternative.name;
  return cat(alternative.name, " (", alternative.op, " ", alternative.version, ")");
}

std::string to_string(const DependencyGroup& group) { return join(group, " | "); }

StatusOr<std::vector<DependencyGroup>> parse_dependencies(std::string_view field,
                                                          std::string_view architecture) {
  std::vector<DependencyGroup> groups;
  for (std::string_view clause : split(field, ',')) {
    if (trim(clause).empty()) continue;
    DependencyGroup group;
    for (std::string_view piece : split(clause, '|')) {
      std::string text(trim(piece));
      std::replace(text.begin(), text.end(), '\n', ' ');
      const std::string constraint = cut_bracketed(text, '(', ')');
      if (!architecture_admitted(cut_bracketed(text, '[', ']'), architecture)) continue;
      if (!cut_bracketed(text, '<', '>').empty()) continue;
      Alternative alternative;
      const std::string_view name = trim(text);
      alternative.name = name.substr(0, name.find(':'));
      if (alternative.name.empty() || alternative.name.find(' ') != std::string::npos) {
        return invalid_argument("'", piece, "' is not a dependency");
      }
      if (const std::string_view bound = trim(constraint); !bound.empty()) {
        const size_t end = bound.find_first_not_of("<>=");
        if (end == 0 || end == std::string_view::npos) {
          return invalid_argument("'", piece, "' has a malformed version constraint");
        }
        alternative.op = bound.substr(0, end);
        alternative.version = trim(bound.substr(end));
      }
      group.push_back(std::move(alternative));
    }
    if (!group.empty()) groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace tenon::image
