#include "tenon/serving/memory/memory_keeper.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace tenon::serving {
namespace {

// What holds memory: so many bytes of each part.
class Holder final : public Evictable {
 public:
  Holder(std::string name, int64_t last_used, size_t bytes, std::vector<std::string>& order)
      : name_(std::move(name)), last_used_(last_used), left_{bytes, bytes}, order_(order) {}
  int64_t last_used() const override { return last_used_; }
  bool evict(Part part) override {
    size_t& left = left_[static_cast<size_t>(part)];
    if (left == 0) return false;
    left = 0;
    order_.push_back(name_ + std::to_string(static_cast<int>(part)));
    return true;
  }
  size_t bytes() const { return left_[0] + left_[1]; }

 private:
  const std::string name_;
  const int64_t last_used_;
  std::array<size_t, 2> left_;
  std::vector<std::string>& order_;
};

class MemoryKeeperTest : public testing::Test {
 protected:
  std::shared_ptr<Holder> hold(const std::string& name, int64_t last_used) {
    holders_.push_back(std::make_shared<Holder>(name, last_used, 15, order_));
    keeper_.add(holders_.back());
    return holders_.back();
  }
  size_t used() const {
    size_t total = fixed_;
    for (const auto& each : holders_) total += each->bytes();
    for (const auto& version : versions_) total += static_cast<size_t>(*version);
    return total;
  }
  int64_t evictions(std::string_view what) {
    return metrics_.counter("/tensorflow/serving/memory_evictions", {"what"}).cell({what}).value();
  }

  MetricRegistry metrics_;
  std::vector<std::string> order_;
  size_t fixed_ = 0;
  std::vector<std::shared_ptr<Holder>> holders_;
  std::vector<std::shared_ptr<int>> versions_;  // each of so many bytes
  MemoryKeeper keeper_{
      MemoryOptions{.limit = 100, .used = [this] { return used(); }, .metrics = &metrics_}};
};

TEST_F(MemoryKeeperTest, TheCheapestToMakeAgainGoesFirstAndOfThatTheLongestUnused) {
  hold("new", 3);
  hold("old", 1);
  hold("middle", 2);
  EXPECT_EQ(used(), 90u);
  EXPECT_TRUE(keeper_.make_room(10, MemoryKeeper::For::kRun));
  EXPECT_TRUE(order_.empty()) << "what fits costs nobody anything";
  EXPECT_TRUE(keeper_.make_room(40, MemoryKeeper::For::kRun));
  EXPECT_EQ(order_, (std::vector<std::string>{"old0", "middle0"}));
  EXPECT_TRUE(keeper_.make_room(80, MemoryKeeper::For::kRun));
  EXPECT_EQ(order_, (std::vector<std::string>{"old0", "middle0", "new0", "old1", "middle1"}));
  EXPECT_EQ(evictions("arenas"), 3);
  EXPECT_EQ(evictions("plan"), 2);
}

TEST_F(MemoryKeeperTest, WhatIsGoneIsAskedForNothing) {
  hold("gone", 1);
  holders_.clear();
  hold("there", 2);
  EXPECT_FALSE(keeper_.make_room(101, MemoryKeeper::For::kLoad)) << "more than all there is";
  EXPECT_TRUE(order_.empty());
  EXPECT_TRUE(keeper_.make_room(100, MemoryKeeper::For::kLoad));
  EXPECT_EQ(order_, (std::vector<std::string>{"there0", "there1"}));
}

TEST_F(MemoryKeeperTest, VersionsGoForLoadsAndUpkeepAndNotForRuns) {
  fixed_ = 50;
  versions_ = {std::make_shared<int>(30), std::make_shared<int>(20)};
  keeper_.set_unload_version([&]() -> std::optional<std::weak_ptr<const void>> {
    if (versions_.empty()) return std::nullopt;
    std::weak_ptr<const void> gone = versions_.front();
    versions_.erase(versions_.begin());
    return gone;
  });
  EXPECT_FALSE(keeper_.make_room(10, MemoryKeeper::For::kRun));
  EXPECT_EQ(versions_.size(), 2u);
  EXPECT_TRUE(keeper_.make_room(10, MemoryKeeper::For::kLoad));
  EXPECT_EQ(versions_.size(), 1u) << "no more of them than it takes";
  EXPECT_FALSE(keeper_.make_room(40, MemoryKeeper::For::kRun));
  keeper_.upkeep();
  EXPECT_TRUE(versions_.empty()) << "they go for the run that asks again";
  EXPECT_FALSE(keeper_.make_room(60, MemoryKeeper::For::kLoad)) << "what stays has 50";
  EXPECT_EQ(evictions("version"), 2);
}

TEST_F(MemoryKeeperTest, AVersionThatARequestStillHoldsIsWaitedForBeforeTheNextGoes) {
  fixed_ = 90;
  versions_ = {std::make_shared<int>(20), std::make_shared<int>(5)};
  const std::shared_ptr<int> held_by_a_request = versions_.front();
  int unloaded = 0;
  keeper_.set_unload_version([&]() -> std::optional<std::weak_ptr<const void>> {
    if (static_cast<size_t>(unloaded) == versions_.size()) return std::nullopt;
    return std::weak_ptr<const void>(versions_[static_cast<size_t>(unloaded++)]);
  });
  for (int i = 0; i < 3; ++i) keeper_.upkeep();
  EXPECT_EQ(unloaded, 1);
}

}  // namespace
}  // namespace tenon::serving
