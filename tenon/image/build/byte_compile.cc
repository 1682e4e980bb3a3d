#include "tenon/image/build/byte_compile.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "tenon/image/build/links.h"
#include "tenon/image/net.h"
#include "tenon/image/partial.h"

namespace tenon::image {
namespace {

// Reads modules from stdin, each a line with its path in the image and its size, then its source;
// prints the path of each compiled file with its size, then its content. Tracebacks name the path
// in the image.
constexpr std::string_view kProgram = R"python(import importlib.util
import sys
from importlib._bootstrap_external import _code_to_hash_pyc

line = sys.stdin.buffer.readline()
while line:
    name, size = line.decode().rstrip("\n").split("\t")
    source = sys.stdin.buffer.read(int(size))
    try:
        code = compile(source, "/" + name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        code = None
    if code is not None:
        compiled = _code_to_hash_pyc(code, importlib.util.source_hash(source), False)
        target = importlib.util.cache_from_source(name, optimization="")
        sys.stdout.buffer.write(f"{target}\t{len(compiled)}\n".encode() + compiled)
    line = sys.stdin.buffer.readline()
)python";

constexpr size_t kOutputLimit = size_t{1} << 30;
constexpr uint64_t kModuleLimit = 64 << 20;

bool is_module(const std::string& path, const TreeNode& node) {
  return node.type == EntryType::kFile && path.starts_with("usr/lib/python3") &&
         path.ends_with(".py") && path.find('\n') == std::string::npos &&
         path.find('\t') == std::string::npos;
}

// A file that need not outlive a crash.
class ScratchFile final : public ByteSink {
 public:
  explicit ScratchFile(const std::string& path) : path_(path), file_(::fopen(path.c_str(), "wb")) {}
  ~ScratchFile() override {
    if (file_ != nullptr) ::fclose(file_);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  Status write(std::string_view bytes) override {
    const bool done =
        file_ != nullptr && ::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size();
    return done ? Status() : errno_status(errno, "writing", path_);
  }
  Status close() {
    const int failed = file_ == nullptr ? EOF : ::fclose(file_);
    file_ = nullptr;
    return failed == 0 ? Status() : errno_status(errno, "writing", path_);
  }

 private:
  std::string path_;
  FILE* file_;
};

// Writes the file of a tree below `root`.
Status extract(const TreeNode& node, const std::string& root, const std::string& path) {
  const std::string place = join_path(root, path);
  TENON_RETURN_IF_ERROR(create_directories(place.substr(0, place.rfind('/'))));
  ScratchFile file(place);
  TENON_RETURN_IF_ERROR(copy_content(node, file));
  return file.close();
}

// The image's interpreter on this machine: the loader of the image starts it with the image's
// libraries, and Python finds its standard library beside it.
class Interpreter {
 public:
  static StatusOr<Interpreter> create(const Tree& tree, const std::string& root) {
    const std::string program = tree.resolve("usr/bin/python3");
    const TreeNode* node = program.empty() ? nullptr : tree.find(program);
    if (node == nullptr || node->type != EntryType::kFile) {
      return failed_precondition("byte_compile: the image has no /usr/bin/python3");
    }
    Interpreter result;
    TENON_ASSIGN_OR_RETURN(const auto files, loaded_files(tree, program));
    std::set<std::string> folders;
    for (const std::string& path : files) {
      const TreeNode* file = tree.find(path);
      if (file == nullptr || file->type != EntryType::kFile) continue;
      TENON_RETURN_IF_ERROR(extract(*file, root, path));
      if (path != program) folders.insert(join_path(root, path.substr(0, path.rfind('/'))));
    }
    TENON_RETURN_IF_ERROR(add_links_and_library(tree, root, program, files));
    const ElfInfo elf = elf_of_node(*node);
    const std::string loader =
        elf.interpreter.empty() ? "" : tree.resolve(elf.interpreter.substr(1));
    if (loader.empty()) return failed_precondition("byte_compile: /", program, " is no program");
    for (const std::string& path : {loader, program}) {
      if (::chmod(join_path(root, path).c_str(), 0755) != 0) {
        return errno_status(errno, "making executable", path);
      }
    }
    const std::string script = join_path(root, "compile.py");
    TENON_RETURN_IF_ERROR(write_file(script, kProgram));
    result.words_ = {"env",
                     "-i",
                     "PYTHONHASHSEED=0",
                     join_path(root, loader),
                     "--library-path",
                     join(std::vector<std::string>(folders.begin(), folders.end()), ":"),
                     join_path(root, program),
                     "-s",
                     "-S",
                     "-B",
                     "-W",
                     "ignore",
                     "-X",
                     "utf8",
                     script};
    return result;
  }

