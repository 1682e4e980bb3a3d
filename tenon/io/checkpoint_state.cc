#include "tenon/io/checkpoint_state.h"

#include <cstdio>

namespace tenon {
namespace {

constexpr uint64_t kStateLimit = 1 << 24;

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      char escaped[5];
      std::snprintf(escaped, sizeof(escaped), "\\%03o", byte);
      quoted += escaped;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

// Takes an octal escape of up to three digits off `text`.
char take_octal(std::string_view& text) {
  int value = 0;
  for (int i = 0; i < 3 && !text.empty() && text.front() >= '0' && text.front() <= '7'; ++i) {
    value = value * 8 + (text.front() - '0');
    text.remove_prefix(1);
  }
  return static_cast<char>(value);
}

// The string that `text` begins with, in protocol buffers' text format; false when it is broken.
bool take_quoted(std::string_view& text, std::string& value) {
  if (text.empty() || (text.front() != '"' && text.front() != '\'')) return false;
  const char end = text.front();
  text.remove_prefix(1);
  value.clear();
  while (!text.empty() && text.front() != end) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '\\') {
      if (text.empty()) return false;
      constexpr std::string_view kNames = "abfnrtv\\'\"?", kMeanings = "\a\b\f\n\r\t\v\\'\"?";
      const size_t name = kNames.find(text.front());
      if (name != std::string_view::npos) {
        c = kMeanings[name];
        text.remove_prefix(1);
      } else if (text.front() >= '0' && text.front() <= '7') {
        c = take_octal(text);
      } else {
        return false;
      }
    }
    value += c;
  }
  if (text.empty()) return false;
  text.remove_prefix(1);
  return true;
}

bool parse_state_line(std::string_view name, std::string_view value, CheckpointState& state) {
  std::string text;
  double number = 0;
  const bool is_string = take_quoted(value, text) && trim(value).empty();
  const bool is_number = !is_string && parse_number(value, number);
  if (name == "model_checkpoint_path" && is_string) {
    state.model_checkpoint_path = text;
  } else if (name == "all_model_checkpoint_paths" && is_string) {
    state.all_model_checkpoint_paths.push_back(text);
  } else if (name == "all_model_checkpoint_timestamps" && is_number) {
    state.all_model_checkpoint_timestamps.push_back(number);
  } else if (name == "last_preserved_timestamp" && is_number) {
    state.last_preserved_timestamp = number;
  } else {
    return false;
  }
  return true;
}

std::string exact_number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

}  // namespace

StatusOr<CheckpointState> read_checkpoint_state(const std::string& folder) {
  const std::string path = join_path(folder, "checkpoint");
  TENON_ASSIGN_OR_RETURN(const std::string bytes, read_file(path, kStateLimit));
  CheckpointState state;
  int number = 0;
  for (std::string_view line : split(bytes, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.starts_with('#')) continue;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos ||
        !parse_state_line(trim(line.substr(0, colon)), trim(line.substr(colon + 1)), state)) {
      return invalid_argument("'", path, "' line ", number,
                              " is no field of CheckpointState in text format");
    }
  }
  return state;
}

Status write_checkpoint_state(const std::string& folder, const CheckpointState& state) {
  std::string text = cat("model_checkpoint_path: ", quote(state.model_checkpoint_path), "\n");
  for (const std::string& path : state.all_model_checkpoint_paths) {
    text += cat("all_model_checkpoint_paths: ", quote(path), "\n");
  }
  for (const double stamp : state.all_model_checkpoint_timestamps) {
    text += cat("all_model_checkpoint_timestamps: ", exact_number(stamp), "\n");
  }
  if (state.last_preserved_timestamp != 0) {
    text += cat("last_preserved_timestamp: ", exact_number(state.last_preserved_timestamp), "\n");
  }
  return write_file(join_path(folder, "checkpoint"), text);
}

StatusOr<std::string> latest_checkpoint(const std::string& folder) {
  TENON_ASSIGN_OR_RETURN(const CheckpointState state, read_checkpoint_state(folder));
  if (state.model_checkpoint_path.empty()) {
    return not_found("'", join_path(folder, "checkpoint"), "' names no checkpoint");
  }
  return join_path(folder, state.model_checkpoint_path);
}

}  // namespace tenon
