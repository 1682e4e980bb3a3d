// tenon image tags, lint, sbom, sign, scan.
#include <set>

#include "tenon/image/build/installed.h"
#include "tenon/image/debian/archive.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/ledger.h"
#include "tenon/image/lock.h"
#include "tenon/image/registry/reference.h"
#include "tenon/image/trust/lint.h"
#include "tenon/image/trust/provenance.h"
#include "tenon/image/trust/sbom.h"
#include "tenon/image/trust/scan.h"
#include "tenon/image/trust/sign.h"
#include "tenon/image/verbs.h"

namespace tenon::image {
namespace {

constexpr std::string_view kSupportFolder = "/usr/share/debian-security-support";
constexpr int64_t kDay = 86400, kMostDays = 36500;

Status need_words(const Arguments& arguments, size_t least, size_t most, std::string_view usage) {
  const Status status = arguments.expect_positional(least, most, usage);
  return status.ok() ? status : usage_error(message_of(status));
}

struct OpenImage {
  std::unique_ptr<ImageReader> reader;
  Image image;
};

StatusOr<OpenImage> open_image(const std::string& path, const Arguments& arguments) {
  OpenImage result;
  TENON_ASSIGN_OR_RETURN(result.reader, ImageReader::open(path));
  Platform platform;
  const bool chosen = arguments.has("platform");
  if (chosen) {
    TENON_ASSIGN_OR_RETURN(platform, parse_platform(arguments.get("platform")));
  }
  TENON_ASSIGN_OR_RETURN(result.image, find_image(*result.reader, chosen ? &platform : nullptr));
  return result;
}

// To --output, or to stdout.
Status emit(const Arguments& arguments, const CommandContext& context, const std::string& text) {
  if (arguments.get("output", "-") == "-") {
    context.out(text);
    return {};
  }
  return write_file(arguments.get("output"), text);
}

constexpr std::string_view kTagsUsage =
    "tags LEDGER [--add TAG --digest DIGEST] [--head SHA256] [--history]";
constexpr std::string_view kTagsFlags[] = {"add", "digest", "head"};
constexpr std::string_view kTagsSwitches[] = {"history"};

StatusOr<int> run_tags(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need_words(arguments, 1, 1, kTagsUsage));
  const std::string path = arguments.positional()[0], head = arguments.get("head");
  if (arguments.has("add") != arguments.has("digest")) {
    return usage_error(cat("--add and --digest go together; usage: ", kTagsUsage));
  }
  if (arguments.has("add")) {
    TENON_ASSIGN_OR_RETURN(const int64_t fixed, source_date_epoch());
    TENON_RETURN_IF_ERROR(append_to_ledger(path, arguments.get("add"), arguments.get("digest"),
                                           fixed >= 0 ? fixed : current_time(), head));
  }
  TENON_ASSIGN_OR_RETURN(const Ledger ledger, read_ledger(path));
  if (arguments.has("head") && !arguments.has("add")) {
    TENON_RETURN_IF_ERROR(check_head(ledger, head, path));
  }
  const auto entries = arguments.has("history") ? ledger.entries : current_tags(ledger);
  for (const LedgerEntry& entry : entries) {
    context.out(cat(rfc3339(entry.time), " ", entry.tag, " ", entry.digest, "\n"));
  }
  context.out(cat("head ", ledger.entries.size(), " sha256:", ledger.head(), "\n"));
  return 0;
}

constexpr std::string_view kLintUsage =
    "lint IMAGE [--allow_shell] [--platform P] | lint --deployment FILE [--deployment FILE]...";
constexpr std::string_view kLintFlags[] = {"deployment", "platform"};
constexpr std::string_view kLintRepeated[] = {"deployment"};
constexpr std::string_view kLintSwitches[] = {"allow_shell"};

StatusOr<int> run_lint(const Arguments& arguments, const CommandContext& context) {
  std::vector<LintFinding> findings;
  const size_t images = arguments.has("deployment") ? 0 : 1;
  TENON_RETURN_IF_ERROR(need_words(arguments, images, images, kLintUsage));
  for (const std::string& path : arguments.all("deployment")) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, 16 << 20));
    TENON_ASSIGN_OR_RETURN(const auto found, lint_deployment(text, path));
    findings.insert(findings.end(), found.begin(), found.end());
  }
  if (images == 1) {
    TENON_ASSIGN_OR_RETURN(const OpenImage open, open_image(arguments.positional()[0], arguments));
    TENON_ASSIGN_OR_RETURN(const auto more,
                           lint_image(*open.reader, open.image, !arguments.has("allow_shell")));
    findings.insert(findings.end(), more.begin(), more.end());
  }
  for (const LintFinding& finding : findings) {
    context.out(cat(finding.rule, ": ", finding.message, "\n"));
  }
  if (findings.empty()) context.out("no findings\n");
  return std::any_of(findings.begin(), findings.end(), breaks_rule) ? 1 : 0;
}

