// Deployments as Kubernetes, Helm, kustomize, compose and Docker write them; files in images.
#include "tenon/image/trust/lint.h"

#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

struct DeploymentCase {
  const char* name;
  const char* text;
  const char* rule;     // "": no finding
  const char* message;  // part of the only finding
};

constexpr DeploymentCase kDeployments[] = {
    {"block", "spec:\n  containers:\n    - name: a\n      image: tenon:latest\n", "latest",
     "line 4"},
    {"flow", "spec: {containers: [{name: a, image: \"tenon:latest\"}]}\n", "latest",
     "tenon:latest"},
    {"untagged with a port", "image: r.example:5000/tenon\n", "latest", "has no tag"},
    {"json", "{\"spec\": {\"containers\": [\n\t{\"image\": \"tenon\"}]}}", "latest", "line 2"},
    {"folded", "image: >-\n  tenon:latest\n", "latest", "tenon:latest"},
    {"literal", "image: |\n  tenon\n", "latest", "'tenon'"},
    {"escapes", "image: \"tenon\\x3alatest\"\n", "latest", "tenon:latest"},
    {"quoted key", "\"image\": 'tenon:latest-devel'\n", "latest", "latest-devel"},
    {"explicit key", "? image\n: tenon\n", "latest", "'tenon'"},
    {"second document", "image: tenon:1.2.3\n---\nimage: tenon:latest\n", "latest", "line 3"},
    {"list at the top", "- image: tenon\n", "latest", "'tenon'"},
    {"comment", "image: tenon:1.2.3 # image: tenon:latest\n", "", ""},
    {"text", "data:\n  x: |\n    image: tenon:latest\n", "", ""},
    {"digest", "image: tenon@sha256:0000\n", "", ""},
    {"helm", "image:\n  repository: r/tenon\n  tag: latest\n", "latest", "r/tenon:latest"},
    {"helm untagged", "image: {repository: r/tenon, pullPolicy: Always}\n", "latest", "no tag"},
    {"helm good", "image: {registry: ghcr.io, repository: r/tenon, tag: 1.2.3}\n", "", ""},
    {"helm digest", "image: {repository: r/tenon, tag: latest, digest: \"sha256:00\"}\n", "", ""},
    {"helm's empty tag", "image: {repository: r/tenon, tag: \"\"}\n", "unjudged", "chart"},
    {"chart dependency", "dependencies: [{name: a, version: 1.0.0, repository: \"https://x\"}]\n",
     "", ""},
    {"kustomize", "images: [{name: tenon, newTag: latest}]\n", "latest", "tenon:latest"},
    {"anchor", "x: &i {image: \"tenon:latest\"}\nname: y\n", "latest", "line 1"},
    {"tag of another tool", "image: !Sub tenon:latest\n", "latest", "tenon:latest"},
    {"compose's variable", "services: {a: {image: \"${IMAGE}\"}}\n", "unjudged", "${IMAGE}"},
    {"compose's default", "image: ${IMAGE:-tenon:latest}\n", "latest", "'tenon:latest'"},
    {"compose's good default", "image: ${IMAGE:-tenon:1.2.3}\n", "", ""},
    {"template", "image: \"{{ .Values.image }}\"\n", "unjudged", ".Values.image"},
    {"dockerfile", "FROM tenon:latest\n", "latest", "line 1"},
    {"lower case", "# syntax=docker/dockerfile:1\nfrom tenon as build\n", "latest", "line 2"},
    {"continued", "FROM --platform=linux/amd64 \\\n  tenon:latest AS build\n", "latest", "latest"},
    {"stages", "FROM a:1.0 AS b\nFROM b\nFROM scratch\nCOPY --from=b /x /x\nCOPY --from=0 / /\n",
     "", ""},
    {"a stage named like its image", "FROM tenon AS tenon\n", "latest", "line 1"},
    {"copy", "FROM a:1.0\nCOPY --chown=1 --from=tenon:latest /x /x\n", "latest", "line 2"},
    {"mount", "FROM a:1.0\nRUN --network=none --mount=type=bind,from=tenon,target=/x true\n",
     "latest", "line 2"},
    {"a stage's mount", "FROM a:1.0 AS b\nFROM b\nRUN --mount=from=b,target=/x true\n", "", ""},
    {"argument", "ARG BASE=tenon:latest\nFROM $BASE\n", "unjudged", "$BASE"},
};

