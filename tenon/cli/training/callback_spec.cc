#include "tenon/cli/training/callback_spec.h"

#include <unistd.h>

#include "tenon/base/files.h"

namespace tenon::cli {
namespace {

using keras::CallbackPtr;

// The arguments of one callback. Getters take an argument out; check() refuses what is left.
class SpecArguments {
 public:
  SpecArguments(std::string_view callback, std::string_view text) : callback_(callback) {
    for (std::string_view piece : split_outside(text)) {
      const size_t equals = piece.find('=');
      if (equals == piece.npos) {
        positional_.push_back(unquoted(piece));
      } else {
        named_[std::string(trim(piece.substr(0, equals)))] = unquoted(piece.substr(equals + 1));
      }
    }
  }

  // Pieces between commas outside of parentheses and quotes; none for an empty text.
  static std::vector<std::string_view> split_outside(std::string_view text) {
    std::vector<std::string_view> pieces;
    int depth = 0;
    char quote = 0;
    size_t start = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
      const char c = i < text.size() ? text[i] : ',';
      if (quote != 0 && i < text.size()) {
        if (c == quote) quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '(' || c == ')') {
        depth += c == '(' ? 1 : -1;
      } else if (c == ',' && (depth == 0 || i == text.size())) {
        const std::string_view piece = trim(text.substr(start, i - start));
        if (!piece.empty()) pieces.push_back(piece);
        start = i + 1;
      }
    }
    return pieces;
  }

  // The first positional argument is the one that is asked for first with `positional`.
  void take(std::string_view name, std::string& value, bool positional = false) {
    const auto it = named_.find(name);
    if (it != named_.end()) {
      value = it->second;
      named_.erase(it);
    } else if (positional && !positional_.empty()) {
      value = positional_.front();
      positional_.erase(positional_.begin());
    }
  }
  template <class T>
  void take_number(std::string_view name, T& value) {
    std::string text;
    take(name, text);
    int64_t integer = 0;
    double real = 0;
    if (text.empty()) return;
    if (text == "True" || text == "False") {
      value = static_cast<T>(text == "True");
    } else if (std::is_integral_v<T> && parse_number(text, integer)) {
      value = static_cast<T>(integer);
    } else if (!std::is_integral_v<T> && parse_number(text, real)) {
      value = static_cast<T>(real);
    } else {
      fail(invalid_argument("--callbacks: ", callback_, ": ", name, "=", text,
                            " is no number of its kind"));
    }
  }
  void take_watch(keras::MonitorOptions& watch) {
    take("monitor", watch.monitor);
    take("mode", watch.mode);
  }

  void fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  // Of BackupAndRestore, which is no callback of keras/.
  std::optional<Backup> backup = {};

  Status check() const {
    TENON_RETURN_IF_ERROR(status_);
    if (!positional_.empty()) {
      return invalid_argument("--callbacks: ", callback_, " has no use for '", positional_[0], "'");
    }
    if (named_.empty()) return absl::OkStatus();
    return invalid_argument("--callbacks: ", callback_, " has no argument ", named_.begin()->first);
  }

 private:
  static std::string unquoted(std::string_view text) {
    text = trim(text);
    if (text.size() >= 2 && text.front() == text.back() &&
        (text.front() == '\'' || text.front() == '"')) {
      text = text.substr(1, text.size() - 2);
    }
    return std::string(text);
  }