constexpr std::string_view kSbomUsage =
    "sbom IMAGE [--lock LOCK] [--format spdx|cyclonedx] [--output FILE] [--attach] [--platform P]";
constexpr std::string_view kSbomFlags[] = {"format", "lock", "output", "platform"};
constexpr std::string_view kSbomSwitches[] = {"attach"};

StatusOr<int> run_sbom(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need_words(arguments, 1, 1, kSbomUsage));
  const std::string path = arguments.positional()[0], format = arguments.get("format", "spdx");
  if (format != "spdx" && format != "cyclonedx") {
    return usage_error(cat("format '", format, "' is neither spdx nor cyclonedx"));
  }
  TENON_ASSIGN_OR_RETURN(const OpenImage open, open_image(path, arguments));
  Lock lock;
  if (arguments.has("lock")) {
    TENON_ASSIGN_OR_RETURN(const std::string text,
                           read_file(arguments.get("lock"), uint64_t{256} << 20));
    TENON_ASSIGN_OR_RETURN(lock, parse_lock(text, arguments.get("lock")));
  }
  TENON_ASSIGN_OR_RETURN(
      const Inventory inventory,
      take_inventory(*open.reader, open.image, arguments.has("lock") ? &lock : nullptr));
  const std::string spdx = write_spdx(inventory, context.program_version);
  const std::string cyclonedx = write_cyclonedx(inventory, context.program_version);
  if (arguments.has("attach")) {
    TENON_RETURN_IF_ERROR(
        attach(path, open.image,
               {{"application/spdx+json", spdx}, {"application/vnd.cyclonedx+json", cyclonedx}}));
    context.out(cat("attached SPDX 2.3 and CycloneDX 1.5 to ", open.image.descriptor.digest, "\n"));
    return 0;
  }
  TENON_RETURN_IF_ERROR(emit(arguments, context, format == "spdx" ? spdx : cyclonedx));
  return 0;
}

constexpr std::string_view kSignUsage =
    "sign IMAGE --key PRIVATE.pem [--lock LOCK] [--identity HOST/REPOSITORY] | "
    "sign --new_key PRIVATE.pem (and PRIVATE.pem.pub) [--key_type ed25519|ecdsa-p256]";
constexpr std::string_view kSignFlags[] = {"key", "lock", "new_key", "key_type", "identity"};

// The indexes of several platforms, for cosign; what `images` says of the builds stands with each.
StatusOr<int> sign_indexes(const ImageReader& reader, const std::vector<Image>& images,
                           const Arguments& arguments, const CommandContext& context) {
  std::set<std::string> done;
  for (const Descriptor& descriptor : reader.index().manifests) {
    if (!is_index_type(descriptor.media_type) || images.empty()) continue;
    if (!done.insert(descriptor.digest).second) continue;
    Image top;
    top.descriptor = descriptor;
    top.config.created = images[0].config.created;
    const auto name = descriptor.annotations.find(std::string(kRefName));
    const std::string identity =
        arguments.get("identity", name == descriptor.annotations.end() ? "image" : name->second);
    TENON_ASSIGN_OR_RETURN(const auto attachments,
                           make_cosign_signatures(top, identity, arguments.get("key")));
    TENON_RETURN_IF_ERROR(attach(reader.path(), top, attachments));
    context.out(cat("signed ", descriptor.digest, " (the index)\n"));
  }
  return 0;
}

