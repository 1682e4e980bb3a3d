#include <array>

#include "tenon/image/debian/archive.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/debian/version.h"
#include "tenon/image/net.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {
namespace {

TEST(DebianVersion, OrderIsDpkgs) {
  constexpr std::array kVersions = {"1.0~rc1",
                                    "1.0",
                                    "1.0-1",
                                    "1.0-1~deb12u1",
                                    "1.0-1~deb12u9",
                                    "1.0-1~deb12u10",
                                    "1:0.9",
                                    "2.0",
                                    "1.0+dfsg",
                                    "1.0a",
                                    "0",
                                    "00",
                                    "1.0-0",
                                    "1.0.0",
                                    "1.0~~",
                                    "1.0~",
                                    "1.0~a",
                                    "3.0.19-1~deb12u2",
                                    "3.0.22-1~deb12u2",
                                    "2:1.2.13.dfsg-1",
                                    "0~20220623.0-1",
                                    "1.0-1+b3",
                                    "10.0",
                                    "9.99999999999999999999"};
  for (const std::string_view a : kVersions) {
    for (const std::string_view b : kVersions) {
      if (a > b) continue;
      const char* op = compare_debian_versions(a, b) < 0   ? "lt"
                       : compare_debian_versions(a, b) > 0 ? "gt"
                                                           : "eq";
      const auto dpkg =
          run_process({"dpkg", "--compare-versions", std::string(a), op, std::string(b)});
      ASSERT_TRUE(dpkg.ok());
      EXPECT_EQ(dpkg->exit_code, 0) << a << " " << op << " " << b;
      EXPECT_EQ(compare_debian_versions(a, b), -compare_debian_versions(b, a));
    }
  }
}

TEST(DebianVersion, RefusesWhatDpkgRefuses) {
  for (const char* bad : {"1.0-", "", "a:1", ":1", "x1.0", "1.0 2", "1.0_1"}) {
    EXPECT_FALSE(check_debian_version(bad).ok()) << bad;
  }
  EXPECT_TRUE(check_debian_version("1:2.0~rc1+dfsg-3~deb12u1").ok());
}

TEST(Control, DependenciesKeepAlternativesAndDropOtherArchitectures) {
  const auto groups = parse_dependencies(
      "libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, x [arm64], y [!arm64], z:any, w <!nocheck>",
      "amd64");
  ASSERT_TRUE(groups.ok());
  ASSERT_EQ(groups->size(), 4U);
  EXPECT_EQ(to_string((*groups)[0]), "libc6 (>= 2.34)");
  EXPECT_EQ(to_string((*groups)[1]), "debconf (>= 0.5) | debconf-2.0");
  EXPECT_EQ(to_string((*groups)[2]), "y");
  EXPECT_EQ(to_string((*groups)[3]), "z");
}

TEST(Changelog, CvesAboveTheOldVersionAreClosed) {
  constexpr std::string_view kText =
      "openssl (3.0.22-1) bookworm-security; urgency=medium\n\n"
      "  * CVE-2026-0002 and CVE-2026-0001, CVE-26-1\n\n -- X\n\n"
      "openssl (3.0.20-1) bookworm; urgency=medium\n\n  * CVE-2025-9999\n\n -- X\n";
  EXPECT_EQ(cves_in_changelog(kText, "3.0.20-1"),
            (std::vector<std::string>{"CVE-2026-0001", "CVE-2026-0002"}));
  EXPECT_EQ(cves_in_changelog(kText, "").size(), 3U);
}

TEST(ArchiveDate, IsSecondsSince1970) {
  EXPECT_EQ(*parse_archive_date("Sat, 11 Jul 2026 10:16:37 UTC"), 1783764997);  // date -d
  EXPECT_EQ(*parse_archive_date("Thu, 01 Jan 1970 00:00:00 UTC"), 0);
  EXPECT_FALSE(parse_archive_date("yesterday").ok());
}

// An index from stanzas without files.
PackageIndex package_index_of(std::string_view stanzas) {
  PackageIndex index("amd64");
  StringSource source(stanzas);
  const Status status = for_each_stanza(source, "test", [&](const Stanza& stanza) -> Status {
    TENON_ASSIGN_OR_RETURN(Package package, package_of_stanza(stanza));
    index.add(std::move(package));
    return {};
  });
  EXPECT_TRUE(status.ok()) << status;
  index.seal();
  return index;
}

StatusOr<std::string> resolved(std::string_view stanzas, std::vector<std::string> packages,
                               std::vector<std::string> waived = {}) {
  const PackageIndex index = package_index_of(stanzas);
  TENON_ASSIGN_OR_RETURN(const auto chosen,
                         resolve(index, {std::move(packages), std::move(waived), {}}));
  std::vector<std::string> names;
  for (const Package* package : chosen) names.push_back(cat(package->name, "=", package->version));
  return join(names, " ");
}

std::string stanza(std::string_view name, std::string_view version, std::string_view more = {}) {
  return cat("Package: ", name, "\nVersion: ", version, "\nArchitecture: amd64\n", more, "\n");
}

TEST(Resolve, TakesTheNewestThatSatisfies) {
  const std::string archive = stanza("a", "1", "Depends: b (<< 3)\n") + stanza("b", "2") +
                              stanza("b", "10") + stanza("b", "2.5");
  EXPECT_EQ(*resolved(archive, {"a"}), "a=1 b=2.5");
  EXPECT_EQ(*resolved(archive, {"b"}), "b=10");
  EXPECT_EQ(*resolved(archive, {"b=2"}), "b=2");
}

TEST(Resolve, PrefersWhatIsThereThenOrderThenPriorityOfProviders) {
  const std::string archive = stanza("a", "1", "Depends: x | y\n") + stanza("x", "1") +
                              stanza("y", "1") + stanza("m", "1", "Depends: mta\n") +
                              stanza("exim", "1", "Provides: mta\nPriority: extra\n") +
                              stanza("postfix", "1", "Provides: mta\nPriority: important\n");
  EXPECT_EQ(*resolved(archive, {"a"}), "a=1 x=1");
  EXPECT_EQ(*resolved(archive, {"a", "y"}), "a=1 y=1");
  EXPECT_EQ(*resolved(archive, {"m"}), "m=1 postfix=1");
  EXPECT_EQ(*resolved(archive, {"m", "exim"}), "exim=1 m=1");
}

TEST(Resolve, UnversionedProvidesDoNotSatisfyAVersion) {
  const std::string archive = stanza("a", "1", "Depends: v (>= 2)\n") +
                              stanza("p", "1", "Provides: v\n") +
                              stanza("q", "1", "Provides: v (= 3)\n");
  EXPECT_EQ(*resolved(archive, {"a"}), "a=1 q=1");
}

TEST(Resolve, GivesUpAChoiceThatConflicts) {
  const std::string archive = stanza("a", "1", "Depends: x | y\n") +
                              stanza("x", "1", "Conflicts: z\n") + stanza("y", "1") +
                              stanza("z", "1");
  EXPECT_EQ(*resolved(archive, {"a", "z"}), "a=1 y=1 z=1");
  EXPECT_EQ(resolved(archive, {"x", "z"}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Resolve, NamesWhatIsMissingAndWhoAsked) {
  const std::string archive = stanza("a", "1", "Depends: b\n") +
                              stanza("b", "1", "Pre-Depends: c (>= 2)\n") + stanza("c", "1");
  const Status status = resolved(archive, {"a"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(message_of(status),
            "no package satisfies 'c (>= 2)', needed by b <- a <- the declaration; there is c 1 "
            "(amd64)");
  EXPECT_EQ(*resolved(archive, {"a"}, {"c"}), "a=1 b=1");
}

class ArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto archive = TestArchive::create();
    ASSERT_TRUE(archive.ok()) << archive.status();
    archive_.emplace(*std::move(archive));
    auto folder = TemporaryDirectory::create();
    store_folder_.emplace(*std::move(folder));
    store_.emplace(*Store::open(store_folder_->path()));
  }
  StatusOr<std::vector<FetchedArchive>> load(const ArchiveSource& source, int64_t now = 0) {
    PackageIndex index("amd64");
    return load_archives({source}, *store_, {now, false, false}, index);
  }
  std::optional<TestArchive> archive_;
  std::optional<TemporaryDirectory> store_folder_;
  std::optional<Store> store_;
};

TEST_F(ArchiveTest, SignedMetadataIsReadAndItsPackagesFound) {
  ASSERT_TRUE(archive_->add({"a", "1.0", "amd64", "", {{"usr/share/a", "x"}}}).ok());
  ASSERT_TRUE(archive_->publish().ok());
  PackageIndex index("amd64");
  const auto loaded = load_archives({archive_->source()}, *store_, {0, false, false}, index);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  index.seal();
  ASSERT_EQ(index.versions("a").size(), 1U);
}

TEST_F(ArchiveTest, ExpiredMetadataIsRefused) {
  ASSERT_TRUE(archive_->publish("Sat, 01 Jan 2000 00:00:00 UTC").ok());
  const Status status = load(archive_->source(), 1783764997).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(message_of(status).find("expired"), std::string_view::npos);
}

TEST_F(ArchiveTest, ChangedOrUnknownSignaturesAreRefused) {
  ASSERT_TRUE(archive_->publish().ok());
  const std::string path = join_path(archive_->folder(), "dists/test/InRelease");
  std::string text = *read_file(path);
  text.replace(text.find("Origin: Test"), 12, "Origin: Evil");
  ASSERT_TRUE(write_file(path, text).ok());
  EXPECT_EQ(load(archive_->source()).status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(archive_->publish().ok());
  ArchiveSource other = archive_->source();
  other.keyrings = {"/usr/share/keyrings/debian-archive-keyring.gpg"};
  if (path_exists(other.keyrings[0])) {
    EXPECT_EQ(load(other).status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST_F(ArchiveTest, AnIndexIsTakenByItsDigestAndRefusedWhenNoneIsTheReleases) {
  ASSERT_TRUE(archive_->publish().ok());
  // A mirror in the middle of an update: the name leads to another release's index.
  const std::string folder = join_path(archive_->folder(), "dists/test/main/binary-amd64");
  ASSERT_TRUE(write_file(join_path(folder, "Packages.xz"), "other bytes").ok());
  EXPECT_TRUE(load(archive_->source()).ok());
  ASSERT_TRUE(remove_tree(join_path(folder, "by-hash")).ok());
  store_.emplace(*Store::open(join_path(store_folder_->path(), "empty")));
  EXPECT_EQ(load(archive_->source()).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ArchiveTest, AptsSourcesAreReadInBothForms) {
  const auto root = TemporaryDirectory::create();
  ASSERT_TRUE(create_directories(join_path(root->path(), "etc/apt/sources.list.d")).ok());
  ASSERT_TRUE(write_file(join_path(root->path(), "etc/apt/sources.list"),
                         "# comment\ndeb [signed-by=/k.gpg] http://a.example/debian/ test main "
                         "contrib\ndeb-src http://a.example/debian test main\n"
                         "deb [signed-by=/k.gpg] http://a.example/debian other main\n")
                  .ok());
  ASSERT_TRUE(write_file(join_path(root->path(), "etc/apt/sources.list.d/x.sources"),
                         "Types: deb\nURIs: http://b.example/s\nSuites: test-security\n"
                         "Components: main\nSigned-By: /k2.gpg\n")
                  .ok());
  const auto sources = machine_sources(root->path(), "test");
  ASSERT_TRUE(sources.ok()) << sources.status();
  ASSERT_EQ(sources->size(), 2U);
  EXPECT_EQ((*sources)[0].uri, "http://a.example/debian");
  EXPECT_EQ((*sources)[0].components, (std::vector<std::string>{"main", "contrib"}));
  EXPECT_EQ((*sources)[1].suite, "test-security");
  EXPECT_EQ(machine_sources(root->path(), "nosuch").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ArchiveTest, DebFilesAreReadAndDamagedOnesRefused) {
  ASSERT_TRUE(archive_->add({"a", "1.0", "amd64", "", {{"usr/share/a", "content"}}}).ok());
  const std::string path = join_path(archive_->folder(), "pool/a_1.0_amd64.deb");
  const auto deb = DebFile::open(path, "a");
  ASSERT_TRUE(deb.ok()) << deb.status();
  EXPECT_EQ((*deb)->control().get("Package"), "a");
  std::vector<std::string> paths;
  ASSERT_TRUE((*deb)
                  ->for_each_entry([&](const TarEntry& entry, TarReader&) -> Status {
                    paths.push_back(entry.path);
                    return {};
                  })
                  .ok());
  EXPECT_EQ(paths, (std::vector<std::string>{"", "usr", "usr/share", "usr/share/a"}));
  const std::string bytes = *read_file(path);
  const std::string cut = join_path(archive_->folder(), "cut.deb");
  for (size_t size = 0; size < bytes.size(); size += bytes.size() / 20) {
    ASSERT_TRUE(write_file(cut, std::string_view(bytes).substr(0, size)).ok());
    const auto truncated = DebFile::open(cut, "cut");
    if (!truncated.ok()) continue;
    EXPECT_FALSE(
        (*truncated)->for_each_entry([](const TarEntry&, TarReader&) { return Status(); }).ok());
  }
}

}  // namespace
}  // namespace tenon::image
