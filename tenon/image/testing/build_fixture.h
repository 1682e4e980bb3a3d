// What tests of building share: a small archive, a store, and images made from declarations.
#pragma once

#include <optional>

#include "tenon/image/build/build.h"
#include "tenon/image/oci/reader.h"
#include "tenon/image/testing/test_archive.h"

namespace tenon::image {

// An archive with a base system, a store, and images built from declarations.
class BuildTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto archive = TestArchive::create();
    ASSERT_TRUE(archive.ok()) << archive.status();
    archive_.emplace(*std::move(archive));
    folder_.emplace(*TemporaryDirectory::create());
    store_.emplace(*Store::open(path("store")));
    const std::string os = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Test\"\n";
    add({"base-files",
         "12",
         "amd64",
         "",
         {{"usr/lib/os-release", os},
          {"etc/os-release", "-> ../usr/lib/os-release"},
          {"bin/tool", "#!/bin/false"}}});
    add({"libfoo",
         "1.0-1",
         "amd64",
         "Depends: base-files\n",
         {{"lib/x86_64-linux-gnu/libfoo.txt", "foo"}}});
    add({"app", "2.0-1", "amd64", "Depends: libfoo (>= 1.0)\n", {{"usr/bin/app", "app"}}});
    publish();
  }
  void add(const TestPackage& package) {
    const Status status = archive_->add(package);
    ASSERT_TRUE(status.ok()) << status;
  }
  void publish() {
    const Status status = archive_->publish();
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string path(std::string_view name) const { return join_path(folder_->path(), name); }

  StatusOr<Declaration> declare(const std::string& more) {
    return parse_declaration(
        cat("name: test\nversion: 1.2.3\nbase: debian:test\n", archive_->declaration_lines(), more),
        "test.yaml", folder_->path());
  }
  StatusOr<Lock> lock(const Declaration& declaration) {
    LockOptions options;
    options.archive.now = 1783764997;
    return make_lock(declaration, *store_, options);
  }
  StatusOr<BuildResult> build(const Declaration& declaration, const Lock& lock,
                              const std::string& output, const BuildOptions& options = {}) {
    TENON_ASSIGN_OR_RETURN(const auto blobs, BlobFolder::create(output));
    TENON_ASSIGN_OR_RETURN(BuildResult result,
                           build_image(declaration, lock, *store_, options, *blobs));
    TENON_RETURN_IF_ERROR(write_output(*blobs, result.output, output));
    return result;
  }
  // Declares, locks and builds `name`; the result's digest.
  StatusOr<BuildResult> make(const std::string& more, const std::string& name,
                             const BuildOptions& options = {}) {
    TENON_ASSIGN_OR_RETURN(const Declaration declaration, declare(more));
    TENON_ASSIGN_OR_RETURN(const Lock locked, lock(declaration));
    return build(declaration, locked, path(name), options);
  }
  StatusOr<std::unique_ptr<Tree>> files_of(const std::string& name) {
    TENON_ASSIGN_OR_RETURN(const auto reader, ImageReader::open(path(name)));
    TENON_ASSIGN_OR_RETURN(const Image image, find_image(*reader, nullptr));
    return read_file_system(*reader, image,
                            [](const std::string&, const TreeNode&) { return true; });
  }
  static std::string text_of(const Tree& tree, std::string_view path) {
    const TreeNode* node = tree.find(path);
    if (node == nullptr) return cat("no ", path);
    const auto text = read_text(*node, 1 << 20);
    return text.ok() ? *text : cat(text.status().ToString());
  }

  std::optional<TestArchive> archive_;
  std::optional<TemporaryDirectory> folder_;
  std::optional<Store> store_;
};

}  // namespace tenon::image
