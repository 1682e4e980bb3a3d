#include "tenon/image/build/build.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "tenon/image/build/compare.h"
#include "tenon/image/build/explain.h"
#include "tenon/image/build/installed.h"
#include "tenon/image/build/ld_cache.h"
#include "tenon/image/net.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

constexpr const char* kApp = "packages: [app]\n";

TEST_F(BuildTest, DebianToolsReadWhatIsBuilt) {
  const auto result = make(kApp, "image.tar");
  ASSERT_TRUE(result.ok()) << result.status();
  // GNU tar and dpkg-query are the other readers.
  const std::string work = path("work"), root = path("root");
  ASSERT_TRUE(create_directories(work).ok());
  ASSERT_TRUE(create_directories(root).ok());
  ASSERT_TRUE(run_tool({"tar", "-C", work, "-xf", path("image.tar")}).ok());
  const std::string layer = join_path(
      work, cat("blobs/sha256/", result->images[0].layers[0].descriptor.digest.substr(7)));
  ASSERT_TRUE(run_tool({"tar", "-C", root, "-xzf", layer}).ok());
  EXPECT_EQ(*run_tool({"dpkg-query", cat("--root=", root), "-W", "-f", "${Package} ${Version}\n"}),
            "app 2.0-1\nbase-files 12\nlibfoo 1.0-1\n");
  EXPECT_EQ(*read_file(join_path(root, "bin/tool")), "#!/bin/false");
  EXPECT_EQ(*read_file(join_path(root, "usr/lib/x86_64-linux-gnu/libfoo.txt")), "foo");
  EXPECT_TRUE(read_file(join_path(root, "etc/os-release"))->starts_with("ID=debian"));
  const auto sums = run_tool({"sha256sum", layer});
  EXPECT_EQ(sums->substr(0, 64), result->images[0].layers[0].descriptor.digest.substr(7));
}

TEST_F(BuildTest, DigestsDoNotDependOnSurroundings) {
  const auto declaration = declare(kApp);
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  BuildOptions options;
  options.inputs.threads = 3;
  const auto first = build(*declaration, *locked, path("a.tar"), options);
  ASSERT_TRUE(first.ok()) << first.status();
  const mode_t old_mask = ::umask(077);
  ::setenv("TZ", "Asia/Tokyo", 1);
  ::setenv("LC_ALL", "C", 1);
  ::tzset();
  options.inputs.threads = 1;
  const auto second = build(*declaration, *locked, path("other/place/b.tar"), options);
  ::umask(old_mask);
  ::unsetenv("TZ");
  ::unsetenv("LC_ALL");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->top.digest, second->top.digest);
  EXPECT_EQ(*read_file(path("a.tar")), *read_file(path("other/place/b.tar")));
}

TEST_F(BuildTest, AnUpdateOfOneLayerLeavesTheOthersDigests) {
  const std::string with_files = cat(kApp,
                                     "layers:\n  - name: tenon\n    files:\n"
                                     "      - {path: /opt/x, content: one}\n");
  const auto before = make(with_files, "a");
  ASSERT_TRUE(before.ok()) << before.status();
  std::string changed = with_files;
  changed.replace(changed.find("one"), 3, "two");
  const auto after = make(changed, "b");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(before->images[0].layers[0].descriptor.digest,
            after->images[0].layers[0].descriptor.digest);
  EXPECT_NE(before->images[0].layers[1].descriptor.digest,
            after->images[0].layers[1].descriptor.digest);
  // And the other way round: a newer package changes the base alone.
  add({"libfoo",
       "1.0-2",
       "amd64",
       "Depends: base-files\n",
       {{"lib/x86_64-linux-gnu/libfoo.txt", "new"}}});
  publish();
  const auto updated = make(with_files, "c");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_NE(before->images[0].layers[0].descriptor.digest,
            updated->images[0].layers[0].descriptor.digest);
  EXPECT_EQ(before->images[0].layers[1].descriptor.digest,
            updated->images[0].layers[1].descriptor.digest);
}

