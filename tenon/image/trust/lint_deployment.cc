// Image references in deployments.
#include <algorithm>
#include <set>

#include "tenon/image/trust/lint.h"
#include "tenon/image/yaml.h"

namespace tenon::image {
namespace {

class DeploymentLinter {
 public:
  explicit DeploymentLinter(std::string_view what) : what_(what) {}

  // Every reference below `node`.
  void walk(const YamlNode& node) {
    if (node.kind == YamlNode::Kind::kMapping) mapping(node);
    for (const YamlNode& item : node.items) walk(item);
  }

  // One reference as it stands.
  void judge(std::string_view reference, int line) {
    reference = trim(reference);
    if (reference.find('$') != std::string_view::npos ||
        reference.find("{{") != std::string_view::npos) {
      return variable(reference, line);
    }
    if (reference.find("@sha256:") != std::string_view::npos) return;
    const size_t slash = reference.rfind('/');
    const std::string_view last =
        slash == std::string_view::npos ? reference : reference.substr(slash + 1);
    const size_t colon = last.find(':');
    tagged(reference, colon == std::string_view::npos ? std::string_view() : last.substr(colon + 1),
           line);
  }

  std::vector<LintFinding> take() { return std::move(findings_); }

 private:
  void add(const char* rule, int line, std::string_view message) {
    findings_.push_back({rule, cat(what_, " line ", line, ": ", message)});
  }

  void tagged(std::string_view reference, std::string_view tag, int line) {
    if (!tag.empty() && !tag.starts_with("latest")) return;
    add("latest", line,
        cat("image '", reference, "' ",
            tag.empty() ? "has no tag, which means latest" : "moves with every release",
            "; name a version or a digest"));
  }

  // "${X:-tenon:latest}" is judged by its default; of others nothing is known.
  void variable(std::string_view reference, int line) {
    const size_t mark = reference.find(":-");
    if (reference.starts_with("${") && reference.ends_with('}') && mark != std::string_view::npos &&
        reference.find('$', 1) == std::string_view::npos) {
      return judge(reference.substr(mark + 2, reference.size() - mark - 3), line);
    }
    add("unjudged", line,
        cat("image '", reference, "' is decided elsewhere, so nothing is known of its tag"));
  }

  static std::string_view text_of(const YamlNode& mapping, std::string_view key) {
    const YamlNode* value = mapping.find(key);
    return value == nullptr || value->kind != YamlNode::Kind::kScalar
               ? std::string_view()
               : trim(std::string_view(value->scalar));
  }

  void mapping(const YamlNode& node) {
    const YamlNode* image = node.find("image");
    if (image != nullptr && image->kind == YamlNode::Kind::kScalar && !image->scalar.empty()) {
      // Some charts spell it image and tag.
      const std::string_view tag = text_of(node, "tag");
      judge(tag.empty() ? image->scalar : cat(image->scalar, ":", tag), image->line);
    }
    if (node.find("repository") != nullptr && is_image(node)) parts(node);
    if (const YamlNode* tag = node.find("newTag"); tag != nullptr) {
      tagged(cat(text_of(node, "name"), ":", tag->scalar), tag->scalar, tag->line);
    }
  }

  // Helm's {registry, repository, tag, digest}; a chart's dependency has a repository too, whose
  // text is a URL.
  static bool is_image(const YamlNode& node) {
    const std::string_view repository = text_of(node, "repository");
    const bool known = node.find("tag") != nullptr || node.find("digest") != nullptr ||
                       node.find("pullPolicy") != nullptr || node.find("registry") != nullptr ||
                       node.keys.size() == 1;
    return known && !repository.empty() && repository.find("://") == std::string_view::npos;
  }