StatusOr<int> run_sign(const Arguments& arguments, const CommandContext& context) {
  if (const std::string path = arguments.get("new_key"); !path.empty()) {
    if (arguments.has("key") || !arguments.positional().empty()) {
      return usage_error(cat("--new_key signs nothing; usage: ", kSignUsage));
    }
    const auto type = parse_key_type(arguments.get("key_type", "ed25519"));
    if (!type.ok()) return usage_error(message_of(type.status()));
    TENON_RETURN_IF_ERROR(generate_key(path, path + ".pub", *type));
    context.out(cat(path, " and ", path, ".pub\n"));
    return 0;
  }
  TENON_RETURN_IF_ERROR(need_words(arguments, 1, 1, kSignUsage));
  if (!arguments.has("key")) return usage_error(cat("--key is missing; usage: ", kSignUsage));
  if (arguments.has("identity")) {
    const auto identity = parse_reference(arguments.get("identity"));
    if (!identity.ok()) return usage_error(cat("--identity: ", message_of(identity.status())));
  }
  const std::string path = arguments.positional()[0];
  TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path));
  TENON_ASSIGN_OR_RETURN(const auto images, all_images(*reader));
  std::optional<Lock> lock;
  if (const std::string lock_path = arguments.get("lock"); !lock_path.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(lock_path, uint64_t{256} << 20));
    TENON_ASSIGN_OR_RETURN(lock, parse_lock(text, lock_path));
  }
  // Everything is checked before anything is signed.
  std::vector<std::string> statements;
  std::vector<std::string> identities;
  for (const Image& image : images) {
    TENON_RETURN_IF_ERROR(check_blobs(*reader, image));
    TENON_ASSIGN_OR_RETURN(const Inventory inventory, take_inventory(*reader, image));
    if (lock.has_value()) TENON_RETURN_IF_ERROR(check_lock(image, inventory, *lock));
    statements.push_back(
        provenance_statement(image, inventory, lock.has_value() ? &*lock : nullptr));
    const std::string name = inventory.image_name.empty() ? "image" : inventory.image_name;
    identities.push_back(arguments.get("identity", name));
  }
  for (size_t i = 0; i < images.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(
        const auto attachments,
        make_signatures(images[i], statements[i], identities[i], arguments.get("key")));
    TENON_RETURN_IF_ERROR(attach(path, images[i], attachments));
    context.out(cat("signed ", images[i].descriptor.digest, "\n"));
  }
  return sign_indexes(*reader, images, arguments, context);
}

constexpr std::string_view kScanUsage =
    "scan IMAGE [--severity unknown|low|medium|high|critical] [--tracker FILE] [--osv FILE|DIR] "
    "[--support DIR] [--ignore FILE] [--format table|json|sarif] [--output FILE] [--max_age DAYS] "
    "[--store DIR] [--update] [--no_archive] [--apt_root DIR]";
constexpr std::string_view kScanFlags[] = {"severity", "tracker",  "osv",     "support",
                                           "ignore",   "format",   "output",  "max_age",
                                           "store",    "apt_root", "platform"};
constexpr std::string_view kScanRepeated[] = {"tracker", "osv"};
constexpr std::string_view kScanSwitches[] = {"update", "no_archive"};

StatusOr<ScanSubject> subject_of(const OpenImage& open) {
  TENON_ASSIGN_OR_RETURN(const Inventory inventory, take_inventory(*open.reader, open.image));
  TENON_ASSIGN_OR_RETURN(
      const auto tree,
      read_file_system(*open.reader, open.image, [](const std::string& path, const TreeNode& node) {
        return is_package_metadata(path, node);
      }));
  TENON_ASSIGN_OR_RETURN(auto release, os_release(*tree));
  ScanSubject subject;
  subject.distribution_id = release["ID"];
  subject.distribution_version = release["VERSION_ID"];
  subject.codename = release["VERSION_CODENAME"];
  subject.packages = inventory.packages;
  for (const Inventory::Wheel& wheel : inventory.wheels) {
    subject.wheels.push_back({wheel.name, wheel.version});
  }
  if (subject.packages.empty() && subject.wheels.empty()) {
    return failed_precondition(
        "the image has no package metadata (var/lib/dpkg/status or "
        "status.d): it cannot be judged");
  }
  return subject;
}

// Evidence from signed archive metadata: what the store has, or fresh with --update.
Status scan_archives(const Arguments& arguments, const OpenImage& open, const ScanSubject& subject,
                     ScanReport& report) {
  TENON_ASSIGN_OR_RETURN(const Store store,
                         Store::open(arguments.get("store", Store::default_folder())));
  const bool update = arguments.has("update");
  TENON_ASSIGN_OR_RETURN(const auto sources,
                         machine_sources(arguments.get("apt_root", "/"), subject.codename));
  TENON_ASSIGN_OR_RETURN(const std::string architecture,
                         debian_architecture(open.image.config.platform));
  PackageIndex index(architecture);
  TENON_ASSIGN_OR_RETURN(const auto archives,
                         load_archives(sources, store, {current_time(), true, !update}, index));
  index.seal();
  const auto changelog = [&](const Package& package) -> StatusOr<std::string> {
    if (update) {
      TENON_RETURN_IF_ERROR(store.fetch(cat(package.archive, "/", package.filename), package.sha256,
                                        package.size, package.name));
    }
    const auto path = store.verified_path(package.sha256);
    if (!path.ok()) return std::string();
    TENON_ASSIGN_OR_RETURN(const auto deb, DebFile::open(*path, package.name));
    return changelog_of(*deb, package.name);
  };
  TENON_RETURN_IF_ERROR(scan_archive(index, subject, changelog, report));
  int64_t newest = 0;
  for (const FetchedArchive& archive : archives) {
    newest = std::max(newest, archive.release.date);
    if (archive.release.valid_until != 0 && archive.release.valid_until < current_time()) {
      report.too_old = true;
      report.notes.push_back(cat("the metadata of ", archive.source.suite,
                                 " has passed its Valid-Until; scan with --update"));
    }
  }
  report.evidence.push_back({"archive metadata", newest});
  return {};
}

