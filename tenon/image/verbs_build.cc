// tenon image lock, build, verify, diff, vendor.
#include <algorithm>
#include <cstdlib>
#include <thread>

#include "tenon/image/build/build.h"
#include "tenon/image/build/compare.h"
#include "tenon/image/ledger.h"
#include "tenon/image/oci/name.h"
#include "tenon/image/partial.h"
#include "tenon/image/trust/sign.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

Status need(const Arguments& arguments, size_t least, size_t most, std::string_view usage) {
  const Status status = arguments.expect_positional(least, most, usage);
  return status.ok() ? status : usage_error(message_of(status));
}

StatusOr<Store> open_store(const Arguments& arguments) {
  return Store::open(arguments.get("store", Store::default_folder()));
}

StatusOr<Lock> load_lock(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, uint64_t{256} << 20));
  return parse_lock(text, path);
}

std::string change_lines(const std::vector<LockChange>& changes) {
  std::string out;
  for (const LockChange& change : changes) {
    const std::string was = change.old_version.empty() ? "(none)" : change.old_version;
    const std::string is = change.new_version.empty() ? "(removed)" : change.new_version;
    out += cat(change.platform, " ", change.name, " ", was, " -> ", is);
    if (!change.closed_cves.empty()) out += cat(" closes ", join(change.closed_cves, " "));
    out += '\n';
  }
  return out.empty() ? "no changes\n" : out;
}

// --tenon PATH, and --tenon PLATFORM=PATH for single platforms.
StatusOr<ProgramPaths> program_paths(const Arguments& arguments, const CommandContext& context) {
  ProgramPaths programs{context.program, {}};
  for (const std::string& text : arguments.all("tenon")) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || !text.starts_with("linux/")) {
      programs.path = text;
      continue;
    }
    const auto platform = parse_platform(text.substr(0, equals));
    if (!platform.ok()) return usage_error(message_of(platform.status()));
    programs.by_platform[to_string(*platform)] = text.substr(equals + 1);
  }
  return programs;
}

constexpr std::string_view kLockUsage =
    "lock DECLARATION [--output LOCK] [--update] [--diff] [--store DIR] "
    "[--tenon [PLATFORM=]PATH] "
    "[--apt_root DIR] [--allow_expired] [--offline]";
constexpr std::string_view kLockFlags[] = {"output", "store", "tenon", "apt_root"};
constexpr std::string_view kLockRepeated[] = {"tenon"};
constexpr std::string_view kLockSwitches[] = {"update", "diff", "allow_expired", "offline"};

StatusOr<int> run_lock(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need(arguments, 1, 1, kLockUsage));
  TENON_ASSIGN_OR_RETURN(const Declaration declaration,
                         load_declaration(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const Store store, open_store(arguments));
  const std::string output = arguments.get("output", "image.lock.json");
  if (output == "-") return output_path(arguments, kLockUsage).status();
  Lock old;
  bool have_old = false;
  if (path_exists(output)) {
    TENON_ASSIGN_OR_RETURN(old, load_lock(output));
    have_old = true;
  }
  const bool diff = arguments.has("diff"), update = arguments.has("update");
  if (have_old && !diff && !update && old.declaration == declaration.text) {
    TENON_RETURN_IF_ERROR(fetch_locked(old, declaration.folder, store));
    context.err(
        cat(output, " already locks this declaration; --update looks for newer packages\n"));
    return 0;
  }
  LockOptions options;
  options.archive.now = current_time();
  options.archive.allow_expired = arguments.has("allow_expired");
  options.archive.offline = arguments.has("offline");
  options.apt_root = arguments.get("apt_root", "/");
  TENON_ASSIGN_OR_RETURN(options.programs, program_paths(arguments, context));
  TENON_ASSIGN_OR_RETURN(const Lock lock, make_lock(declaration, store, options));
  if (have_old) {
    TENON_ASSIGN_OR_RETURN(const auto changes, diff_locks(old, lock, store));
    context.out(change_lines(changes));
    if (diff && !update) return changes.empty() ? 0 : 1;
  } else if (diff) {
    return not_found("there is no ", output, " to compare with");
  }
  TENON_RETURN_IF_ERROR(write_file(output, write_lock(lock)));
  for (const LockedPlatform& platform : lock.platforms) {
    uint64_t bytes = 0;
    for (const LockedPackage& package : platform.packages) bytes += package.size;
    context.out(cat(output, ": ", platform.platform, " ", platform.packages.size(), " packages, ",
                    decimal_bytes(bytes), "\n"));
  }
  return 0;
}

