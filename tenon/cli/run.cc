#include "tenon/cli/arrays/array_text.h"
#include "tenon/cli/arrays/expression.h"
#include "tenon/cli/engine.h"
#include "tenon/cli/flags.h"
#include "tenon/cli/model_folder.h"
#include "tenon/cli/run_inputs.h"
#include "tenon/cli/signature_gradient.h"
#include "tenon/cli/verbs.h"
#include "tenon/io/npy.h"
#include "tenon/saved_model/folder_access.h"

namespace tenon::cli {
namespace {

struct RunFlags {
  std::string model, tag_set = "serve", signature = "serving_default", outdir, grad_outputs;
  std::string precision = "f32";
  InputFlags inputs;
  bool overwrite = false, save = false, explain = false, allow_file_ops = false;
  int64_t threads = 0;
};

constexpr Usage kRunUsage = {
    .verb = "run",
    .what =
        "Runs one signature of a SavedModel and prints its outputs, with saved_model_cli run's "
        "arguments.",
    .example = "tenon run --model model/1 --input_exprs 'x=np.ones((1, 4))' --outdir out",
    .operands = "[MODEL]",
    .operand_flag = "model"};

class SignatureRun {
 public:
  explicit SignatureRun(const RunFlags& flags) : flags_(flags) {}

  Status run() {
    TENON_RETURN_IF_ERROR(start_engine(flags_.threads));
    TENON_ASSIGN_OR_RETURN(folder_, model_folder(flags_.model));
    TENON_ASSIGN_OR_RETURN(const auto given, read_inputs(flags_.inputs));
    TENON_RETURN_IF_ERROR(load());
    TENON_ASSIGN_OR_RETURN(signature_, require_signature(*model_, flags_.signature));
    TENON_ASSIGN_OR_RETURN(args_, match_inputs(*signature_, given));
    TENON_ASSIGN_OR_RETURN(const auto executable, model_->executable(*signature_));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run(args_, results));
    for (size_t i = 0; i < results.size(); ++i) {
      const std::string& name = signature_->outputs[i].name;
      print(cat("Result for output key ", name, ":\n", array_text(results[i]), "\n"));
      TENON_RETURN_IF_ERROR(write(name, results[i]));
    }
    if (!flags_.grad_outputs.empty()) TENON_RETURN_IF_ERROR(run_gradient());
    return flags_.save ? model_->save_variables() : absl::OkStatus();
  }

 private:
  Status load() {
    LoadOptions options;
    options.tags = parse_tags(flags_.tag_set);
    options.warn = false;  // of the signature that runs there is an error to come
    std::vector<std::string> writable;
    if (!flags_.outdir.empty()) writable.push_back(flags_.outdir);
    std::vector<std::string> readable = writable;
    readable.push_back(folder_);
    files_ = std::make_unique<FolderAccess>(readable, writable, flags_.allow_file_ops);
    TENON_ASSIGN_OR_RETURN(options_.precision, parse_precision(flags_.precision));
    options_.files = files_.get();
    if (flags_.explain) {
      options_.explain = [](std::string_view line) { print(cat("explain: ", line, "\n")); };
    }
    options.executable = options_;
    TENON_ASSIGN_OR_RETURN(model_, SavedModel::load(folder_, std::move(options)));
    return absl::OkStatus();
  }

  Status run_gradient() {
    TENON_ASSIGN_OR_RETURN(const auto given, read_array_files(flags_.grad_outputs, "grad_outputs"));
    std::vector<std::string> outputs;
    for (const auto& [name, dy] : given) outputs.push_back(name);
    TENON_ASSIGN_OR_RETURN(const SignatureGradient gradient,
                           signature_gradient(*model_, *signature_, outputs, options_));
    std::vector<Tensor> args = args_, results;
    for (const auto& [name, dy] : given) {
      const int index = static_cast<int>(args.size());
      TENON_ASSIGN_OR_RETURN(Tensor value,
                             convert_tensor(dy, gradient.executable->arg(index).dtype));
      args.push_back(std::move(value));
    }
    TENON_RETURN_IF_ERROR(gradient.executable->run(args, results));
    for (size_t i = 0; i < results.size(); ++i) {
      print(
          cat("Gradient for input key ", gradient.inputs[i], ":\n", array_text(results[i]), "\n"));
      TENON_RETURN_IF_ERROR(write(cat("grad_", gradient.inputs[i]), results[i]));
    }
    return absl::OkStatus();
  }

  Status write(const std::string& name, const Tensor& tensor) {
    if (flags_.outdir.empty()) return absl::OkStatus();
    TENON_RETURN_IF_ERROR(create_directories(flags_.outdir));
    std::string file = name + ".npy";
    std::replace(file.begin(), file.end(), '/', '_');  // the name comes from the model
    const std::string path = join_path(flags_.outdir, file);
    if (!flags_.overwrite && path_exists(path)) {
      return already_exists("output file '", path,
                            "' already exists; add --overwrite to write over it");
    }
    TENON_RETURN_IF_ERROR(write_npy(path, tensor));
    print(cat("Output ", name, " is saved to ", path, "\n"));
    return absl::OkStatus();
  }

  const RunFlags& flags_;
  std::string folder_;
  std::unique_ptr<FolderAccess> files_;
  ExecutableOptions options_;
  std::shared_ptr<SavedModel> model_;
  const Signature* signature_ = nullptr;
  std::vector<Tensor> args_;
};

}  // namespace

int run_command(Words words) {
  RunFlags f;
  const Flag flags[] = {
      {"model", &f.model, "DIR", "the SavedModel", true, "dir,model_base_path"},
      {"tag_set", &f.tag_set, "TAGS", "tags of the MetaGraph, separated by commas"},
      {"signature_def", &f.signature, "NAME", "the signature"},
      {"inputs", &f.inputs.inputs, "X=FILE;...", "arrays: FILE.npy, FILE.npz[KEY]"},
      {"input_exprs", &f.inputs.input_exprs, "X=EXPR;...", "Python literals, np.ones((2, 3)), ..."},
      {"input_examples", &f.inputs.input_examples, "X=LIST;...", "tf.Examples: [{'age': [22.0]}]"},
      {"outdir", &f.outdir, "DIR", "write OUTPUT.npy files there"},
      {"overwrite", &f.overwrite, "", "write over files that exist"},
      {"grad_outputs", &f.grad_outputs, "Y=FILE;...",
       "also grad_INPUT.npy: the gradient of sum(FILE * Y)"},
      {"save", &f.save, "", "write changed variables back into the model"},
      {"threads", &f.threads, "N", "threads that compute; 0: all"},
      {"precision", &f.precision, "f32|bf16", "of multiplications"},
      {"explain", &f.explain, "", "print what each pass did"},
      {"allow_file_ops", &f.allow_file_ops, "", "file ops may leave the model's folder and outdir"},
  };
  return run_verb(kRunUsage, flags, words, [&](const Operands&) { return SignatureRun(f).run(); });
}

}  // namespace tenon::cli