TEST(LintDeployment, FindsWhatTheParserSees) {
  for (const DeploymentCase& test : kDeployments) {
    const auto findings = lint_deployment(test.text, "x");
    ASSERT_TRUE(findings.ok()) << test.name << ": " << findings.status();
    if (*test.rule == '\0') {
      EXPECT_TRUE(findings->empty()) << test.name << ": " << (*findings)[0].message;
      continue;
    }
    ASSERT_EQ(findings->size(), 1U) << test.name;
    EXPECT_EQ((*findings)[0].rule, test.rule) << test.name;
    EXPECT_NE((*findings)[0].message.find(test.message), std::string::npos)
        << test.name << ": " << (*findings)[0].message;
  }
}

TEST(LintDeployment, WhatIsNoDeploymentIsAnError) {
  EXPECT_FALSE(lint_deployment("a: [b\n", "x").ok());
  const auto chart = lint_deployment("{{ if .Values.x }}\nimage: tenon\n{{ end }}\n", "x");
  EXPECT_NE(message_of(chart.status()).find("helm template"), std::string_view::npos)
      << chart.status();
  // Aliases of aliases grow without end; the parser counts what they stand for.
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += cat("a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) bomb += cat(j == 0 ? "" : ", ", "*a", i - 1);
    bomb += "]\n";
  }
  EXPECT_FALSE(lint_deployment(bomb, "x").ok());
  EXPECT_FALSE(lint_deployment(std::string(5000, '['), "x").ok());
  EXPECT_FALSE(lint_deployment("a: *b\n", "x").ok());
}

class LintImageTest : public BuildTest {
 protected:
  std::string rules_of(const std::string& more) {
    const auto result = make(cat("packages: [base-files]\nuser: \"65532\"\n", more), "a");
    EXPECT_TRUE(result.ok()) << result.status();
    const auto reader = ImageReader::open(path("a"));
    const auto findings = lint_image(**reader, *find_image(**reader, nullptr), true);
    EXPECT_TRUE(findings.ok()) << findings.status();
    std::string rules;
    for (const LintFinding& finding : *findings) rules += cat(finding.rule, " ");
    return rules;
  }
};

TEST_F(LintImageTest, EnvFilesAndCloudKeysAreFound) {
  // The keys of AWS' documentation, which open nothing.
  const char* kFiles[] = {
      "{path: /app/.env, content: \"DATABASE_URL=x\"}",
      "{path: /app/prod.env, content: \"export A=b\"}",
      "{path: /app/conf.yaml, content: \"key: AKIAIOSFODNN7EXAMPLE\"}",
      "{path: /root/.aws/credentials, content: \"aws_secret_access_key = x\"}",
      "{path: /app/sa.json, content: '{\"type\": \"service_account\", \"private_key\": \"x\"}'}",
      "{path: /root/.npmrc, content: \"//registry.npmjs.org/:_authToken=x\"}",
      "{path: /root/.kube/config, content: \"client-key-data: x\"}",
      "{path: /app/tls.pem, content: \"-----BEGIN EC PRIVATE KEY-----\"}",
  };
  for (const char* file : kFiles) {
    EXPECT_EQ(rules_of(cat("files: [", file, "]\n")), "secret ") << file;
  }
  EXPECT_EQ(rules_of("environment: {CI: AKIAIOSFODNN7EXAMPLE}\n"), "secret ");
  EXPECT_EQ(rules_of("files: [{path: /app/.env, content: \"# nothing\"}]\n"), "");
  EXPECT_EQ(rules_of("files: [{path: /app/x.json, content: \"AKIAshort\"}]\n"), "");
}

struct NvidiaCase {
  const char* name;
  std::map<std::string, std::string> environment;
  std::vector<const char*> paths;
  std::vector<const char*> messages;  // a part of each finding, in order
};