// Build and verify share the flags that name a build's inputs.
#define TENON_BUILD_INPUTS                                                                     \
  "lock", "store", "tenon", "sdk", "python", "plugins", "model", "model_name", "from", "copy", \
      "env", "label", "name", "threads", "platform", "tag", "compression"
constexpr std::string_view kBuildFlags[] = {TENON_BUILD_INPUTS, "output", "ledger", "head"};
constexpr std::string_view kVerifyFlags[] = {TENON_BUILD_INPUTS, "key"};
#undef TENON_BUILD_INPUTS
constexpr std::string_view kBuildRepeated[] = {"tenon", "from", "copy",    "env",
                                               "label", "tag",  "platform"};
constexpr std::string_view kBuildSwitches[] = {"no_golden", "allow_outside"};

Status parse_pairs(const std::vector<std::string>& words, std::string_view flag,
                   std::map<std::string, std::string>& out) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return usage_error(cat("--", flag, " '", word, "' is not NAME=VALUE"));
    }
    out[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return {};
}

Status parse_copies(const Arguments& arguments, std::vector<CopyFromImage>& out) {
  const auto images = arguments.all("from");
  const auto copies = arguments.all("copy");
  if (images.empty() != copies.empty() || (images.size() > 1 && images.size() != copies.size())) {
    return usage_error("--from IMAGE needs --copy SOURCE[:TARGET], one --from for all or for each");
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    const size_t colon = copies[i].find(':');
    const std::string source = copies[i].substr(0, colon);
    const std::string target = colon == std::string::npos ? source : copies[i].substr(colon + 1);
    for (const CopyFromImage& other : out) {
      if (other.target == target) return usage_error(cat("two --copy go to '", target, "'"));
    }
    out.push_back({images.size() == 1 ? images[0] : images[i], source, target});
  }
  return {};
}

// What the command line says of names, before anything is built.
Status check_names(const BuildOptions& options) {
  const auto usage = [](const Status& status) {
    return status.ok() ? status : usage_error(message_of(status));
  };
  if (!options.repository.empty()) {
    TENON_RETURN_IF_ERROR(usage(check_repository(options.repository)));
  }
  for (const std::string& tag : options.tags) {
    const bool whole = tag.find(':') != std::string::npos;
    TENON_RETURN_IF_ERROR(usage(whole ? check_image_name(tag) : check_tag(tag)));
  }
  return {};
}

