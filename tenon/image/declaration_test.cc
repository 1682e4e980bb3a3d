#include "tenon/image/declaration.h"

#include "tenon/image/build/tree.h"

namespace tenon::image {
namespace {

TEST(Declarations, TheShippedOnesAreValid) {
  const auto names = shipped_declarations();
  EXPECT_EQ(names, (std::vector<std::string>{"devel", "gpu", "gpu-jupyter", "jupyter", "lite",
                                             "python", "runtime", "serving-gpu", "train"}));
  for (const std::string& name : names) {
    const auto declaration = load_declaration(name);
    EXPECT_TRUE(declaration.ok()) << declaration.status();
  }
}

std::string joined(const std::vector<std::string>& words) { return join(words, ","); }

std::vector<std::string> names_of(const std::vector<LayerSpec>& layers) {
  std::vector<std::string> names;
  for (const LayerSpec& layer : layers) names.push_back(layer.name);
  return names;
}

TEST(Declarations, ThoseOnGpusAreThoseWithoutAndCuda) {
  const struct {
    const char *gpu, *cpu, *tags, *layers;
  } kPairs[] = {{"gpu", "python", "{version}-gpu,{version.minor}-gpu,latest-gpu",
                 "base,packages,cuda,plugin,tenon"},
                {"gpu-jupyter", "jupyter",
                 "{version}-gpu-jupyter,{version.minor}-gpu-jupyter,latest-gpu-jupyter",
                 "base,packages,jupyter,cuda,plugin,tenon"},
                {"serving-gpu", "runtime", "{version}-gpu,{version.minor}-gpu,latest-gpu",
                 "base,cuda,plugin,tenon"}};
  for (const auto& pair : kPairs) {
    const auto gpu = load_declaration(pair.gpu), cpu = load_declaration(pair.cpu);
    ASSERT_TRUE(gpu.ok() && cpu.ok()) << gpu.status() << cpu.status();
    EXPECT_EQ(gpu->name, pair.gpu);
    EXPECT_EQ(gpu->repository, cpu->repository);
    EXPECT_EQ(joined(gpu->tags), pair.tags);
    EXPECT_EQ(joined(names_of(gpu->layers)), pair.layers);
    EXPECT_EQ(gpu->user, "65532:65532");
    EXPECT_EQ(gpu->labels.at("org.opencontainers.image.title"), cat("tenon-", pair.gpu));
    auto environment = cpu->environment;
    environment.insert({{"NVIDIA_VISIBLE_DEVICES", "all"},
                        {"NVIDIA_DRIVER_CAPABILITIES", "compute,utility"},
                        {"NVIDIA_REQUIRE_CUDA", "cuda>=13.0"},
                        {"LD_LIBRARY_PATH", "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"},
                        {"TENON_PLUGIN_PATH", "/usr/lib/tenon/plugins"},
                        {"TENON_CUDA_WHEELS", "/usr/lib/python3/dist-packages"}});
    EXPECT_EQ(gpu->environment, environment);
    const std::string libraries = "usr/lib/python3/dist-packages/nvidia/";
    for (const char* kept :
         {"cu13/lib/libcublasLt.so.13", "cu13/lib/libnvrtc.so.13",
          "cu13/lib/libnvrtc-builtins.so.13.0", "cudnn/lib/libcudnn.so.9",
          "cudnn/lib/libcudnn_engines_precompiled.so.9", "nccl/lib/libnccl.so.2"}) {
      EXPECT_FALSE(excluded(gpu->exclude, cat(libraries, kept))) << kept;
    }
    for (const char* left : {"cu13/lib/libcublas.so.13", "cu13/lib/libnvrtc.alt.so.13",
                             "cudnn/lib/libcudnn_adv.so.9", "cudnn/include/cudnn.h"}) {
      EXPECT_TRUE(excluded(gpu->exclude, cat(libraries, left))) << left;
    }
    EXPECT_FALSE(excluded(gpu->exclude,
                          "usr/lib/python3/dist-packages/nvidia_nccl_cu13-2.28.9.dist-info/"
                          "licenses/License.txt"));
  }
}

TEST(Declarations, ErrorsGiveLineAndKnownKeys) {
  const auto status =
      parse_declaration("name: x\nfiles:\n  - {path: /a, contents: b}\n", "x.yaml", "").status();
  EXPECT_TRUE(message_of(status).starts_with("x.yaml line 3: ")) << status;
  EXPECT_FALSE(parse_declaration("name: x\nfiles: [{path: ../a, content: b}]\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration("a: &x b\nname: *x\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration("name: x\nname: y\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration(std::string(3000, '['), "x", "").ok());
}

TEST(Glob, StarsStayWithinComponentsDoubleStarsDoNot) {
  EXPECT_TRUE(glob_matches("usr/share/man/**", "usr/share/man/man1/x.1.gz"));
  EXPECT_TRUE(
      glob_matches("usr/share/doc/*/changelog*", "usr/share/doc/libc6/changelog.Debian.gz"));
  EXPECT_FALSE(glob_matches("usr/share/doc/*/changelog*", "usr/share/doc/a/b/changelog"));
  EXPECT_FALSE(glob_matches("usr/*", "usr/a/b"));
  EXPECT_TRUE(glob_matches("**/x", "a/b/x"));
  EXPECT_FALSE(glob_matches("a", "ab"));
  const std::vector<std::string> all_but_one = {"a/**", "!a/b*", "a/bc"};
  EXPECT_TRUE(excluded(all_but_one, "a/c"));
  EXPECT_FALSE(excluded(all_but_one, "a/b"));
  EXPECT_TRUE(excluded(all_but_one, "a/bc"));
  EXPECT_FALSE(excluded(all_but_one, "b"));
}

}  // namespace
}  // namespace tenon::image
