// swift-tools-version:5.7
// Needs TenonLite.xcframework beside this file: deploy/ios/build.sh deploy/ios/sample/TenonLite.xcframework
import PackageDescription

let package = Package(
  name: "Keyword",
  platforms: [.iOS(.v14)],
  products: [.library(name: "Keyword", targets: ["Keyword"])],
  targets: [
    .binaryTarget(name: "TenonLite", path: "TenonLite.xcframework"),
    .target(name: "Keyword", dependencies: ["TenonLite"]),
  ]
)