TEST(LintNvidia, TheImageIsGivenAGpuAndADriver) {
  const std::map<std::string, std::string> good = {
      {"NVIDIA_VISIBLE_DEVICES", "all"},
      {"NVIDIA_DRIVER_CAPABILITIES", "compute,utility"},
      {"NVIDIA_REQUIRE_CUDA", "cuda>=13.0"}};
  const auto with = [&](const char* name, const char* value) {
    auto changed = good;
    changed[name] = value;
    return changed;
  };
  const NvidiaCase kCases[] = {
      {"nothing of GPUs", {{"PATH", "/bin"}}, {"usr/lib/libz.so.1"}, {}},
      {"good", good, {"usr/lib/libcudnn.so.9", "usr/lib/stubs/libcuda.so"}, {}},
      {"libraries alone", {}, {"opt/libcublasLt.so.13"}, {"VISIBLE_DEVICES is ''", "is missing"}},
      {"void", with("NVIDIA_VISIBLE_DEVICES", "void"), {}, {"is given no GPU"}},
      {"a list", with("NVIDIA_VISIBLE_DEVICES", "0,1"), {}, {}},
      {"utility", with("NVIDIA_DRIVER_CAPABILITIES", "utility"), {}, {"CUDA needs compute"}},
      {"all", with("NVIDIA_DRIVER_CAPABILITIES", "all"), {}, {}},
      {"default", with("NVIDIA_DRIVER_CAPABILITIES", ""), {}, {}},
      {"a word", with("NVIDIA_DRIVER_CAPABILITIES", "compute,utility,cuda"), {}, {"no 'cuda'"}},
      {"NVIDIA's own",
       with("NVIDIA_REQUIRE_CUDA", "cuda>=13.0 brand=tesla,driver>=580,driver<581"),
       {},
       {}},
      {"no operator", with("NVIDIA_REQUIRE_CUDA", "cuda13"), {}, {"'cuda13' has no operator"}},
      {"other operator", with("NVIDIA_REQUIRE_CUDA", "cuda!13"), {}, {"has no operator"}},
      {"doubled", with("NVIDIA_REQUIRE_CUDA", "cuda==13.0"), {}, {"no version"}},
      {"no value", with("NVIDIA_REQUIRE_CUDA", "cuda>="), {}, {"has no value"}},
      {"no version", with("NVIDIA_REQUIRE_CUDA", "cuda>=13.x"), {}, {"no version"}},
      {"empty term", with("NVIDIA_REQUIRE_CUDA", "cuda>=13,,arch>=8"), {}, {"'' has no operator"}},
      {"property", with("NVIDIA_REQUIRE_X", "memory>=5"), {}, {"none of cuda"}},
      {"jetpack", with("NVIDIA_REQUIRE_JETPACK", "csv-mounts=all"), {}, {}},
      {"disabled", with("NVIDIA_DISABLE_REQUIRE", "true"), {}, {"switches"}},
      {"a stub", good, {"usr/lib/libcuda.so.1"}, {"/usr/lib/libcuda.so.1 belongs"}},
  };
  for (const NvidiaCase& test : kCases) {
    NvidiaContract contract;
    for (const char* path : test.paths) contract.see(path);
    std::vector<LintFinding> findings;
    contract.judge(test.environment, findings);
    ASSERT_EQ(findings.size(), test.messages.size()) << test.name;
    for (size_t i = 0; i < findings.size(); ++i) {
      EXPECT_EQ(findings[i].rule, "nvidia") << test.name;
      EXPECT_NE(findings[i].message.find(test.messages[i]), std::string::npos)
          << test.name << ": " << findings[i].message;
    }
  }
}

TEST_F(LintImageTest, ADriverInTheImageIsFound) {
  const std::string files =
      "files: [{path: /usr/lib/libcudart.so.13, content: x},"
      "{path: /usr/lib/libcuda.so.1, link: libcudart.so.13}]\n";
  const std::string environment =
      "environment: {NVIDIA_VISIBLE_DEVICES: all, NVIDIA_REQUIRE_CUDA: cuda>=13.0}\n";
  EXPECT_EQ(rules_of(cat(files, environment)), "nvidia ");
  EXPECT_EQ(rules_of(files), "nvidia nvidia nvidia ");
}

TEST_F(LintImageTest, ModesAreJudgedAfterAllLayers) {
  const std::string open = "files: [{path: /x, content: x, mode: \"0666\"}]\n";
  const std::string closed =
      "layers: [{name: more, files: [{path: /x, content: x, mode: \"0644\"}]}]\n";
  EXPECT_EQ(rules_of(open), "writable ");
  EXPECT_EQ(rules_of(cat(open, closed)), "");
  EXPECT_EQ(rules_of("files: [{path: /tmp/x, content: x}]\n"), "");
}

}  // namespace
}  // namespace tenon::image