  std::string_view callback_;
  std::vector<std::string> positional_;
  std::map<std::string, std::string, std::less<>> named_;
  Status status_;
};

CallbackPtr early_stopping(SpecArguments& args) {
  keras::EarlyStoppingOptions o;
  args.take_watch(o.watch);
  args.take_number("min_delta", o.min_delta);
  args.take_number("patience", o.patience);
  args.take_number("verbose", o.verbose);
  args.take_number("restore_best_weights", o.restore_best_weights);
  args.take_number("start_from_epoch", o.start_from_epoch);
  std::string baseline;
  double value = 0;
  args.take("baseline", baseline);
  if (parse_number(baseline, value)) o.baseline = value;
  return keras::EarlyStopping(std::move(o));
}

CallbackPtr model_checkpoint(SpecArguments& args) {
  keras::ModelCheckpointOptions o;
  args.take("filepath", o.filepath, true);
  args.take_watch(o.watch);
  args.take_number("verbose", o.verbose);
  args.take_number("save_best_only", o.save_best_only);
  args.take_number("save_weights_only", o.save_weights_only);
  return keras::ModelCheckpoint(std::move(o));
}

CallbackPtr csv_logger(SpecArguments& args) {
  keras::CSVLoggerOptions o;
  args.take("filename", o.filename, true);
  std::string separator(1, o.separator);
  args.take("separator", separator);
  if (!separator.empty()) o.separator = separator[0];
  args.take_number("append", o.append);
  return keras::CSVLogger(std::move(o));
}

CallbackPtr tensor_board(SpecArguments& args) {
  std::string log_dir = "logs";
  args.take("log_dir", log_dir, true);
  return keras::TensorBoard(std::move(log_dir));
}

CallbackPtr terminate_on_nan(SpecArguments&) { return keras::TerminateOnNaN(); }

CallbackPtr reduce_on_plateau(SpecArguments& args) {
  keras::ReduceLROnPlateauOptions o;
  args.take_watch(o.watch);
  args.take_number("factor", o.factor);
  args.take_number("patience", o.patience);
  args.take_number("verbose", o.verbose);
  args.take_number("min_delta", o.min_delta);
  args.take_number("cooldown", o.cooldown);
  args.take_number("min_lr", o.min_lr);
  return keras::ReduceLROnPlateau(std::move(o));
}

CallbackPtr backup_and_restore(SpecArguments& args) {
  Backup backup;
  std::string each = "epoch";
  bool twice = false;  // more than two are kept anyway
  args.take("backup_dir", backup.folder, true);
  args.take("save_freq", each);
  args.take_number("double_checkpoint", twice);
  args.take_number("delete_checkpoint", backup.is_deleted);
  if (backup.folder.empty()) {
    args.fail(invalid_argument("--callbacks: BackupAndRestore needs a folder, backup_dir"));
  }
  if (each != "epoch") {
    args.fail(unimplemented("--callbacks: BackupAndRestore: save_freq=", each,
                            " is not implemented; 'epoch' is"));
  }
  args.backup = std::move(backup);
  return nullptr;
}

constexpr struct {
  std::string_view name;
  CallbackPtr (*make)(SpecArguments& args);
  bool writes_files = false;
} kCallbacks[] = {
    {"EarlyStopping", early_stopping},       {"ModelCheckpoint", model_checkpoint, true},
    {"CSVLogger", csv_logger, true},         {"TensorBoard", tensor_board, true},
    {"TerminateOnNaN", terminate_on_nan},    {"ReduceLROnPlateau", reduce_on_plateau},
    {"BackupAndRestore", backup_and_restore}};

// Adds it to `specs`, unless it writes files and none is to.
Status parse_callback(std::string_view text, bool with_files, CallbackSpecs& specs) {
  const size_t open = text.find('(');
  const std::string_view name = trim(text.substr(0, open));
  std::string_view inside;
  if (open != text.npos) {
    if (!text.ends_with(')')) {
      return invalid_argument("--callbacks: '", text, "' lacks its closing )");
    }
    inside = text.substr(open + 1, text.size() - open - 2);
  }
  std::vector<std::string_view> names;
  for (const auto& known : kCallbacks) {
    names.push_back(known.name);
    if (known.name != name) continue;
    SpecArguments args(name, inside);
    CallbackPtr callback = known.make(args);
    TENON_RETURN_IF_ERROR(args.check());
    if (args.backup) specs.backup = std::move(args.backup);
    if (callback && (with_files || !known.writes_files)) {
      specs.callbacks.push_back(std::move(callback));
    }
    return absl::OkStatus();
  }
  return unimplemented("--callbacks: '", name, "' is not known; known are ", join(names, ", "));
}

}  // namespace

StatusOr<CallbackSpecs> parse_callbacks(std::string_view text, bool with_files) {
  CallbackSpecs specs;
  for (std::string_view piece : SpecArguments::split_outside(text)) {
    TENON_RETURN_IF_ERROR(parse_callback(piece, with_files, specs));
  }
  return specs;
}

Status delete_backup(const std::string& folder) {
  if (!is_directory(folder)) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(const auto names, list_directory(folder));
  for (const std::string& name : names) {
    if (name != "checkpoint" && !name.starts_with("ckpt-")) continue;
    TENON_RETURN_IF_ERROR(remove_tree(join_path(folder, name)));
  }
  ::rmdir(folder.c_str());
  return absl::OkStatus();
}

}  // namespace tenon::cli