StatusOr<BuildOptions> build_options(const Arguments& arguments, const CommandContext& context) {
  BuildOptions options;
  TENON_ASSIGN_OR_RETURN(options.inputs.programs, program_paths(arguments, context));
  options.inputs.sdk_path = arguments.get("sdk");
  options.inputs.python_path = arguments.get("python");
  options.inputs.plugins_path = arguments.get("plugins");
  int64_t threads = std::min<int64_t>(4, std::max(1U, std::thread::hardware_concurrency()));
  if (arguments.has("threads") &&
      (!parse_number(arguments.get("threads"), threads) || threads < 1 || threads > 64)) {
    return usage_error("--threads is a number from 1 to 64");
  }
  options.inputs.threads = static_cast<int>(threads);
  TENON_ASSIGN_OR_RETURN(options.inputs.fixed_time, source_date_epoch());
  TENON_RETURN_IF_ERROR(parse_pairs(arguments.all("env"), "env", options.environment));
  TENON_RETURN_IF_ERROR(parse_pairs(arguments.all("label"), "label", options.labels));
  TENON_RETURN_IF_ERROR(parse_copies(arguments, options.copies));
  options.model_path = arguments.get("model");
  options.model_name = arguments.get("model_name");
  for (const char* flag : {"model_name", "no_golden"}) {
    if (!arguments.has(flag) || !options.model_path.empty()) continue;
    return usage_error(cat("--", flag, " is of a --model"));
  }
  options.repository = arguments.get("name");
  options.tags = arguments.all("tag");
  options.compression = arguments.get("compression");
  if (arguments.has("compression") && options.compression != "gzip" &&
      options.compression != "zstd") {
    return usage_error(cat("--compression '", options.compression, "' is neither gzip nor zstd"));
  }
  options.inputs.allow_outside = arguments.has("allow_outside");
  TENON_RETURN_IF_ERROR(check_names(options));
  options.program_version = context.program_version;
  for (const std::string& text : arguments.all("platform")) {
    const auto platform = parse_platform(text);
    if (!platform.ok()) return usage_error(message_of(platform.status()));
    options.platforms.push_back(*platform);
  }
  if (!options.model_path.empty() && !arguments.has("no_golden")) {
    options.verify_model = context.verify_model;
    if (!options.verify_model) {
      return failed_precondition("this program cannot replay golden records; pass --no_golden");
    }
  }
  return options;
}

std::string result_lines(const BuildResult& result) {
  std::string out;
  for (const BuiltImage& image : result.images) {
    uint64_t total = 0;
    for (const BuiltLayer& layer : image.layers) {
      total += layer.descriptor.size;
      out += cat("  ", layer.name, " ", layer.descriptor.digest, " ",
                 decimal_bytes(layer.descriptor.size), "\n");
    }
    out +=
        cat(image.platform, " ", image.manifest.digest, " ", decimal_bytes(total), " compressed\n");
  }
  if (result.images.size() > 1) out += cat("index ", result.top.digest, "\n");
  for (const std::string& tag : result.tags) out += cat(tag, "\n");
  return out;
}

constexpr std::string_view kBuildUsage =
    "build DECLARATION --lock LOCK --output FILE.tar|DIR/ [--store DIR] "
    "[--tenon [PLATFORM=]PATH] [--sdk DIR] [--python DIR] [--plugins DIR] "
    "[--model DIR] [--model_name NAME] [--no_golden] [--from IMAGE --copy SOURCE[:TARGET]] "
    "[--env K=V] [--label K=V] [--name REPOSITORY] [--tag [NAME:]TAG] [--platform P] "
    "[--ledger FILE [--head SHA256]] "
    "[--compression gzip|zstd] [--allow_outside] [--threads N]";

// Every tag of a build in the ledger at `path`, whose head is `head` until then where that is not
// empty.
Status record_tags(const std::string& path, const BuildResult& result, int64_t time,
                   std::string head) {
  std::vector<std::string> tags = result.tags;
  tags.insert(tags.end(), result.moving_tags.begin(), result.moving_tags.end());
  for (const std::string& tag : tags) {
    TENON_RETURN_IF_ERROR(append_to_ledger(path, tag, result.top.digest, time, head));
    head.clear();
  }
  return {};
}

// Whether the ledger takes the tags, tried on a copy of it in `folder`: a refused build leaves no
// output.
Status try_ledger(const std::string& path, const BuildResult& result, int64_t time,
                  const std::string& head, const std::string& folder) {
  const std::string copy = join_path(folder, "ledger");
  if (path_exists(path)) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, uint64_t{256} << 20));
    TENON_RETURN_IF_ERROR(write_file(copy, text));
  }
  TENON_RETURN_IF_ERROR(record_tags(copy, result, time, head));
  return remove_tree(copy);
}

