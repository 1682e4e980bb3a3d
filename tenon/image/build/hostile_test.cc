// Packages made to do harm, in a correctly signed archive: whoever signs may be careless or
// compromised.
#include <unistd.h>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/build/build.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {
namespace {

// Writes data.tar at argv[1] with the entries that argv[2], Python, adds to `t`.
constexpr const char* kMakeTar = R"(
import io, sys, tarfile
def entry(name, kind=tarfile.REGTYPE, link='', data=b''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o755
    t.addfile(info, io.BytesIO(data))
with tarfile.open(sys.argv[1], 'w', format=tarfile.GNU_FORMAT) as t:
    exec(sys.argv[2])
)";

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto archive = TestArchive::create();
    ASSERT_TRUE(archive.ok()) << archive.status();
    archive_.emplace(*std::move(archive));
    folder_.emplace(*TemporaryDirectory::create());
    const Status base =
        archive_->add({"base-files", "12", "amd64", "", {{"etc/os-release", "ID=debian"}}});
    ASSERT_TRUE(base.ok()) << base;
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }

  // Locks and builds an image with a package whose data.tar is the file at `data`.
  Status build_with(const std::string& data) {
    TENON_RETURN_IF_ERROR(
        archive_->add_with_data({"evil", cat("1.", ++version_), "amd64", "", {}}, data));
    TENON_RETURN_IF_ERROR(archive_->publish());
    TENON_RETURN_IF_ERROR(create_directories(path("out")));
    TENON_ASSIGN_OR_RETURN(
        const Declaration declaration,
        parse_declaration(cat("name: x\nversion: 1.2.3\nbase: debian:test\n",
                              archive_->declaration_lines(), "packages: [base-files, evil]\n"),
                          "x.yaml", folder_->path()));
    TENON_ASSIGN_OR_RETURN(const Store store, Store::open(path("store")));
    LockOptions options;
    options.archive.now = 1783764997;
    TENON_ASSIGN_OR_RETURN(const Lock lock, make_lock(declaration, store, options));
    TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(path("out/a.tar")));
    TENON_ASSIGN_OR_RETURN(const BuildResult result,
                           build_image(declaration, lock, store, {}, *blobs));
    return write_output(*blobs, result.output, path("out/a.tar"));
  }
  Status build_with_entries(const std::string& python) {
    TENON_RETURN_IF_ERROR(run_tool({"python3", "-c", kMakeTar, path("data.tar"), python}).status());
    return build_with(path("data.tar"));
  }
  void expect_nothing_left() {
    EXPECT_EQ(*list_directory(path("out")), std::vector<std::string>());
  }

  int version_ = 0;
  std::optional<TestArchive> archive_;
  std::optional<TemporaryDirectory> folder_;
};

TEST_F(HostileTest, AnHonestDataTarBuilds) {
  const Status status = build_with_entries("entry('./usr/share/x', data=b'content')");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(path_exists(path("out/a.tar")));
}

struct Attack {
  const char* name;
  const char* entries;  // Python, for kMakeTar
  const char* says;
};

class HostileEntryTest : public HostileTest, public ::testing::WithParamInterface<Attack> {};

TEST_P(HostileEntryTest, IsOneErrorAndLeavesNothing) {
  const Status status = build_with_entries(GetParam().entries);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(message_of(status).find("evil"), std::string_view::npos) << status;
  EXPECT_NE(message_of(status).find(GetParam().says), std::string_view::npos) << status;
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(
    Attacks, HostileEntryTest,
    ::testing::Values(
        Attack{"DotDot", "entry('./../../etc/cron.d/x', data=b'x')", "'..'"},
        Attack{"Absolute", "entry('/etc/cron.d/x', data=b'x')", "absolute"},
        Attack{"HardLinkOut", "entry('./x', tarfile.LNKTYPE, '../../etc/shadow')", ".."},
        Attack{"AbsoluteHardLink", "entry('./x', tarfile.LNKTYPE, '/etc/shadow')", "shadow"},
        Attack{"ThroughAnAbsoluteLink",
               "entry('./opt', tarfile.DIRTYPE); entry('./opt/way', tarfile.SYMTYPE, '/etc'); "
               "entry('./opt/way/passwd', data=b'root::0:0::/:/bin/sh')",
               "opt/way"},
        Attack{"ThroughADotDotLink",
               "entry('./way', tarfile.SYMTYPE, '../../..'); entry('./way/x', data=b'x')", "way"},
        Attack{"CharacterDevice", "entry('./dev/mem', tarfile.CHRTYPE)", "device"},
        Attack{"BlockDevice", "entry('./dev/sda', tarfile.BLKTYPE)", "device"},
        Attack{"Fifo", "entry('./run/x', tarfile.FIFOTYPE)", "fifo"},
        Attack{"Whiteout", "entry('./etc/.wh.os-release')", ".wh."}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(HostileTest, TenGigabytesOfHolesAreRefusedInEveryFormOfGnuTar) {
  const std::string tree = path("tree");
  ASSERT_TRUE(create_directories(tree).ok());
  ASSERT_TRUE(write_file(join_path(tree, "hole"), "x").ok());
  ASSERT_EQ(::truncate(join_path(tree, "hole").c_str(), off_t{10} << 30), 0);
  for (const char* format :
       {"--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0"}) {
    std::vector<std::string> command = {"tar", "--sparse", "-C", tree, "-cf", path("data.tar")};
    for (std::string_view word : split(format, ' ')) command.emplace_back(word);
    command.emplace_back("./hole");
    ASSERT_TRUE(run_tool(command).ok()) << format;
    const Status status = build_with(path("data.tar"));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << format << status;
    EXPECT_NE(message_of(status).find("sparse"), std::string_view::npos) << format << status;
    expect_nothing_left();
  }
}

}  // namespace
}  // namespace tenon::image
