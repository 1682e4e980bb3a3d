#include "tenon/image/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <map>
#include <set>

namespace tenon::image {
namespace {

constexpr int kMostNodes = 100'000;
constexpr int kMostDepth = 20;
constexpr int kMostLenientDepth = 64;

int nodes_in(const YamlNode& node) {
  int count = 1 + static_cast<int>(node.keys.size());
  for (const YamlNode& item : node.items) count += nodes_in(item);
  return count;
}

int depth_of(const YamlNode& node) {
  int depth = 0;
  for (const YamlNode& item : node.items) depth = std::max(depth, 1 + depth_of(item));
  return depth;
}

class YamlReader {
 public:
  YamlReader(std::string_view text, std::string_view what, YamlOptions options)
      : what_(what), lenient_(options.lenient) {
    ok_ = yaml_parser_initialize(&parser_) == 1;
    if (!ok_) return;
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~YamlReader() {
    if (ok_) yaml_parser_delete(&parser_);
  }

  StatusOr<std::vector<YamlNode>> documents() {
    if (!ok_) return resource_exhausted("no memory for a YAML parser");
    std::vector<YamlNode> roots;
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_STREAM_END_EVENT) return roots;
      if (event.type() == YAML_DOCUMENT_START_EVENT) anchors_.clear();
      if (event.type() == YAML_STREAM_START_EVENT || event.type() == YAML_DOCUMENT_START_EVENT ||
          event.type() == YAML_DOCUMENT_END_EVENT) {
        continue;
      }
      TENON_RETURN_IF_ERROR(node(event, 0, roots.emplace_back()));
    }
  }

 private:
  class Event {
   public:
    Event() = default;
    Event(Event&& other) noexcept : event_(other.event_), owned_(other.owned_) {
      other.owned_ = false;
    }
    Event(const Event&) = delete;
    ~Event() {
      if (owned_) yaml_event_delete(&event_);
    }
    yaml_event_type_t type() const { return event_.type; }
    int line() const { return static_cast<int>(event_.start_mark.line) + 1; }
    yaml_event_t event_{};
    bool owned_ = false;
  };

  Status error(int line, std::string_view why) const {
    return invalid_argument(what_, " line ", line, ": ", why);
  }

  StatusOr<Event> next() {
    Event event;
    if (yaml_parser_parse(&parser_, &event.event_) != 1) {
      return error(static_cast<int>(parser_.problem_mark.line) + 1,
                   parser_.problem == nullptr ? "not YAML" : parser_.problem);
    }
    event.owned_ = true;
    return event;
  }

  Status node(const Event& event, int depth, YamlNode& out) {
    if (++count_ > kMostNodes) return error(event.line(), "too many nodes");
    if (depth > (lenient_ ? kMostLenientDepth : kMostDepth)) {
      return error(event.line(), "nested too deep");
    }
    out.line = event.line();
    if (event.type() == YAML_ALIAS_EVENT) return alias(event, depth, out);
    const auto [anchor, tag] = properties(event);
    if (!lenient_ && (anchor != nullptr || tag != nullptr)) return refused(event);
    switch (event.type()) {
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event.event_.data.scalar;
        out.scalar.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
        break;
      }
      case YAML_SEQUENCE_START_EVENT:
        out.kind = YamlNode::Kind::kSequence;
        TENON_RETURN_IF_ERROR(sequence(depth, out));
        break;
      case YAML_MAPPING_START_EVENT:
        out.kind = YamlNode::Kind::kMapping;
        TENON_RETURN_IF_ERROR(mapping(depth, out));
        break;
      default:
        return refused(event);
    }
    if (anchor == nullptr) return {};
    count_ += nodes_in(out);  // the copy
    if (count_ > kMostNodes) return error(out.line, "too many nodes");
    anchors_[reinterpret_cast<const char*>(anchor)] = out;
    return {};
  }

  // The anchor and the tag of a node.
  static std::pair<const yaml_char_t*, const yaml_char_t*> properties(const Event& event) {
    const auto& data = event.event_.data;
    switch (event.type()) {
      case YAML_SCALAR_EVENT:
        return {data.scalar.anchor, data.scalar.tag};
      case YAML_SEQUENCE_START_EVENT:
        return {data.sequence_start.anchor, data.sequence_start.tag};
      case YAML_MAPPING_START_EVENT:
        return {data.mapping_start.anchor, data.mapping_start.tag};
      default:
        return {nullptr, nullptr};
    }
  }

  Status refused(const Event& event) const {
    return error(event.line(), "anchors, aliases and tags are not accepted");
  }

  // A copy of what the anchor stands for. Its own anchor is known only when it is complete, so no
  // node holds itself.
  Status alias(const Event& event, int depth, YamlNode& out) {
    if (!lenient_) return refused(event);
    const std::string name = reinterpret_cast<const char*>(event.event_.data.alias.anchor);
    const auto found = anchors_.find(name);
    if (found == anchors_.end()) {
      return error(event.line(), cat("the alias '", name, "' has no anchor before it"));
    }
    count_ += nodes_in(found->second);
    if (count_ > kMostNodes) return error(event.line(), "too many nodes");
    if (depth + depth_of(found->second) > kMostLenientDepth) {
      return error(event.line(), "nested too deep");
    }
    out = found->second;
    return {};
  }

  Status sequence(int depth, YamlNode& out) {
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_SEQUENCE_END_EVENT) return {};
      TENON_RETURN_IF_ERROR(node(event, depth + 1, out.items.emplace_back()));
    }
  }

  Status mapping(int depth, YamlNode& out) {
    std::set<std::string> seen;
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_MAPPING_END_EVENT) return {};
      YamlNode key;
      TENON_RETURN_IF_ERROR(node(event, depth + 1, key));
      if (key.kind != YamlNode::Kind::kScalar) {
        if (!lenient_) return error(key.line, "a key that is no scalar");
        key.scalar.clear();
      }
      if (!lenient_ && !seen.insert(key.scalar).second) {
        return error(key.line, cat("the key '", key.scalar, "' stands twice"));
      }
      TENON_ASSIGN_OR_RETURN(const Event value, next());
      YamlNode child;
      TENON_RETURN_IF_ERROR(node(value, depth + 1, child));
      out.keys.push_back(std::move(key.scalar));
      out.items.push_back(std::move(child));
    }
  }

  yaml_parser_t parser_{};
  std::string what_;
  bool lenient_ = false;
  bool ok_ = false;
  int count_ = 0;
  std::map<std::string, YamlNode> anchors_;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  if (kind != Kind::kMapping) return nullptr;
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

StatusOr<std::vector<YamlNode>> parse_yaml_documents(std::string_view text, std::string_view what,
                                                     YamlOptions options) {
  return YamlReader(text, what, options).documents();
}

StatusOr<YamlNode> parse_yaml(std::string_view text, std::string_view what) {
  TENON_ASSIGN_OR_RETURN(auto documents, parse_yaml_documents(text, what));
  if (documents.size() > 1) {
    return invalid_argument(what, " line ", documents[1].line, ": has a second document");
  }
  if (documents.empty() || documents[0].kind != YamlNode::Kind::kMapping) {
    return invalid_argument(what, " is not a mapping of 'key: value'");
  }
  return std::move(documents[0]);
}

}  // namespace tenon::image