StatusOr<int> run_build(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need(arguments, 1, 1, kBuildUsage));
  TENON_ASSIGN_OR_RETURN(const std::string output, output_path(arguments, kBuildUsage));
  if (arguments.has("head") && !arguments.has("ledger")) {
    return usage_error(cat("--head is of a --ledger; usage: ", kBuildUsage));
  }
  TENON_ASSIGN_OR_RETURN(const Declaration declaration,
                         load_declaration(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const Lock lock, load_lock(arguments.get("lock", "image.lock.json")));
  TENON_ASSIGN_OR_RETURN(const Store store, open_store(arguments));
  TENON_ASSIGN_OR_RETURN(const BuildOptions options, build_options(arguments, context));
  TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(output));
  TENON_ASSIGN_OR_RETURN(const BuildResult result,
                         build_image(declaration, lock, store, options, *blobs));
  const std::string ledger = arguments.get("ledger"), head = arguments.get("head");
  const int64_t time = options.inputs.fixed_time >= 0 ? options.inputs.fixed_time : current_time();
  if (!ledger.empty()) {
    TENON_RETURN_IF_ERROR(try_ledger(ledger, result, time, head, blobs->folder()));
  }
  TENON_RETURN_IF_ERROR(write_output(*blobs, result.output, output));
  if (!ledger.empty()) TENON_RETURN_IF_ERROR(record_tags(ledger, result, time, head));
  context.out(result_lines(result));
  return 0;
}

constexpr std::string_view kVerifyUsage =
    "verify IMAGE [DECLARATION] --lock LOCK [the flags of the build] | "
    "verify IMAGE --key PUBLIC.pem";

StatusOr<int> run_verify(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need(arguments, 1, 2, kVerifyUsage));
  const std::string path = arguments.positional()[0];
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path));
  if (const std::string key = arguments.get("key"); !key.empty()) {
    TENON_ASSIGN_OR_RETURN(const auto images, all_images(*reader));
    for (const Image& image : images) {
      TENON_RETURN_IF_ERROR(check_blobs(*reader, image));
      TENON_RETURN_IF_ERROR(verify_signature(*reader, image, key));
      context.out(cat(image.descriptor.digest, " is signed by ", key, "\n"));
    }
    if (!arguments.has("lock")) return 0;
  }
  if (!arguments.has("lock")) {
    return usage_error(cat("--lock or --key is missing; usage: ", kVerifyUsage));
  }
  TENON_ASSIGN_OR_RETURN(const Lock lock, load_lock(arguments.get("lock")));
  // The lock holds the declaration; a file of it says which folder its sources are relative to.
  TENON_ASSIGN_OR_RETURN(const Declaration declaration,
                         arguments.positional().size() == 2
                             ? load_declaration(arguments.positional()[1])
                             : parse_declaration(lock.declaration, "the lock's declaration", "."));
  TENON_ASSIGN_OR_RETURN(const Store store, open_store(arguments));
  TENON_ASSIGN_OR_RETURN(BuildOptions options, build_options(arguments, context));
  TENON_ASSIGN_OR_RETURN(const auto scratch, PartialFolder::create_temporary());
  const std::string rebuilt_path = join_path(scratch->path(), "rebuilt");
  TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(rebuilt_path));
  TENON_ASSIGN_OR_RETURN(const BuildResult result,
                         build_image(declaration, lock, store, options, *blobs));
  TENON_RETURN_IF_ERROR(write_output(*blobs, result.output, rebuilt_path));
  TENON_ASSIGN_OR_RETURN(const auto rebuilt, ImageReader::open(rebuilt_path));
  int code = 0;
  for (const BuiltImage& image : result.images) {
    TENON_ASSIGN_OR_RETURN(const Image theirs, find_image(*reader, &image.platform));
    TENON_ASSIGN_OR_RETURN(const Image ours, find_image(*rebuilt, &image.platform));
    // Blobs are read whole, so that a changed byte in the file is found too.
    TENON_ASSIGN_OR_RETURN(const std::string difference,
                           first_difference(*reader, theirs, *rebuilt, ours));
    TENON_RETURN_IF_ERROR(check_blobs(*reader, theirs));
    if (difference.empty()) {
      context.out(cat(image.platform, " ", image.manifest.digest, " is what the lock gives: ",
                      image.layers.size(), " layers, manifest and configuration agree\n"));
    } else {
      context.out(cat(image.platform, " differs: ", difference, " (A is ", path,
                      ", B what the lock gives)\n"));
      code = 1;
    }
  }
  return code;
}

