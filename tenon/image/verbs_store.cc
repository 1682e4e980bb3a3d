// tenon image store, explain.
#include <algorithm>

#include "tenon/image/build/explain.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

constexpr uint64_t kLockLimit = uint64_t{256} << 20;

constexpr std::string_view kStoreUsage =
    "store list|verify|prune [--keep LOCK]... [--all] [--store DIR]";
constexpr std::string_view kStoreFlags[] = {"keep", "store"};
constexpr std::string_view kStoreRepeated[] = {"keep"};
constexpr std::string_view kStoreSwitches[] = {"all"};

// "libc6 2.36-9 amd64" for a package, else what it begins like.
std::string what_is(const Store& store, const Store::Blob& blob) {
  const auto deb = DebFile::open(store.path_of(blob.sha256), blob.sha256);
  if (!deb.ok()) return "(metadata or wheel)";
  const Stanza& control = (*deb)->control();
  return cat(control.get("Package"), " ", control.get("Version"), " ", control.get("Architecture"));
}

StatusOr<int> list_store(const Store& store, const CommandContext& context) {
  TENON_ASSIGN_OR_RETURN(const auto blobs, store.blobs());
  uint64_t total = 0;
  for (const Store::Blob& blob : blobs) {
    total += blob.size;
    context.out(cat(blob.sha256, " ", decimal_bytes(blob.size), " ", what_is(store, blob), "\n"));
  }
  context.out(cat(blobs.size(), " files, ", decimal_bytes(total), " in ", store.folder(), "\n"));
  return 0;
}

StatusOr<int> verify_store(const Store& store, const CommandContext& context) {
  TENON_ASSIGN_OR_RETURN(const auto blobs, store.blobs());
  size_t changed = 0;
  for (const Store::Blob& blob : blobs) {
    const auto path = store.verified_path(blob.sha256);
    if (path.ok()) continue;
    ++changed;
    context.out(cat(message_of(path.status()), "\n"));
  }
  context.out(
      cat(blobs.size() - changed, " of ", blobs.size(), " files are what they are called\n"));
  return changed == 0 ? 0 : 1;
}

StatusOr<int> prune_store(const Store& store, const Arguments& arguments,
                          const CommandContext& context) {
  const auto locks = arguments.all("keep");
  if (locks.empty() && !arguments.has("all")) {
    return usage_error("prune needs --keep LOCK for each lock that shall still build, or --all");
  }
  std::set<std::string> keep;
  for (const std::string& path : locks) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, kLockLimit));
    TENON_RETURN_IF_ERROR(parse_lock(text, path).status());
    keep.merge(digests_in(text));
  }
  TENON_ASSIGN_OR_RETURN(const Store::Pruned pruned, store.prune(keep));
  context.out(cat(pruned.files, " files removed, ", decimal_bytes(pruned.bytes), "\n"));
  return 0;
}

StatusOr<int> run_store(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(1, 1, kStoreUsage);
  if (!words.ok()) return usage_error(message_of(words));
  TENON_ASSIGN_OR_RETURN(const Store store,
                         Store::open(arguments.get("store", Store::default_folder())));
  if (!is_directory(join_path(store.folder(), "sha256"))) {
    return not_found("there is no store in ", store.folder());
  }
  const std::string& what = arguments.positional()[0];
  if (what == "list") return list_store(store, context);
  if (what == "verify") return verify_store(store, context);
  if (what == "prune") return prune_store(store, arguments, context);
  return usage_error(cat("'", what, "' is none of list, verify, prune"));
}

constexpr std::string_view kExplainUsage = "explain IMAGE [PATH] [--lock LOCK] [--platform P]";
constexpr std::string_view kExplainFlags[] = {"lock", "platform"};

std::string origin_lines(const FileOrigin& origin) {
  std::string out = cat(origin.path, ": ", origin.kind, "\n");
  out += cat("  layer ", origin.layer, " ", origin.digest, origin.comment.empty() ? "" : ", ",
             origin.comment, "\n");
  out += cat("  package ", origin.package.empty() ? "none" : origin.package, "\n");
  if (!origin.declared.empty()) out += cat("  declaration ", origin.declared, "\n");
  return out;
}

StatusOr<int> run_explain(const Arguments& arguments, const CommandContext& context) {
  const Status words = arguments.expect_positional(1, 2, kExplainUsage);
  if (!words.ok()) return usage_error(message_of(words));
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(arguments.positional()[0]));
  Platform platform;
  const bool chosen = arguments.has("platform");
  if (chosen) {
    TENON_ASSIGN_OR_RETURN(platform, parse_platform(arguments.get("platform")));
  }
  TENON_ASSIGN_OR_RETURN(const Image image, find_image(*reader, chosen ? &platform : nullptr));
  if (arguments.positional().size() == 1) {
    TENON_ASSIGN_OR_RETURN(const auto sizes, sizes_by_owner(*reader, image));
    for (const OwnerSize& size : sizes) {
      context.out(cat(size.owner, " ", decimal_bytes(size.compressed), " compressed, ",
                      decimal_bytes(size.bytes), "\n"));
    }
    return 0;
  }
  Lock lock;
  if (arguments.has("lock")) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(arguments.get("lock"), kLockLimit));
    TENON_ASSIGN_OR_RETURN(lock, parse_lock(text, arguments.get("lock")));
  }
  TENON_ASSIGN_OR_RETURN(const FileOrigin origin,
                         explain_file(*reader, image, arguments.positional()[1],
                                      arguments.has("lock") ? &lock : nullptr));
  context.out(origin_lines(origin));
  return 0;
}

constexpr Verb kStoreVerbs[] = {
    {"store", kStoreUsage, "What the store holds, whether it is whole, and removing the rest.",
     run_store, kStoreFlags, kStoreSwitches, kStoreRepeated},
    {"explain",
     kExplainUsage,
     "Which layer, package and line of the declaration a file comes from; sizes by package.",
     run_explain,
     kExplainFlags,
     {}},
};

}  // namespace

std::span<const Verb> store_verbs() { return kStoreVerbs; }

}  // namespace tenon::image
