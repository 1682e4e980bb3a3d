#include "tenon/image/yaml.h"

#include <yaml.h>

#include <algorithm>

namespace tenon::image {
namespace {

constexpr int kMostNodes = 100'000;
constexpr int kMostDepth = 20;

class YamlReader {
 public:
  YamlReader(std::string_view text, std::string_view what) : what_(what) {
    ok_ = yaml_parser_initialize(&parser_) == 1;
    if (!ok_) return;
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~YamlReader() {
    if (ok_) yaml_parser_delete(&parser_);
  }

  StatusOr<YamlNode> document() {
    if (!ok_) return resource_exhausted("no memory for a YAML parser");
    YamlNode root;
    bool found = false;
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_STREAM_END_EVENT) break;
      if (event.type() == YAML_STREAM_START_EVENT || event.type() == YAML_DOCUMENT_START_EVENT ||
          event.type() == YAML_DOCUMENT_END_EVENT) {
        continue;
      }
      if (found) return error(event.line(), "has a second document");
      TENON_RETURN_IF_ERROR(node(event, 0, root));
      found = true;
    }
    if (!found || root.kind != YamlNode::Kind::kMapping) {
      return invalid_argument(what_, " is not a mapping of 'key: value'");
    }
    return root;
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
    if (depth > kMostDepth) return error(event.line(), "nested too deep");
    out.line = event.line();
    switch (event.type()) {
      case YAML_SCALAR_EVENT: {
        const auto& scalar = event.event_.data.scalar;
        if (scalar.anchor != nullptr || scalar.tag != nullptr) break;
        out.scalar.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
        return {};
      }
      case YAML_SEQUENCE_START_EVENT:
        if (event.event_.data.sequence_start.anchor != nullptr) break;
        out.kind = YamlNode::Kind::kSequence;
        return sequence(depth, out);
      case YAML_MAPPING_START_EVENT:
        if (event.event_.data.mapping_start.anchor != nullptr) break;
        out.kind = YamlNode::Kind::kMapping;
        return mapping(depth, out);
      default:
        break;
    }
    return error(event.line(), "anchors, aliases and tags are not accepted");
  }

  Status sequence(int depth, YamlNode& out) {
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_SEQUENCE_END_EVENT) return {};
      TENON_RETURN_IF_ERROR(node(event, depth + 1, out.items.emplace_back()));
    }
  }

  Status mapping(int depth, YamlNode& out) {
    while (true) {
      TENON_ASSIGN_OR_RETURN(const Event event, next());
      if (event.type() == YAML_MAPPING_END_EVENT) return {};
      YamlNode key;
      TENON_RETURN_IF_ERROR(node(event, depth + 1, key));
      if (key.kind != YamlNode::Kind::kScalar) return error(key.line, "a key that is no scalar");
      if (out.find(key.scalar) != nullptr) {
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
  bool ok_ = false;
  int count_ = 0;
};

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  if (kind != Kind::kMapping) return nullptr;
  const auto found = std::find(keys.begin(), keys.end(), key);
  return found == keys.end() ? nullptr : &items[static_cast<size_t>(found - keys.begin())];
}

StatusOr<YamlNode> parse_yaml(std::string_view text, std::string_view what) {
  return YamlReader(text, what).document();
}

}  // namespace tenon::image