constexpr std::string_view kDiffUsage = "diff A B [--platform P]";
constexpr std::string_view kDiffFlags[] = {"platform"};

StatusOr<int> run_diff(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need(arguments, 2, 2, kDiffUsage));
  TENON_ASSIGN_OR_RETURN(const auto reader_a, ImageReader::open(arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const auto reader_b, ImageReader::open(arguments.positional()[1]));
  Platform platform;
  const bool chosen = arguments.has("platform");
  if (chosen) {
    TENON_ASSIGN_OR_RETURN(platform, parse_platform(arguments.get("platform")));
  }
  TENON_ASSIGN_OR_RETURN(const Image a, find_image(*reader_a, chosen ? &platform : nullptr));
  TENON_ASSIGN_OR_RETURN(const Image b, find_image(*reader_b, chosen ? &platform : nullptr));
  TENON_ASSIGN_OR_RETURN(const std::string difference,
                         first_difference(*reader_a, a, *reader_b, b));
  context.out(difference.empty() ? cat("identical: ", a.descriptor.digest, "\n")
                                 : cat(difference, "\n"));
  return difference.empty() ? 0 : 1;
}

constexpr std::string_view kVendorUsage = "vendor LOCK --output DIR [--store DIR]";
constexpr std::string_view kVendorFlags[] = {"output", "store"};

// A new folder appears whole or not at all; one that is there gets what it lacks, the lock last.
Status vendor(const Lock& lock, const std::string& text, const Store& store, std::string output) {
  while (output.size() > 1 && output.ends_with('/')) output.pop_back();
  const bool fresh = !path_exists(output);
  std::unique_ptr<PartialFolder> partial;
  if (fresh) {
    TENON_ASSIGN_OR_RETURN(partial, PartialFolder::create(output));
  }
  const std::string& folder = fresh ? partial->path() : output;
  TENON_RETURN_IF_ERROR(vendor_lock(lock, store, folder));
  TENON_RETURN_IF_ERROR(write_file(join_path(folder, "image.lock.json"), text));
  return fresh ? partial->rename_to(output) : Status();
}

StatusOr<int> run_vendor(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need(arguments, 1, 1, kVendorUsage));
  TENON_ASSIGN_OR_RETURN(const std::string output, output_path(arguments, kVendorUsage));
  TENON_ASSIGN_OR_RETURN(const std::string text,
                         read_file(arguments.positional()[0], uint64_t{256} << 20));
  TENON_ASSIGN_OR_RETURN(const Lock lock, parse_lock(text, arguments.positional()[0]));
  TENON_ASSIGN_OR_RETURN(const Store store, open_store(arguments));
  TENON_RETURN_IF_ERROR(vendor(lock, text, store, output));
  context.out(cat(items_of_lock(lock, "").size(), " files in ", output, "; build with --lock ",
                  join_path(output, "image.lock.json"), " --store ", output, "\n"));
  return 0;
}

constexpr Verb kVerbs[] = {
    {"lock", kLockUsage, "Resolves a declaration against signed archives into a lock file.",
     run_lock, kLockFlags, kLockSwitches, kLockRepeated},
    {"build", kBuildUsage, "Builds an OCI image from a lock, the same bytes every time.", run_build,
     kBuildFlags, kBuildSwitches, kBuildRepeated},
    {"verify", kVerifyUsage, "Rebuilds an image and compares every digest, or checks a signature.",
     run_verify, kVerifyFlags, kBuildSwitches, kBuildRepeated},
    {"diff",
     kDiffUsage,
     "Names the first difference between two images.",
     run_diff,
     kDiffFlags,
     {}},
    {"vendor",
     kVendorUsage,
     "Exports every package and wheel of a lock as a store.",
     run_vendor,
     kVendorFlags,
     {}},
};

}  // namespace

std::span<const Verb> build_verbs() { return kVerbs; }

}  // namespace tenon::image