  void parts(const YamlNode& node) {
    const std::string_view repository = text_of(node, "repository"), tag = text_of(node, "tag");
    const int line = node.find("repository")->line;
    if (text_of(node, "digest").starts_with("sha256:")) return;
    if (node.find("tag") != nullptr && tag.empty()) {
      return add("unjudged", line,
                 cat("image '", repository, "' has an empty tag, for which the chart's version or ",
                     "another value stands"));
    }
    judge(tag.empty() ? std::string(repository) : cat(repository, ":", tag), line);
  }

  std::string what_;
  std::vector<LintFinding> findings_;
};

std::string_view first_word(std::string_view& rest) {
  rest = trim(rest);
  const size_t end = std::min(rest.find_first_of(" \t"), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest = trim(rest.substr(end));
  return word;
}

struct Instruction {
  std::string text;
  int line;
};

// A Dockerfile's instructions, continued lines joined, comments left out.
std::vector<Instruction> instructions_of(std::string_view text) {
  std::vector<Instruction> instructions;
  int number = 0;
  bool continued = false;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.starts_with('#') || (line.empty() && !continued)) continue;
    const bool more = line.ends_with('\\') || line.ends_with('`');
    if (more) line.remove_suffix(1);
    if (continued) {
      instructions.back().text += cat(" ", line);
    } else {
      instructions.push_back({std::string(line), number});
    }
    continued = more;
  }
  return instructions;
}

bool is_dockerfile(std::string_view text) {
  const auto instructions = instructions_of(text);
  if (instructions.empty()) return false;
  std::string_view rest = instructions[0].text;
  const std::string word = to_lower(first_word(rest));
  return (word == "from" || word == "arg") && !rest.empty();
}

void lint_dockerfile(std::string_view text, DeploymentLinter& linter) {
  std::set<std::string> stages;
  int count = 0;
  const auto judge_source = [&](std::string_view from, int line) {
    if (!from.empty() && from != "scratch" && !stages.contains(to_lower(from))) {
      linter.judge(from, line);
    }
  };
  for (const Instruction& instruction : instructions_of(text)) {
    std::string_view rest = instruction.text;
    const std::string word = to_lower(first_word(rest));
    std::string stage;
    if (word == "from") {
      std::string_view next = first_word(rest);
      while (next.starts_with("--")) next = first_word(rest);
      judge_source(next, instruction.line);
      if (to_lower(first_word(rest)) == "as") stage = to_lower(first_word(rest));
    } else if (word == "copy" || word == "add" || word == "run") {
      // COPY --from=IMAGE, RUN --mount=type=bind,from=IMAGE
      for (std::string_view next = first_word(rest); next.starts_with("--");
           next = first_word(rest)) {
        const bool mount = next.starts_with("--mount=");
        next.remove_prefix(mount ? 8 : 2);
        for (std::string_view option : split(next, mount ? ',' : ' ')) {
          if (option.starts_with("from=")) judge_source(option.substr(5), instruction.line);
        }
      }
    }
    if (word == "from") stages.insert({stage, cat(count++)});
  }
}

}  // namespace

StatusOr<std::vector<LintFinding>> lint_deployment(std::string_view text, std::string_view what) {
  DeploymentLinter linter(what);
  if (is_dockerfile(text)) {
    lint_dockerfile(text, linter);
    return linter.take();
  }
  // JSON is YAML but for tabs between its tokens, and no string of JSON holds a tab.
  std::string spaced;
  if (const std::string_view start = trim(text); start.starts_with('{') || start.starts_with('[')) {
    spaced = text;
    std::replace(spaced.begin(), spaced.end(), '\t', ' ');
    text = spaced;
  }
  const auto documents = parse_yaml_documents(text, what, {.lenient = true});
  if (!documents.ok() && text.find("{{") != std::string_view::npos) {
    return invalid_argument(message_of(documents.status()),
                            "; a template is no YAML until it is rendered (helm template)");
  }
  TENON_RETURN_IF_ERROR(documents.status());
  for (const YamlNode& document : *documents) linter.walk(document);
  return linter.take();
}

}  // namespace tenon::image
