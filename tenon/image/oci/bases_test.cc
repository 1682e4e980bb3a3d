// What an image can stand on: Ubuntu's packages, docker archives.
#include "tenon/image/build/installed.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

class BasesTest : public BuildTest {};

TEST_F(BasesTest, UbuntuIsABaseWithItsOwnArchive) {
  // Its base-files brings usrmerge's links itself.
  add({"base-files",
       "13",
       "amd64",
       "",
       {{"usr/lib/os-release", "ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=test\n"},
        {"etc/os-release", "-> ../usr/lib/os-release"},
        {"usr/bin/tool", "x"},
        {"bin", "-> usr/bin"},
        {"lib", "-> usr/lib"}}});
  publish();
  const auto declaration =
      parse_declaration(cat("name: test\nversion: 1.0.0\nbase: ubuntu:test\n",
                            archive_->declaration_lines(), "packages: [app, base-files]\n"),
                        "x.yaml", folder_->path());
  ASSERT_TRUE(declaration.ok()) << declaration.status();
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  const auto result = build(*declaration, *locked, path("a"));
  ASSERT_TRUE(result.ok()) << result.status();
  const auto tree = files_of("a");
  EXPECT_EQ(os_release(**tree)->at("ID"), "ubuntu");
  EXPECT_EQ((*tree)->find("bin")->link, "usr/bin");
  EXPECT_EQ(text_of(**tree, "usr/bin/app"), "app");
}

TEST_F(BasesTest, UbuntusArchivesAreKnownWhereItsKeyringIs) {
  EXPECT_EQ(ubuntu_sources(path("root"), "noble", "amd64").status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(create_directories(path("root/usr/share/keyrings")).ok());
  ASSERT_TRUE(write_file(path("root/usr/share/keyrings/ubuntu-archive-keyring.gpg"), "keys").ok());
  const auto sources = ubuntu_sources(path("root"), "noble", "amd64");
  ASSERT_TRUE(sources.ok()) << sources.status();
  ASSERT_EQ(sources->size(), 3U);
  EXPECT_EQ((*sources)[2].uri, "http://security.ubuntu.com/ubuntu");
  EXPECT_EQ((*sources)[2].suite, "noble-security");
  EXPECT_EQ((*sources)[0].components, (std::vector<std::string>{"main", "universe"}));
  EXPECT_EQ((*ubuntu_sources(path("root"), "noble", "arm64"))[0].uri,
            "http://ports.ubuntu.com/ubuntu-ports");
}

// Writes a docker archive as `docker save` did before it wrote OCI layouts: layers uncompressed, a
// layer that stands twice as a link.
constexpr const char* kMakeArchive = R"(
import gzip, hashlib, io, json, os, sys, tarfile
layout, out = sys.argv[1:]
index = json.load(open(layout + "/index.json"))
blob = lambda digest: open(layout + "/blobs/sha256/" + digest[7:], "rb").read()
manifest = json.loads(blob(index["manifests"][0]["digest"]))
layer = gzip.decompress(blob(manifest["layers"][0]["digest"]))
config = json.loads(blob(manifest["config"]["digest"]))
config["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(layer).hexdigest()] * 2
config = json.dumps(config).encode()
with tarfile.open(out, "w") as t:
    def put(name, data=b"", link=None):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
        t.addfile(info, io.BytesIO(data))
    put("a/layer.tar", layer)
    put("b/layer.tar", link="../a/layer.tar")
    put("config.json", config)
    put("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": ["base:1"],
                                      "Layers": ["a/layer.tar", "b/layer.tar"]}]).encode())
)";

TEST_F(BasesTest, ADockerArchiveIsReadAndIsABase) {
  ASSERT_TRUE(make("packages: [libfoo]\n", "stage").ok());
  ASSERT_TRUE(run_tool({"python3", "-c", kMakeArchive, path("stage"), path("docker.tar")}).ok());
  const auto reader = ImageReader::open(path("docker.tar"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto image = find_image(**reader, nullptr, "base:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->manifest.layers.size(), 2U);
  EXPECT_TRUE(check_blobs(**reader, *image).ok());
  const auto declaration =
      parse_declaration(cat("name: top\nversion: 1.0.0\nbase: oci:docker.tar\n",
                            archive_->declaration_lines(), "packages: [app]\n"),
                        "top.yaml", folder_->path());
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  EXPECT_EQ(locked->platforms[0].packages.size(), 1U);
  ASSERT_TRUE(build(*declaration, *locked, path("top")).ok());
  EXPECT_EQ(text_of(**files_of("top"), "usr/lib/x86_64-linux-gnu/libfoo.txt"), "foo");
  EXPECT_EQ(text_of(**files_of("top"), "usr/bin/app"), "app");
}

TEST_F(BasesTest, DamagedDockerArchivesAreRefused) {
  for (const char* manifest : {"{}", "[]", "[1]", "[{}]", "[{\"Config\": \"nothing\"}]",
                               "[{\"Config\": \"manifest.json\", \"Layers\": [\"../x\"]}]",
                               "[{\"Config\": \"manifest.json\", \"Layers\": [3]}]"}) {
    ASSERT_TRUE(create_directories(path("bad")).ok());
    ASSERT_TRUE(write_file(path("bad/manifest.json"), manifest).ok());
    ASSERT_TRUE(run_tool({"tar", "-C", path("bad"), "-cf", path("bad.tar"), "manifest.json"}).ok());
    EXPECT_FALSE(ImageReader::open(path("bad.tar")).ok()) << manifest;
  }
}

}  // namespace
}  // namespace tenon::image
