// Any bytes as what registries, token servers, feeds and files of others say to `tenon image`; the
// first byte chooses which.

#include "tenon/image/ledger.h"
#include "tenon/image/lock.h"
#include "tenon/image/net.h"
#include "tenon/image/registry/challenge.h"
#include "tenon/image/registry/credentials.h"
#include "tenon/image/trust/cvss.h"
#include "tenon/image/trust/provenance.h"
#include "tenon/image/trust/scan.h"
#include "tenon/image/trust/sign.h"
#include "tests/fuzz/temporary_file.h"

namespace {

namespace image = tenon::image;

void osv(std::string_view text) {
  image::ScanSubject subject;
  subject.distribution_id = "debian";
  subject.distribution_version = "12";
  subject.codename = "bookworm";
  image::Package package;
  package.name = package.source = "vuln";
  package.version = package.source_version = "1.0-1";
  subject.packages.push_back(package);
  subject.wheels.push_back({"wheel", "1.0"});
  image::ScanReport report;
  const std::string path = tenon::temporary_file(text, ".json");
  (void)image::scan_osv(path, subject, report).ok();
  (void)image::scan_tracker(path, subject, report).ok();
  image::merge_findings(report);
  (void)image::report_table(report, "image");
  (void)image::report_json(report, "image");
  (void)image::report_sarif(report, "image", "1");
}

void ledger(std::string_view text) {
  const auto parsed = image::parse_ledger(text, "input");
  if (parsed.ok()) (void)image::current_tags(*parsed);
}

void lock(std::string_view text) {
  const auto parsed = image::parse_lock(text, "input");
  if (!parsed.ok()) return;
  // What is written is read again, as the same.
  const std::string written = image::write_lock(*parsed);
  const auto again = image::parse_lock(written, "output");
  if (!again.ok() || image::write_lock(*again) != written) __builtin_trap();
  (void)image::items_of_lock(*parsed, ".");
}

void credentials(std::string_view text) {
  for (const char* name : {"r.example/team/app:1", "debian"}) {
    (void)image::credentials_in(text, "input", *image::parse_reference(name), false).ok();
  }
}

void reference(std::string_view text) {
  const auto tag = image::parse_tag_name(text);
  // A tag's one name is a fixed point.
  if (tag.ok() && to_string(*image::parse_tag_name(to_string(*tag))) != to_string(*tag)) {
    __builtin_trap();
  }
  (void)image::parse_reference(text).ok();
}

void url(std::string_view text) {
  const auto base = image::parse_url("https://r.example/v2/r/");
  const auto named = image::parse_url(image::resolve_location(*base, text));
  if (!named.ok()) return;
  const bool may = image::check_named_url(*base, *named, true).ok();
  if (may && (named->scheme != "https" || image::is_loopback(named->host))) __builtin_trap();
}

void score(std::string_view text) {
  const auto number = image::cvss_score(text);
  if (number.ok() && !(*number >= 0 && *number <= 10)) __builtin_trap();
}

void statement(std::string_view text) {
  image::Image of;
  of.descriptor.digest = "sha256:" + std::string(64, '0');
  (void)image::check_statement(text, of, image::Inventory()).ok();
}

constexpr void (*kReaders[])(std::string_view) = {
    osv,
    ledger,
    lock,
    credentials,
    [](std::string_view text) { (void)image::parse_challenges(text); },
    [](std::string_view text) { (void)image::parse_token_answer(text, "input").ok(); },
    reference,
    url,
    score,
    statement,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  kReaders[data[0] % std::size(kReaders)]({reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
