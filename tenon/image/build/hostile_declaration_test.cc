// Declarations made to do harm, or made in error: each is refused in one sentence, and nothing is
// left behind.
#include <sys/stat.h>
#include <unistd.h>

#include "tenon/image/archive/tar.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

struct BadDeclaration {
  const char* name;
  const char* lines;    // after "name: x"
  const char* message;  // part of the error
};

constexpr BadDeclaration kBadDeclarations[] = {
    {"anchor", "user: &u a\n", "anchors, aliases and tags"},
    {"alias", "user: *u\n", "anchors, aliases and tags"},
    {"tag on a scalar", "user: !!str a\n", "anchors, aliases and tags"},
    {"tag on a list", "packages: !!seq [a]\n", "anchors, aliases and tags"},
    {"tag on a mapping", "environment: !!map {A: b}\n", "anchors, aliases and tags"},
    {"local tag on a list", "packages: !x [a]\n", "anchors, aliases and tags"},
    {"anchor on a mapping", "labels: &a {A: b}\n", "anchors, aliases and tags"},
    {"merge key", "labels: {<<: {A: b}, <<: {C: d}}\n", "stands twice"},
    {"key twice", "user: a\nuser: b\n", "stands twice"},
    {"second document", "---\nname: y\n", "second document"},
    {"unknown key", "usr: a\n", "unknown key 'usr'"},
    {"key that is a list", "? [a]\n: b\n", "key that is no scalar"},
    {"list for a text", "user: [a]\n", "user is not a text"},
    {"text for a list", "packages: a\n", "packages is not a list"},
    {"mapping in a list of texts", "packages: [{a: b}]\n", "packages is not a text"},
    {"port 0", "ports: [0/tcp]\n", "port '0/tcp'"},
    {"port past 65535", "ports: [65536/tcp]\n", "port '65536/tcp'"},
    {"port of many digits", "ports: [99999999999999999999]\n", "port '99999999999999999999'"},
    {"negative port", "ports: [-1]\n", "port '-1'"},
    {"port with a sign", "ports: [+80]\n", "port '+80'"},
    {"port by name", "ports: [http]\n", "port 'http'"},
    {"protocol", "ports: [80/icmp]\n", "port '80/icmp'"},
    {"port twice", "ports: [80/tcp, 80/tcp]\n", "stands twice"},
    {"empty port", "ports: [\"\"]\n", "port ''"},
    {"path twice", "files: [{path: /a, content: b}, {path: /./a, content: c}]\n", "stands twice"},
    {"relative path", "files: [{path: a, content: b}]\n", "not absolute"},
    {"path that climbs", "files: [{path: /a/../../b, content: b}]\n", ".."},
    {"the root", "files: [{path: /, directory: true}]\n", "is '/'"},
    {"control character in a path", "files: [{path: \"/a\\x01\", content: b}]\n", "control"},
    {"NUL in a path", "files: [{path: \"/a\\0b\", content: b}]\n", "NUL"},
    {"two contents", "files: [{path: /a, content: b, link: c}]\n", "exactly one"},
    {"no content", "files: [{path: /a}]\n", "exactly one"},
    {"mode", "files: [{path: /a, content: b, mode: \"0999\"}]\n", "not octal"},
    {"mode past 07777", "files: [{path: /a, content: b, mode: \"77777\"}]\n", "not octal"},
    {"owner", "files: [{path: /a, content: b, owner: root}]\n", "not UID:GID"},
    {"owner past 31 bits", "files: [{path: /a, content: b, owner: 4294967296}]\n", "not UID:GID"},
    {"nothing to strip", "files: [{path: /a, content: b, strip: true}]\n", "no source to strip"},
    {"layers of one name", "layers: [{name: a}, {name: a}]\n", "two layers"},
    {"layer named base", "layers: [{name: base}]\n", "two layers"},
    {"layer named model", "layers: [{name: model}]\n", "--model"},
    {"layer without a name", "layers: [{packages: [a]}]\n", "needs a name"},
    {"wheel without a digest", "layers: [{name: a, wheels: [{name: w, version: 1, url: u}]}]\n",
     "not pinned"},
    {"wheel from nowhere", "layers: [{name: a, wheels: [{name: w, version: 1}]}]\n",
     "one of url and file"},
    {"wheel from two places",
     "layers: [{name: a, wheels: [{name: w, version: 1, url: u, file: w-1-py3-none-any.whl}]}]\n",
     "one of url and file"},
    {"wheel with an option of pip",
     "layers: [{name: a, wheels: [{name: \"w\\n--pre\", version: 1, url: u}]}]\n",
     "no name and version"},
    {"wheel in another folder",
     "layers: [{name: a, wheels: [{name: w, version: 1, file: ../w-1-py3-none-any.whl}]}]\n",
     "is not called"},
    {"source as a wheel",
     "layers: [{name: a, wheels: [{name: w, version: 1, file: w-1.tar.gz}]}]\n", "is not called"},
    {"repository", "repository: A b\n", "A b"},
    {"byte_compile on an image", "base: oci:x\nbyte_compile: true\n", "byte_compile needs a base"},
    {"base", "base: fedora:40\n", "none of debian:CODENAME"},
    {"empty base", "base: \"debian:\"\n", "names nothing"},
    {"codename that climbs", "base: debian:../../x\n", "names nothing"},
    {"pruning an image's files", "base: oci:x\nprune_libraries: true\n", "prune_libraries"},
    {"ICU's data of an image", "base: oci:x\nicu_data: [a]\n", "icu_data needs a base"},
    {"nothing of ICU's data", "icu_data: []\n", "icu_data names nothing"},
    {"neither true nor false", "tenon_libraries: yes\n", "neither true nor false"},
    {"platform", "platforms: [windows/amd64]\n", "windows/amd64"},
    {"platform twice", "platforms: [linux/amd64, linux/amd64]\n", "stands twice"},
    {"compression", "compression: xz\n", "neither gzip nor zstd"},
    {"tag", "tags: [\"a b\"]\n", "is no tag"},
    {"tag with a slash", "tags: [a/b]\n", "is no tag"},
    {"tag that begins with a dot", "tags: [.a]\n", "is no tag"},
    {"tag from the version", "version: 1.0+x\ntags: [\"{version}\"]\n", "is no tag"},
    {"working_directory", "working_directory: a\n", "not absolute"},
    {"volume", "volumes: [a]\n", "not absolute"},
    {"variable", "environment: {\"A=B\": c}\n", "environment variable"},
    {"newline in a variable's name", "environment: {\"A\\nB\": c}\n", "environment variable"},
    {"user with a space", "user: \"a b\"\n", "user 'a b'"},
    {"signal", "stop_signal: KILL9\n", "stop_signal"},
    {"signal number", "stop_signal: 65\n", "stop_signal"},
    {"health without a test", "health: {interval: 3}\n", "health needs a test"},
    {"health's kind", "health: {test: [/bin/x]}\n", "CMD"},
    {"health's time", "health: {test: [CMD, /x], timeout: 9223372036854775807}\n", "86400"},
    {"health's negative time", "health: {test: [CMD, /x], interval: -1}\n", "86400"},
    {"archive without keyring", "archive: [{uri: x, suites: [a], components: [b]}]\n", "keyring"},
};