  // What compile() has made, as kProgram prints it, of `input`.
  StatusOr<std::string> compile(const std::string& input, const std::string& what) const {
    TENON_ASSIGN_OR_RETURN(ProcessResult run, run_process(words_, kOutputLimit, input));
    if (run.exit_code == 0) return std::move(run.out);
    return failed_precondition("the image's Python does not compile ", what,
                               " on this machine: exit code ", run.exit_code, ", ",
                               trim(run.err.substr(0, 400)));
  }

 private:
  // Libraries are asked for by sonames, which are links; of the standard library the sources do.
  static Status add_links_and_library(const Tree& tree, const std::string& root,
                                      const std::string& program,
                                      const std::set<std::string>& files) {
    const std::string library = cat("usr/lib/", program.substr(program.rfind('/') + 1), "/");
    return tree.for_each([&](const std::string& path, const TreeNode& node) -> Status {
      if (is_module(path, node) && path.starts_with(library)) return extract(node, root, path);
      if (node.type != EntryType::kSymlink || path.find(".so") == std::string::npos) return {};
      const std::string target = tree.resolve(path);
      const TreeNode* file = files.contains(target) ? tree.find(target) : nullptr;
      return file == nullptr ? Status() : extract(*file, root, path);
    });
  }

  std::vector<std::string> words_;
};

// Modules of one layer that came together: one call of the interpreter, whatever else there is, so
// that the bytes of one wheel do not follow from another's.
struct Group {
  LayerTree* layer = nullptr;
  std::string origin;
  std::vector<std::string> paths;
  StatusOr<std::string> compiled = std::string();
};

std::vector<Group> groups_of(std::vector<LayerTree>& layers) {
  std::vector<Group> groups;
  for (LayerTree& layer : layers) {
    std::map<std::string, Group> by_origin;
    for (const auto& [path, node] : layer.tree->nodes()) {
      if (!is_module(path, node)) continue;
      const bool file = node.origin.starts_with("file");
      Group& group = by_origin[file ? std::string() : node.origin];
      group.layer = &layer;
      group.paths.push_back(path);
    }
    for (auto& [origin, group] : by_origin) {
      group.origin = origin.empty() ? "the files" : origin;
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

StatusOr<std::string> input_of(const Group& group) {
  std::string input;
  for (const std::string& path : group.paths) {
    TENON_ASSIGN_OR_RETURN(const std::string source,
                           read_text(*group.layer->tree->find(path), kModuleLimit));
    input += cat(path, "\t", source.size(), "\n", source);
  }
  return input;
}

void compile_all(const Interpreter& interpreter, int threads, std::vector<Group>& groups) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < groups.size(); i = next++) {
      Group& group = groups[i];
      const auto input = input_of(group);
      if (input.ok()) {
        group.compiled = interpreter.compile(*input, group.origin);
      } else {
        group.compiled = input.status();
      }
    }
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
}

// The compiled files of a group into its layer. A package's own stay.
Status add_compiled(const Group& group, const std::shared_ptr<SpoolFile>& spool) {
  TENON_RETURN_IF_ERROR(group.compiled.status());
  Tree& tree = *group.layer->tree;
  std::string_view left = *group.compiled;
  while (!left.empty()) {
    const std::string_view line = left.substr(0, left.find('\n'));
    const size_t tab = line.find('\t');
    int64_t size = 0;
    if (tab == std::string_view::npos || !parse_number(line.substr(tab + 1), size) || size < 0 ||
        static_cast<uint64_t>(size) > left.size() - std::min(left.size(), line.size() + 1)) {
      return internal("compiling ", group.origin, ": the interpreter's answer is cut");
    }
    const std::string target(line.substr(0, tab));
    const std::string_view content = left.substr(line.size() + 1, static_cast<size_t>(size));
    left.remove_prefix(line.size() + 1 + content.size());
    if (tree.find(target) != nullptr) continue;
    TreeNode node;
    node.origin = group.origin;
    node.spool = spool;
    node.offset = spool->size();
    node.size = content.size();
    TENON_RETURN_IF_ERROR(spool->write(content));
    TENON_RETURN_IF_ERROR(tree.add(target, std::move(node)));
  }
  return {};
}

}  // namespace

Status byte_compile(int threads, std::vector<LayerTree>& layers) {
  if (layers.empty()) return {};
  TENON_ASSIGN_OR_RETURN(const auto scratch, PartialFolder::create_temporary());
  TENON_ASSIGN_OR_RETURN(const Interpreter interpreter,
                         Interpreter::create(*layers.back().tree, scratch->path()));
  std::vector<Group> groups = groups_of(layers);
  compile_all(interpreter, threads, groups);
  TENON_ASSIGN_OR_RETURN(auto fresh, SpoolFile::create());
  const std::shared_ptr<SpoolFile> spool = std::move(fresh);
  for (const Group& group : groups) TENON_RETURN_IF_ERROR(add_compiled(group, spool));
  return {};
}

}  // namespace tenon::image