Status gather_evidence(const Arguments& arguments, const OpenImage& open,
                       const ScanSubject& subject, ScanReport& report) {
  for (const std::string& path : arguments.all("tracker")) {
    TENON_RETURN_IF_ERROR(scan_tracker(path, subject, report));
  }
  for (const std::string& path : arguments.all("osv")) {
    TENON_RETURN_IF_ERROR(scan_osv(path, subject, report));
  }
  if (!arguments.has("no_archive")) {
    const Status status = scan_archives(arguments, open, subject, report);
    if (!status.ok() && arguments.has("update")) return status;
    if (!status.ok()) {
      report.notes.push_back(cat("no archive metadata was used: ", message_of(status)));
    }
  }
  // The support lists say nothing of single vulnerabilities: alone they are no evidence.
  const bool any = !report.evidence.empty();
  const std::string support = arguments.get("support", std::string(kSupportFolder));
  if (arguments.has("support") || is_directory(support)) {
    TENON_RETURN_IF_ERROR(scan_support(support, subject, report));
  }
  if (!any) {
    return failed_precondition(
        "there is no vulnerability data to scan with: pass --tracker or "
        "--osv, or --update to fetch signed archive metadata");
  }
  return {};
}

StatusOr<int> run_scan(const Arguments& arguments, const CommandContext& context) {
  TENON_RETURN_IF_ERROR(need_words(arguments, 1, 1, kScanUsage));
  const auto threshold = parse_severity(arguments.get("severity", "unknown"));
  if (!threshold.ok()) return usage_error(message_of(threshold.status()));
  const std::string format = arguments.get("format", "table");
  if (format != "table" && format != "json" && format != "sarif") {
    return usage_error(cat("format '", format, "' is not table, json or sarif"));
  }
  int64_t max_age = 7;
  if (arguments.has("max_age") &&
      (!parse_number(arguments.get("max_age"), max_age) || max_age < 0 || max_age > kMostDays)) {
    return usage_error("--max_age is a number of days");
  }
  TENON_ASSIGN_OR_RETURN(const OpenImage open, open_image(arguments.positional()[0], arguments));
  TENON_ASSIGN_OR_RETURN(const ScanSubject subject, subject_of(open));
  ScanReport report;
  const int64_t now = current_time();
  check_distribution(subject, now, report);
  TENON_RETURN_IF_ERROR(gather_evidence(arguments, open, subject, report));
  for (const Evidence& evidence : report.evidence) {
    if (evidence.date == 0 || now - evidence.date <= max_age * kDay) continue;
    report.too_old = true;
    report.notes.push_back(cat(evidence.name, " is ", (now - evidence.date) / kDay,
                               " days old, at most ", max_age, " are accepted (--max_age)"));
  }
  merge_findings(report);
  if (const std::string path = arguments.get("ignore"); !path.empty()) {
    TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, 16 << 20));
    TENON_RETURN_IF_ERROR(apply_ignores(text, path, now, report));
  }
  const std::string name = cat(arguments.positional()[0], " ", open.image.descriptor.digest);
  const std::string text = format == "json"    ? report_json(report, name)
                           : format == "sarif" ? report_sarif(report, name, context.program_version)
                                               : report_table(report, name);
  TENON_RETURN_IF_ERROR(emit(arguments, context, text));
  return scan_exit_code(report, *threshold);
}

constexpr Verb kTrustVerbs[] = {
    {"tags", kTagsUsage, "Shows or extends the ledger of what each tag has pointed to.", run_tags,
     kTagsFlags, kTagsSwitches},
    {"lint", kLintUsage, "Checks user, secrets, shell, setuid files and pins.", run_lint,
     kLintFlags, kLintSwitches, kLintRepeated},
    {"sbom", kSbomUsage, "Writes what is in an image as SPDX 2.3 or CycloneDX 1.5.", run_sbom,
     kSbomFlags, kSbomSwitches},
    {"sign",
     kSignUsage,
     "Signs an image and its provenance with a key, for verify and for cosign.",
     run_sign,
     kSignFlags,
     {}},
    {"scan", kScanUsage, "Lists known vulnerabilities from the evidence at hand.", run_scan,
     kScanFlags, kScanSwitches, kScanRepeated},
};

}  // namespace

std::span<const Verb> trust_verbs() { return kTrustVerbs; }

}  // namespace tenon::image