TEST(HostileDeclarations, EachIsRefusedAndSaysWhy) {
  EXPECT_GE(std::size(kBadDeclarations), 40U);
  for (const BadDeclaration& bad : kBadDeclarations) {
    const auto declaration = parse_declaration(cat("name: x\n", bad.lines), "x.yaml", ".");
    ASSERT_FALSE(declaration.ok()) << bad.name;
    const Status status = declaration.status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.name;
    EXPECT_NE(message_of(status).find(bad.message), std::string_view::npos)
        << bad.name << ": " << status;
    EXPECT_TRUE(message_of(status).starts_with("x.yaml line ")) << bad.name << ": " << status;
  }
}

TEST(HostileDeclarations, SizeAndDepthAreBounded) {
  for (const std::string& text :
       {std::string(100'000, '['), std::string(100'000, '{'), cat("a: ", std::string(30, '[')),
        cat("name: x\ntags: [\"", std::string(100'000, 'a'), "\"]\n"),
        cat("name: x\nversion: ", std::string(100'000, '1'), "\n"), std::string("\0\0", 2),
        std::string("\xff\xfe\x00", 3), std::string("name: \x80\n"), std::string()}) {
    EXPECT_FALSE(parse_declaration(text, "x", ".").ok());
  }
  std::string many = "name: x\npackages:\n";
  for (int i = 0; i < 100'001; ++i) many += "- a\n";
  EXPECT_FALSE(parse_declaration(many, "x", ".").ok());
}

// What only the build sees: host files, and what is in the image.
class HostileBuildTest : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    ASSERT_TRUE(create_directories(path("beside/sub")).ok());
    ASSERT_TRUE(write_file(path("beside/file"), "x").ok());
    ASSERT_EQ(::symlink("/etc/passwd", path("beside/link").c_str()), 0);
    ASSERT_EQ(::symlink("/etc", path("beside/folder").c_str()), 0);
    ASSERT_TRUE(create_directories(path("pipes")).ok());
    ASSERT_EQ(::mkfifo(path("pipes/fifo").c_str(), 0600), 0);
  }
  // Builds in the folder "beside".
  Status try_build(const std::string& lines, const BuildOptions& options = {}) {
    TENON_ASSIGN_OR_RETURN(
        const Declaration declaration,
        parse_declaration(cat("name: x\nversion: 1.2.3\nbase: debian:test\n", lines), "x.yaml",
                          path("beside")));
    TENON_ASSIGN_OR_RETURN(const Lock locked, lock(declaration));
    return build(declaration, locked, path("out/image"), options).status();
  }
};

constexpr BadDeclaration kBadBuilds[] = {
    {"source above", "files: [{path: /a, source: ../pipes}]\n", "outside"},
    {"absolute source", "files: [{path: /a, source: /etc/passwd}]\n", "outside"},
    {"source by a link", "files: [{path: /a, source: link}]\n", "outside"},
    {"source by a folder's link", "files: [{path: /a, source: folder/passwd}]\n", "outside"},
    {"source that climbs inside", "files: [{path: /a, source: sub/../../pipes}]\n", "outside"},
    {"source that is not there", "files: [{path: /a, source: nothing}]\n", "nothing"},
    {"sdk that climbs", "files: [{path: /a, source: \"@tenon-sdk/../file\"}]\n", "--sdk"},
    {"plug-ins without a folder", "files: [{path: /a, source: \"@tenon-plugins/cuda.so\"}]\n",
     "--plugins"},
    {"whiteout", "files: [{path: /usr/.wh.lib, content: x}]\n", ".wh."},
    {"opaque whiteout", "files: [{path: /usr/.wh..wh..opq, content: x}]\n", ".wh."},
    {"file in the place of a folder", "files: [{path: /tmp, content: x}]\n", "would hide"},
    {"path through a file", "files: [{path: /a, content: x}, {path: /a/b, content: x}]\n",
     "which is no folder"},
    {"path through a link", "files: [{path: /a, link: /etc}, {path: /a/passwd, content: x}]\n",
     "which is no folder"},
    {"user that is not there", "user: mallory\n", "has no 'mallory'"},
    {"group that is not there", "user: \"0:mallory\"\n", "has no 'mallory'"},
    {"uid past 32 bits", "user: \"4294967296\"\n", "is no id"},
    {"entry point that is not there", "entrypoint: [/usr/bin/nothing]\n", "no executable file"},
    {"entry point without permission", "files: [{path: /a, content: x}]\nentrypoint: [/a]\n",
     "no executable file"},
    {"entry point in circles", "files: [{path: /a, link: /a}]\nentrypoint: [/a]\n",
     "no executable file"},
    {"entry point that is a folder", "entrypoint: [/usr]\n", "no executable file"},
    {"entry point outside PATH", "entrypoint: [nothing]\n", "no executable file"},
    {"command that is not there", "command: [/nothing]\n", "no executable file"},
    {"health check that is not there", "health: {test: [CMD, /nothing]}\n", "health check"},
};

TEST_F(HostileBuildTest, EachIsRefusedAndLeavesNothing) {
  for (const BadDeclaration& bad : kBadBuilds) {
    const Status status = try_build(bad.lines);
    ASSERT_FALSE(status.ok()) << bad.name;
    EXPECT_NE(message_of(status).find(bad.message), std::string_view::npos)
        << bad.name << ": " << status;
    EXPECT_FALSE(path_exists(path("out")) && !list_directory(path("out"))->empty()) << bad.name;
  }
  BuildOptions options;
  options.inputs.allow_outside = true;
  const Status pipe = try_build("files: [{path: /a, source: ../pipes}]\n", options);
  EXPECT_NE(message_of(pipe).find("neither file, folder nor link"), std::string_view::npos) << pipe;
  EXPECT_TRUE(try_build("files: [{path: /a, source: link}]\n", options).ok());
}

TEST_F(HostileBuildTest, NamesThatEnginesCannotLoadAreRefused) {
  for (const char* name : {"Tenon", "a//b", "a/", "/a", "a b", "a..b", "-a", "a_", "a___b",
                           "host:99999/a", "\xc3\xa9", "a:b"}) {
    BuildOptions options;
    options.repository = name;
    EXPECT_FALSE(try_build("", options).ok()) << name;
  }
  for (const char* tag : {"", "a b", ".a", "-a", "a/b", "a:", ":a", "A:b", "a:b:c d"}) {
    BuildOptions options;
    options.tags = {tag};
    EXPECT_FALSE(try_build("", options).ok()) << tag;
  }
  for (const char* name : {"tenon", "localhost/a", "ghcr.io:443/a-b/c.d__e", "a--b"}) {
    BuildOptions options;
    options.repository = name;
    const Status status = try_build("", options);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_F(HostileBuildTest, DevicesOfAnotherImageAreNotCopied) {
  ASSERT_TRUE(try_build("files: [{path: /a/b, content: x}]\n").ok());
  // A layer with a device, as only root could make one from files.
  const auto blobs = BlobFolder::create(path("stage"));
  std::string diff_id;
  const auto layer = add_layer(
      **blobs, Compression::kGzip, 1,
      [](ByteSink& sink) -> Status {
        TarWriter writer(sink);
        TENON_RETURN_IF_ERROR(writer.add({"dev", EntryType::kDirectory, 0755, 0, 0, 0, 0, ""}));
        TENON_RETURN_IF_ERROR(
            writer.add({"dev/mem", EntryType::kCharacterDevice, 0666, 0, 0, 0, 0, ""}));
        return writer.finish();
      },
      diff_id);
  ASSERT_TRUE(layer.ok()) << layer.status();
  ImageConfig config;
  config.platform = {"linux", "amd64", ""};
  config.diff_ids = {diff_id};
  Manifest manifest;
  manifest.config = *(*blobs)->add_text(kConfigType, write_config(config));
  manifest.layers = {*layer};
  OutputIndex output;
  output.index.manifests = {*(*blobs)->add_text(kManifestType, write_manifest(manifest))};
  ASSERT_TRUE(write_output(**blobs, output, path("stage")).ok());
  BuildOptions options;
  options.copies = {{path("stage"), "/dev", "/dev"}};
  const Status status = try_build("", options);
  EXPECT_NE(message_of(status).find("device or fifo"), std::string_view::npos) << status;
}

}  // namespace
}  // namespace tenon::image
