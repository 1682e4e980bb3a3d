// Models in images: what is checked is what is shipped.
#include <sys/stat.h>
#include <unistd.h>

#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

class ModelTest : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    ASSERT_TRUE(create_directories(path("digits/7/variables")).ok());
    ASSERT_TRUE(write_file(path("digits/7/saved_model.pb"), "graph").ok());
    options_.model_path = path("digits");
  }
  BuildOptions options_;
};

constexpr const char* kBase = "packages: [base-files]\n";

TEST_F(ModelTest, AModelBecomesALayerAndItsGoldensAreAsked) {
  std::string asked, seen;
  options_.verify_model = [&](const std::string& folder) {
    asked = folder;
    seen = *read_file(join_path(folder, "saved_model.pb"));
    // What changes from now on is not what has been checked.
    return write_file(path("digits/7/saved_model.pb"), "another");
  };
  ASSERT_TRUE(make(kBase, "a", options_).ok());
  EXPECT_TRUE(asked.ends_with("/models/digits/7")) << asked;
  EXPECT_EQ(seen, "graph");
  EXPECT_FALSE(path_exists(asked));
  EXPECT_EQ(text_of(**files_of("a"), "models/digits/7/saved_model.pb"), "graph");
  const auto reader = ImageReader::open(path("a"));
  EXPECT_EQ(find_image(**reader, nullptr)->config.environment.at("MODEL_NAME"), "digits");
}

TEST_F(ModelTest, AModelThatMissesItsGoldensLeavesNothing) {
  options_.verify_model = [](const std::string& folder) { return data_loss(folder, " drifts"); };
  const Status status = make(kBase, "out/b", options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(message_of(status),
            "the model is not baked in: digits/7 drifts (--no_golden skips the "
            "replay)");
  EXPECT_TRUE(list_directory(path("out"))->empty());
}

TEST_F(ModelTest, LinksOutOfTheFolderAreFollowedIntoTheLayer) {
  // As a cache of Hugging Face and DVC have it: names lead to blobs elsewhere.
  ASSERT_TRUE(create_directories(path("cache/vars")).ok());
  ASSERT_TRUE(write_file(path("cache/blob"), "weights").ok());
  ASSERT_TRUE(write_file(path("cache/vars/index"), "index").ok());
  ASSERT_EQ(::symlink("../../../cache/blob", path("digits/7/variables/data").c_str()), 0);
  ASSERT_EQ(::symlink(path("cache/vars").c_str(), path("digits/7/more").c_str()), 0);
  std::string seen;
  options_.verify_model = [&](const std::string& folder) {
    seen = *read_file(join_path(folder, "variables/data"));
    return Status();
  };
  ASSERT_TRUE(make(kBase, "a", options_).ok());
  EXPECT_EQ(seen, "weights");
  const auto tree = files_of("a");
  const TreeNode* data = (*tree)->find("models/digits/7/variables/data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->type, EntryType::kFile);
  EXPECT_EQ(text_of(**tree, "models/digits/7/more/index"), "index");
}

TEST_F(ModelTest, LinksToNothingToDevicesAndInCirclesAreRefused) {
  for (const char* target : {"../nowhere", "/dev/zero", "."}) {
    const std::string link = path("digits/7/link");
    ASSERT_EQ(::symlink(target, link.c_str()), 0);
    EXPECT_FALSE(make(kBase, "a", options_).ok()) << target;
    ASSERT_EQ(::unlink(link.c_str()), 0);
  }
  ASSERT_EQ(::mkfifo(path("digits/7/fifo").c_str(), 0600), 0);
  EXPECT_FALSE(make(kBase, "a", options_).ok());
}

TEST_F(ModelTest, AnImageWithAModelHasTheModelsNameAndFacts) {
  const std::string tags = cat(kBase, "tags: [\"{version}\", latest]\n");
  auto result = make(tags, "a", options_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tags, (std::vector<std::string>{"digits:7"}));
  const auto reader = ImageReader::open(path("a"));
  const auto labels = find_image(**reader, nullptr)->config.labels;
  EXPECT_EQ(labels.at("dev.tenon.model.name"), "digits");
  EXPECT_EQ(labels.at("dev.tenon.model.version"), "7");
  EXPECT_EQ(labels.at("dev.tenon.model.golden"), "not replayed");
  EXPECT_EQ(labels.at("dev.tenon.model.digest"), result->images[0].layers.back().diff_id);
  EXPECT_EQ(labels.at("org.opencontainers.image.title"), "digits");
  options_.verify_model = [](const std::string&) { return Status(); };
  options_.tags = {"v1", "ghcr.io/team/digits:2"};
  result = make(tags, "b", options_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->tags, (std::vector<std::string>{"digits:v1", "ghcr.io/team/digits:2"}));
  const auto second = ImageReader::open(path("b"));
  EXPECT_EQ(find_image(**second, nullptr, "digits:v1")->config.labels.at("dev.tenon.model.golden"),
            "replayed");
}

TEST_F(ModelTest, FoldersThatTheImageHasKeepModeAndOwner) {
  ASSERT_TRUE(make("packages: [base-files]\nfiles:\n"
                   "  - {path: /tmp/made, directory: true, mode: \"0755\"}\n"
                   "  - {path: /tmp/made/x, content: x}\n",
                   "stage")
                  .ok());
  ASSERT_TRUE(create_directories(path("tree/sub")).ok());
  ASSERT_TRUE(write_file(path("tree/y"), "y").ok());
  BuildOptions options;
  options.copies = {{path("stage"), "/tmp", "/srv/data"}, {path("stage"), "/tmp/made", "/tmp"}};
  ASSERT_TRUE(make("packages: [base-files]\nfiles:\n"
                   "  - {path: /srv/data, directory: true, mode: \"0750\", owner: \"5:6\"}\n"
                   "layers:\n  - name: more\n    files: [{path: /srv/data, source: tree}]\n",
                   "a", options)
                  .ok());
  const auto tree = files_of("a");
  EXPECT_EQ((*tree)->find("tmp")->mode, 01777U);
  EXPECT_EQ((*tree)->find("srv/data")->mode, 0750U);
  EXPECT_EQ((*tree)->find("srv/data")->uid, 5U);
  EXPECT_EQ(text_of(**tree, "srv/data/made/x"), "x");
  EXPECT_EQ(text_of(**tree, "srv/data/y"), "y");
  EXPECT_EQ(text_of(**tree, "tmp/x"), "x");
}

TEST_F(ModelTest, AnImageOnAnotherIsItsOwn) {
  ASSERT_TRUE(make("packages: [base-files]\nlabels:\n  org.opencontainers.image.title: stage\n"
                   "  org.opencontainers.image.source: elsewhere\n  kept: \"yes\"\n",
                   "stage")
                  .ok());
  const auto declaration = parse_declaration(
      "name: top\nversion: 2.0.0\nbase: oci:stage\n"
      "files: [{path: /x, content: x}]\n",
      "top.yaml", folder_->path());
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  ASSERT_TRUE(build(*declaration, *locked, path("top")).ok());
  const auto reader = ImageReader::open(path("top"));
  const auto image = find_image(**reader, nullptr);
  EXPECT_EQ(image->config.labels.at("org.opencontainers.image.title"), "top");
  EXPECT_FALSE(image->config.labels.contains("org.opencontainers.image.source"));
  EXPECT_EQ(image->config.labels.at("kept"), "yes");
  EXPECT_EQ(image->config.created, "2026-07-11T10:16:37Z");  // when the lock was made
}

}  // namespace
}  // namespace tenon::image
