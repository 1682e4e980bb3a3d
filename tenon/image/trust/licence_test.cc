// Copyright files by the format's own rules, and what the SBOMs say of packages, programs, models.
#include "tenon/image/testing/build_fixture.h"
#include "tenon/image/trust/sbom.h"

namespace tenon::image {
namespace {

constexpr const char* kFormat =
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";

TEST(Licence, ShortNamesBecomeSpdxs) {
  const auto of = [](std::string_view fields) {
    return read_copyright(cat(kFormat, fields), "pkg").expression;
  };
  EXPECT_EQ(of("Files: *\nLicense: Expat\n"), "MIT");
  EXPECT_EQ(of("Files: *\nLicense: GPL-2+\n\nFiles: a\nLicense: LGPL-2.1\n"),
            "GPL-2.0-or-later AND LGPL-2.1-only");
  EXPECT_EQ(of("Files: *\nLicense: GPL-1+ or Artistic\n"), "(GPL-1.0-or-later OR Artistic-1.0)");
  EXPECT_EQ(of("Files: *\nLicense: GPL-2+ or Artistic, and BSD-3-clause\n"),
            "(GPL-2.0-or-later OR Artistic-1.0) AND BSD-3-Clause");
  EXPECT_EQ(of("Files: *\nLicense: zlib\n\nLicense: zlib\n As is.\n"), "Zlib");
}

TEST(Licence, WhatSpdxDoesNotKnowIsAReferenceWithItsText) {
  const Licence own = read_copyright(
      cat(kFormat,
          "Files: *\nLicense: own licence/1\n\nLicense: own licence/1\n Do as you like.\n"),
      "pkg");
  EXPECT_EQ(own.expression, "LicenseRef-own-licence-1");
  EXPECT_EQ(own.texts.at("LicenseRef-own-licence-1"), "Do as you like.\n");
  const Licence free_form = read_copyright("This is free.\n", "pkg");
  EXPECT_EQ(free_form.expression, "LicenseRef-pkg-copyright");
  EXPECT_EQ(free_form.texts.at(free_form.expression), "This is free.\n");
  EXPECT_EQ(read_copyright("", "pkg").expression, "");
}

TEST(Licence, WheelsSayItInTheirMetadata) {
  EXPECT_EQ(wheel_licence("Name: a\nLicense-Expression: MIT OR Apache-2.0\n"), "MIT OR Apache-2.0");
  EXPECT_EQ(wheel_licence("Classifier: License :: OSI Approved :: MIT License\n"), "MIT");
  EXPECT_EQ(wheel_licence("Name: a\nLicense: see file\n\nLicense: MIT\n"), "");
  EXPECT_EQ(wheel_licence("License: LicenseRef-NVIDIA-Proprietary\n"),
            "LicenseRef-NVIDIA-Proprietary");
  EXPECT_EQ(wheel_licence("License: LicenseRef-see my file\n"), "");
}

class InventoryTest : public BuildTest {};

TEST_F(InventoryTest, FactsComeFromPackagesLockAndLabels) {
  add({"libbar",
       "1.0",
       "amd64",
       "Homepage: https://example.org/bar\n",
       {{"usr/lib/bar", "x"},
        {"usr/share/doc/libbar/copyright", cat(kFormat, "Files: *\nLicense: Expat\n")}}});
  publish();
  ASSERT_TRUE(create_directories(path("digits")).ok());
  ASSERT_TRUE(write_file(path("digits/saved_model.pb"), "graph").ok());
  BuildOptions options;
  options.model_path = path("digits");
  const auto declaration = declare("packages: [base-files, libbar]\n");
  const auto locked = lock(*declaration);
  ASSERT_TRUE(locked.ok()) << locked.status();
  const auto built = build(*declaration, *locked, path("a"), options);
  ASSERT_TRUE(built.ok()) << built.status();
  const auto reader = ImageReader::open(path("a"));
  const auto image = find_image(**reader, nullptr);
  const auto inventory = take_inventory(**reader, *image, &*locked);
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  ASSERT_EQ(inventory->packages.size(), 2U);
  const Inventory::Facts& facts = inventory->facts[1];
  EXPECT_EQ(facts.supplier, "Test <test@example.org>");
  EXPECT_EQ(facts.homepage, "https://example.org/bar");
  EXPECT_EQ(facts.licence.expression, "MIT");
  EXPECT_EQ(facts.download, cat(archive_->uri(), "/pool/libbar_1.0_amd64.deb"));
  EXPECT_EQ(facts.sha256,
            *sha256_of_file(join_path(archive_->folder(), "pool/libbar_1.0_amd64.deb")));
  EXPECT_EQ(inventory->model.name, "digits");
  EXPECT_EQ(inventory->model.digest, built->images[0].layers.back().diff_id);
  const std::string spdx = write_spdx(*inventory, "1");
  EXPECT_NE(spdx.find("Organization: Test (test@example.org)"), std::string::npos) << spdx;
  EXPECT_NE(write_cyclonedx(*inventory, "1").find("machine-learning-model"), std::string::npos);
  // Another lock is not the image's.
  Lock other = *locked;
  other.created += 1;
  EXPECT_EQ(take_inventory(**reader, *image, &other).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(InventoryTest, OneNameOfALicenceHoldsTheTextsOfAllWheels) {
  const auto wheel = [](const char* name, const char* text) {
    const std::string folder = cat("/usr/lib/python3/dist-packages/", name, "-1.dist-info/");
    return cat("  - {path: ", folder, "METADATA, content: \"Name: ", name,
               "\\nVersion: 1\\nLicense: LicenseRef-Ours\\nLicense-File: L.txt\\n\"}\n",
               "  - {path: ", folder, "licenses/L.txt, content: ", text, "}\n");
  };
  const auto built =
      make(cat("packages: [base-files]\nfiles:\n", wheel("a", "one"), wheel("b", "two")), "a");
  ASSERT_TRUE(built.ok()) << built.status();
  const auto reader = ImageReader::open(path("a"));
  const auto inventory = take_inventory(**reader, *find_image(**reader, nullptr), nullptr);
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  const std::string spdx = write_spdx(*inventory, "1");
  EXPECT_NE(spdx.find("\"licenseDeclared\": \"LicenseRef-Ours\""), std::string::npos) << spdx;
  EXPECT_NE(spdx.find("\"a 1:\\n\\none\\n\\nb 1:\\n\\ntwo\""), std::string::npos) << spdx;
}

}  // namespace
}  // namespace tenon::image