TEST_F(BuildTest, ALockRebuildsAfterTheArchiveHasMovedOn) {
  const auto declaration = declare(kApp);
  const auto locked = lock(*declaration);
  const auto first = build(*declaration, *locked, path("a"));
  ASSERT_TRUE(first.ok()) << first.status();
  const auto reread = parse_lock(write_lock(*locked), "lock");
  ASSERT_TRUE(reread.ok()) << reread.status();
  ASSERT_TRUE(vendor_lock(*reread, *store_, path("vendored")).ok());
  ASSERT_TRUE(remove_tree(join_path(archive_->folder(), "pool")).ok());
  ASSERT_TRUE(remove_tree(store_->folder()).ok());
  store_.emplace(*Store::open(path("vendored")));
  const auto second = build(*declaration, *reread, path("b"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->top.digest, second->top.digest);
}

TEST_F(BuildTest, ChangedAndTruncatedPackagesAreRefusedAndLeaveNothing) {
  const auto declaration = declare(kApp);
  const std::string deb = join_path(archive_->folder(), "pool/app_2.0-1_amd64.deb");
  const std::string bytes = *read_file(deb);
  ASSERT_TRUE(write_file(deb, bytes.substr(0, bytes.size() / 2)).ok());
  EXPECT_EQ(lock(*declaration).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(write_file(deb, bytes).ok());
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  const std::string stored = store_->path_of(locked->platforms[0].packages[0].sha256);
  ASSERT_TRUE(write_file(stored, "changed").ok());
  EXPECT_EQ(build(*declaration, *locked, path("out.tar")).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_FALSE(path_exists(path("out.tar")));
  EXPECT_EQ(*list_directory(folder_->path()), (std::vector<std::string>{"store"}));
}

TEST_F(BuildTest, FilesOfTwoPackagesAreRefusedUnlessOneReplacesTheOther) {
  add({"rival", "1", "amd64", "", {{"usr/bin/app", "rival"}}});
  add({"heir", "1", "amd64", "Replaces: app\n", {{"usr/bin/app", "heir"}}});
  publish();
  const Status status = make("packages: [app, rival]\n", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(message_of(status).find("package app and package rival"), std::string_view::npos)
      << status;
  ASSERT_TRUE(make("packages: [app, heir]\n", "b").ok());
  EXPECT_EQ(text_of(**files_of("b"), "usr/bin/app"), "heir");
}

TEST_F(BuildTest, APathThroughALinkOfAnotherPackageIsRefused) {
  add({"linker", "1", "amd64", "", {{"opt/way", "-> /etc"}}});
  add({"writer", "1", "amd64", "", {{"opt/way/passwd", "evil"}}});
  publish();
  const Status status = make("packages: [linker, writer]\n", "a").status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(message_of(status).find("opt/way"), std::string_view::npos) << status;
}

TEST_F(BuildTest, SettingsAccountsAndStatusAreInTheImage) {
  const auto result =
      make(cat(kApp,
               "user: \"65532:65532\"\nentrypoint: [/usr/bin/app]\nports: [8500/tcp]\n"
               "environment: {A: b, NVIDIA_REQUIRE_CUDA: \"cuda>=13.0\"}\nlabels: {l: v}\n"
               "health: {test: [CMD, /usr/bin/app]}\ntags: [\"{version}\", \"{version.minor}\", "
               "latest]\n"),
           "a");
  ASSERT_TRUE(result.ok()) << result.status();
  // One name, so that `skopeo inspect oci-archive:FILE` knows which is meant.
  EXPECT_EQ(result->tags, (std::vector<std::string>{"tenon:1.2.3"}));
  EXPECT_EQ(result->moving_tags, (std::vector<std::string>{"tenon:1.2", "tenon:latest"}));
  const auto elsewhere = make("repository: r.example/team\ntags: [\"{version}\"]\n", "elsewhere");
  ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
  EXPECT_EQ(elsewhere->tags, (std::vector<std::string>{"r.example/team:1.2.3"}));
  const auto reader = ImageReader::open(path("a"));
  EXPECT_EQ((*reader)->index().manifests.size(), 1U);
  const auto image = find_image(**reader, nullptr, "tenon:1.2.3");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->config.user, "65532:65532");
  EXPECT_EQ(image->config.environment.at("NVIDIA_REQUIRE_CUDA"), "cuda>=13.0");
  EXPECT_EQ(image->config.ports, (std::vector<std::string>{"8500/tcp"}));
  const auto tree = files_of("a");
  EXPECT_NE(text_of(**tree, "etc/passwd").find("nonroot:x:65532:65532"), std::string::npos);
  EXPECT_NE(text_of(**tree, "var/lib/dpkg/status.d/app").find("Version: 2.0-1"), std::string::npos);
  EXPECT_EQ((*tree)->find("tmp")->mode, 01777U);
  EXPECT_EQ(os_release(**tree)->at("VERSION_ID"), "12");
  EXPECT_EQ(installed_packages(**tree)->size(), 3U);
}

TEST_F(BuildTest, FilesAreCopiedFromAnotherImage) {
  ASSERT_TRUE(make(kApp, "stage").ok());
  BuildOptions options;
  options.copies = {{path("stage"), "/usr/bin", "/opt/tools"}};
  ASSERT_TRUE(make("packages: [base-files]\n", "a", options).ok());
  EXPECT_EQ(text_of(**files_of("a"), "opt/tools/app"), "app");
  options.copies = {{path("stage"), "/nosuch", "/x"}};
  EXPECT_EQ(make(kApp, "b", options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(BuildTest, AnOciLayoutIsABaseWhosePackagesAreKept) {
  ASSERT_TRUE(make("packages: [libfoo]\n", "stage").ok());
  const auto declaration = parse_declaration(
      cat("name: top\nversion: 1.0.0\nbase: oci:stage\n", archive_->declaration_lines(), kApp),
      "top.yaml", folder_->path());
  ASSERT_TRUE(declaration.ok()) << declaration.status();
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  ASSERT_EQ(locked->platforms[0].packages.size(), 1U);
  EXPECT_EQ(locked->platforms[0].packages[0].name, "app");
  const auto result = build(*declaration, *locked, path("top"));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->images[0].layers.size(), 2U);
  const auto tree = files_of("top");
  EXPECT_EQ(installed_packages(**tree)->size(), 3U);
  EXPECT_EQ(text_of(**tree, "usr/bin/app"), "app");
}

TEST_F(BuildTest, OnABaseImageTheMachinesSourcesOfItsCodenameAreTakenAndCertificatesBundled) {
  add({"codename", "1", "amd64", "", {{"usr/lib/os-release", "ID=x\nVERSION_CODENAME=test\n"}}});
  add({"certificates",
       "1",
       "all",
       "",
       {{"usr/share/ca-certificates/a.crt", "one\n"},
        {"usr/share/ca-certificates/b.crt", "two\n"}}});
  publish();
  ASSERT_TRUE(make("packages: [codename]\n", "stage").ok());
  const std::string apt = path("machine/etc/apt");
  ASSERT_TRUE(create_directories(apt).ok());
  ASSERT_TRUE(write_file(join_path(apt, "sources.list"), cat("deb [signed-by=", archive_->keyring(),
                                                             "] ", archive_->uri(), " test main\n"))
                  .ok());
  LockOptions options;
  options.archive.now = 1783764997;
  options.apt_root = path("machine");
  ASSERT_TRUE(run_tool({"mkdir", "-p", cat(path("machine"), archive_->folder())}).ok());
  ASSERT_TRUE(
      run_tool({"cp", archive_->keyring(), cat(path("machine"), archive_->keyring())}).ok());
  const auto declaration =
      parse_declaration("name: top\nversion: 1.0.0\nbase: oci:stage\npackages: [certificates]\n",
                        "top.yaml", folder_->path());
  const auto locked = make_lock(*declaration, *store_, options);
  ASSERT_TRUE(locked.ok()) << locked.status();
  ASSERT_TRUE(build(*declaration, *locked, path("top")).ok());
  EXPECT_EQ(text_of(**files_of("top"), "etc/ssl/certs/ca-certificates.crt"), "one\ntwo\n");
}

TEST_F(BuildTest, WheelsPinnedByHashAreInstalled) {
  const std::string wheel = path("demo-1.0-py3-none-any.whl");
  ASSERT_TRUE(run_tool({"python3", "-c",
                        "import sys, zipfile\n"
                        "z = zipfile.ZipFile(sys.argv[1], 'w')\n"
                        "z.writestr('demo/__init__.py', 'def main(): print(42)')\n"
                        "z.writestr('demo-1.0.dist-info/METADATA', 'Name: demo')\n"
                        "z.writestr('demo-1.0.dist-info/entry_points.txt', "
                        "'[console_scripts]\\ndemo = demo:main\\n')\n"
                        "z.writestr('demo-1.0.data/scripts/tool', '#!python\\n')\n"
                        "z.writestr('demo-1.0.data/data/share/demo, x', 'x')\n"
                        "z.writestr('demo/tests/big.py', '')\n"
                        "z.writestr('demo/tests/kept.py', '')\n"
                        "z.writestr('demo-1.0.dist-info/RECORD', 'demo/__init__.py,sha256=abc,22\\n"
                        "demo/tests/big.py,sha256=def,0\\n\"demo-1.0.data/data/share/demo, x\","
                        "sha256=ghi,1\\ndemo-1.0.dist-info/RECORD,,\\n')\n"
                        "z.close()",
                        wheel})
                  .ok());
  const std::string lines =
      cat("exclude: [\"**/tests/**\", \"!**/tests/kept.py\"]\nlayers:\n  - name: python\n    "
          "wheels:\n      - {name: "
          "demo, version: \"1.0\", url: ",
          wheel, ", sha256: ", *sha256_of_file(wheel), "}\n");
  const auto result = make(lines, "a");
  ASSERT_TRUE(result.ok()) << result.status();
  const auto tree = files_of("a");
  const std::string root = path("site");
  ASSERT_TRUE(create_directories(join_path(root, "demo")).ok());
  ASSERT_TRUE(write_file(join_path(root, "demo/__init__.py"),
                         text_of(**tree, "usr/lib/python3/dist-packages/demo/__init__.py"))
                  .ok());
  ASSERT_TRUE(write_file(path("run_demo.py"), text_of(**tree, "usr/bin/demo")).ok());
  const auto out = run_tool({"env", cat("PYTHONPATH=", root), "python3", path("run_demo.py")});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, "42\n");
  EXPECT_EQ((*tree)->find("usr/lib/python3/dist-packages/demo/tests/big.py"), nullptr);
  EXPECT_EQ(text_of(**tree, "usr/bin/tool"), "#!/usr/bin/python3\n");
  // By Python's csv, hashlib and base64: what was written has its own digest, the rest the wheel's.
  ASSERT_TRUE(write_file(path("RECORD"), text_of(**tree,
                                                 "usr/lib/python3/dist-packages/"
                                                 "demo-1.0.dist-info/RECORD"))
                  .ok());
  const auto record =
      run_tool({"python3", "-c",
                "import base64, csv, hashlib, sys\n"
                "rows = {r[0]: r[1:] for r in csv.reader(open(sys.argv[1]))}\n"
                "tool = hashlib.sha256(b'#!/usr/bin/python3\\n').digest()\n"
                "tool = base64.urlsafe_b64encode(tool).rstrip(b'=').decode()\n"
                "assert rows['../../../bin/tool'] == ['sha256=' + tool, '19'], rows\n"
                "assert rows['demo/__init__.py'] == ['sha256=abc', '22'], rows\n"
                "assert rows['../../../share/demo, x'] == ['sha256=ghi', '1'], rows\n"
                "assert rows['demo-1.0.dist-info/METADATA'] == rows['demo-1.0.dist-info/RECORD'] "
                "== ['', '']\n"
                "print(*sorted(rows), sep='\\n')",
                path("RECORD")});
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(*record,
            "../../../bin/demo\n../../../bin/tool\n../../../share/demo, x\n"
            "demo-1.0.dist-info/INSTALLER\ndemo-1.0.dist-info/METADATA\n"
            "demo-1.0.dist-info/RECORD\ndemo-1.0.dist-info/entry_points.txt\ndemo/__init__.py\n"
            "demo/tests/kept.py\n");
  const auto reader = ImageReader::open(path("a"));
  const auto image = find_image(**reader, nullptr);
  const auto declaration = declare(lines);
  const auto locked = lock(*declaration);
  const auto origin = explain_file(**reader, *image, "/usr/bin/demo", &*locked);
  ASSERT_TRUE(origin.ok()) << origin.status();
  EXPECT_EQ(origin->package, "wheel demo 1.0");
  EXPECT_NE(origin->declared.find("the wheel demo"), std::string::npos) << origin->declared;
  std::string wrong = lines;
  wrong.replace(wrong.find("sha256: ") + 8, 4, "0000");
  EXPECT_EQ(make(wrong, "b").status().code(), absl::StatusCode::kDataLoss);
}

// The header of an ELF program and nothing else.
std::string elf_header(int machine) {
  std::string header("\177ELF\2\1\1", 7);
  header.resize(64, '\0');
  header[16] = 2;
  header[18] = static_cast<char>(machine);
  return header;
}

TEST_F(BuildTest, SeveralPlatformsAreOneIndexEachWithItsOwnProgram) {
  add({"base-files", "12", "arm64", "", {{"etc/os-release", "ID=debian"}}});
  add({"base-files", "12", "armhf", "", {{"etc/os-release", "ID=debian"}}});
  publish();
  const std::string lines =
      "packages: [base-files]\nplatforms: [linux/amd64, linux/arm64, linux/arm/v7]\n"
      "layers:\n  - name: tenon\n    files: [{path: /usr/bin/tenon, source: \"@tenon\"}]\n";
  // e_machine of x86-64, AArch64 and ARM: System V ABI, supplements.
  const std::map<std::string, int> machines = {
      {"linux/amd64", 62}, {"linux/arm64", 183}, {"linux/arm/v7", 40}};
  BuildOptions options;
  for (const auto& [platform, machine] : machines) {
    std::string& program = options.inputs.programs.by_platform[platform];
    program = path(cat("program-", machine));
    ASSERT_TRUE(write_file(program, elf_header(machine)).ok());
  }
  const auto result = make(lines, "a", options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->images.size(), 3U);
  const auto reader = ImageReader::open(path("a"));
  EXPECT_EQ(all_images(**reader)->size(), 3U);
  for (const auto& [name, machine] : machines) {
    const Platform platform = *parse_platform(name);
    const auto image = find_image(**reader, &platform);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->config.platform, platform);
    const auto tree = read_file_system(**reader, *image,
                                       [](const std::string&, const TreeNode&) { return true; });
    EXPECT_EQ(text_of(**tree, "usr/bin/tenon"), elf_header(machine));
    EXPECT_NE(text_of(**tree, "var/lib/dpkg/status")
                  .find(cat("Architecture: ", *debian_architecture(platform), "\n")),
              std::string::npos);
  }

  options.inputs.programs.by_platform.erase("linux/arm64");
  options.inputs.programs.path = path("program-62");
  const Status status = make(lines, "b", options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(message_of(status).find("--tenon linux/arm64=PATH"), std::string_view::npos) << status;
  EXPECT_FALSE(path_exists(path("b")));
}

TEST_F(BuildTest, ADifferenceIsNamedByItsFirstFile) {
  ASSERT_TRUE(make(cat(kApp, "files: [{path: /opt/x, content: one}]\n"), "a").ok());
  ASSERT_TRUE(make(cat(kApp, "files: [{path: /opt/x, content: two}]\n"), "b").ok());
  const auto a = ImageReader::open(path("a")), b = ImageReader::open(path("b"));
  const auto difference =
      first_difference(**a, *find_image(**a, nullptr), **b, *find_image(**b, nullptr));
  ASSERT_TRUE(difference.ok()) << difference.status();
  EXPECT_TRUE(difference->starts_with("/opt/x has content of sha256")) << *difference;
  EXPECT_EQ(*first_difference(**a, *find_image(**a, nullptr), **a, *find_image(**a, nullptr)), "");
}

TEST_F(BuildTest, AFullDiskLeavesTheOldOutput) {
  ASSERT_TRUE(make(kApp, "a.tar").ok());
  const std::string before = *read_file(path("a.tar"));
  // A limit on file sizes stands for the full disk: writing past it fails.
  const auto declaration = declare(kApp);
  const auto locked = lock(*declaration);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{512, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Status status = build(*declaration, *locked, path("a.tar")).status();
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(*list_directory(folder_->path()), (std::vector<std::string>{"a.tar", "store"}));
  EXPECT_EQ(*read_file(path("a.tar")), before);
}

TEST_F(BuildTest, TheLoaderCacheHoldsWhatLdconfigFinds) {
  // Real libraries of this machine as a package.
  const char* kFolder = "usr/lib/x86_64-linux-gnu";
  TestPackage package{"libs", "1", "amd64", "", {}};
  for (const char* name : {"libz.so.1", "liblzma.so.5", "libstdc++.so.6"}) {
    char* real = ::realpath(cat("/", kFolder, "/", name).c_str(), nullptr);
    ASSERT_NE(real, nullptr) << name;
    const std::string target = real;
    ::free(real);
    const std::string base = target.substr(target.rfind('/') + 1);
    package.files[cat(kFolder, "/", base)] = *read_file(target);
    package.files[cat(kFolder, "/", name)] = cat("-> ", base);
  }
  package.files[cat(kFolder, "/libz.so")] = "-> libz.so.1";
  package.files["etc/ld.so.conf.d/x86_64-linux-gnu.conf"] =
      "/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n";
  add(package);
  publish();
  const auto result = make("packages: [libs, base-files]\n", "a");
  ASSERT_TRUE(result.ok()) << result.status();
  const std::string root = path("root");
  ASSERT_TRUE(create_directories(root).ok());
  ASSERT_TRUE(
      run_tool({"tar", "-C", root, "-xzf",
                join_path(path("a"), cat("blobs/sha256/",
                                         result->images[0].layers[0].descriptor.digest.substr(7)))})
          .ok());
  const auto ours = run_tool({"/sbin/ldconfig", "-p", "-C", join_path(root, "etc/ld.so.cache")});
  ASSERT_TRUE(ours.ok()) << ours.status();
  const auto made = run_tool({"/sbin/ldconfig", "-X", "-r", root, "-C", "/etc/theirs"});
  if (!made.ok()) GTEST_SKIP() << "ldconfig -r needs root: " << made.status();
  const auto theirs = run_tool({"/sbin/ldconfig", "-p", "-C", join_path(root, "etc/theirs")});
  ASSERT_TRUE(theirs.ok());
  const auto libraries = [](const std::string& text) {
    std::set<std::string> lines;
    for (std::string_view line : split(text, '\n')) {
      if (line.starts_with('\t')) lines.insert(std::string(line));
    }
    return lines;
  };
  EXPECT_EQ(libraries(*ours), libraries(*theirs));
  EXPECT_EQ(libraries(*ours).size(), 4U);
}

TEST_F(BuildTest, AProgramWithoutItsLibraryIsNamed) {
  BuildOptions options;
  options.inputs.allow_outside = true;
  const Status status =
      make(cat("packages: [base-files]\nlayers:\n  - name: tenon\n    files:\n"
               "      - {path: /usr/bin/prog, source: /proc/self/exe, mode: \"0755\"}\n"),
           "a", options)
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(message_of(status).find("/usr/bin/prog links lib"), std::string_view::npos) << status;
}

}  // namespace
}  // namespace tenon::image
