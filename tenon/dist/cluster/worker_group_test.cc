// Workers of one cluster, each on a thread of this process, over TCP.
#include "tenon/dist/cluster/worker_group.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <thread>

#include "tenon/dist/cluster/rendezvous.h"

namespace tenon::dist {
namespace {

using Group = std::shared_ptr<WorkerGroup>;
using std::chrono::milliseconds;

// Ports that nobody listens at.
std::vector<std::string> free_addresses(int count) {
  std::vector<std::string> addresses;
  std::vector<Socket> held;
  for (int i = 0; i < count; ++i) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(socket.fd(), reinterpret_cast<sockaddr*>(&at), size), 0);
    ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&at), &size);
    addresses.push_back(cat("127.0.0.1:", ntohs(at.sin_port)));
    held.push_back(std::move(socket));
  }
  return addresses;
}

std::vector<WorkerGroupOptions> options_of(int workers) {
  std::vector<WorkerGroupOptions> all(static_cast<size_t>(workers));
  const std::vector<std::string> addresses = free_addresses(workers);
  for (int rank = 0; rank < workers; ++rank) {
    WorkerGroupOptions& own = all[static_cast<size_t>(rank)];
    own.cluster.workers = addresses;
    own.cluster.rank = rank;
    own.build = "1.0";
    own.join_timeout = milliseconds(20'000);
  }
  return all;
}

// `body(rank)` on a thread for each.
void on_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) threads.emplace_back([&body, rank] { body(rank); });
  for (std::thread& thread : threads) thread.join();
}

std::vector<StatusOr<Group>> join_all(const std::vector<WorkerGroupOptions>& options) {
  std::vector<StatusOr<Group>> joined(options.size(), unknown_error("not yet"));
  on_threads(static_cast<int>(options.size()), [&](int rank) {
    joined[static_cast<size_t>(rank)] = WorkerGroup::join(options[static_cast<size_t>(rank)]);
  });
  return joined;
}

std::vector<Group> joined_groups(const std::vector<WorkerGroupOptions>& options) {
  std::vector<Group> groups;
  for (auto& joined : join_all(options)) {
    EXPECT_TRUE(joined.ok()) << joined.status();
    if (joined.ok()) groups.push_back(*joined);
  }
  return groups;
}

float value_of(int rank, int step, int64_t i) {
  return static_cast<float>(rank + 1) * 0.1f + static_cast<float>((i * 7 + step) % 97) * 1e-3f;
}

Tensor floats(int rank, int step, int64_t size) {
  Tensor x(DType::kFloat, Shape{size});
  for (int64_t i = 0; i < size; ++i) x.mutable_data<float>()[i] = value_of(rank, step, i);
  return x;
}

void expect_mentions(const Status& status, std::string_view text) {
  EXPECT_NE(message_of(status).find(text), std::string_view::npos) << status;
}

// Sizes below and above those that are taken apart, and such as cannot be divided among workers.
constexpr int64_t kSizes[] = {1, 0, 5, 4096, 30'011};

void check_step(WorkerGroup& group, int step) {
  const Ref<Communicator> place = group.communicator("test");
  std::vector<Ref<PendingReduction>> pending;
  for (const int64_t size : kSizes) {
    std::vector<Tensor> values = {floats(group.rank(), step, size), floats(group.rank(), step, 3)};
    auto started = place->start(cat(size), Reduction::kSum, true, std::move(values));
    ASSERT_TRUE(started.ok()) << started.status();
    pending.push_back(*std::move(started));
  }
  for (size_t s = 0; s < std::size(kSizes); ++s) {
    const auto results = pending[s]->wait();
    ASSERT_TRUE(results.ok()) << results.status();
    const Tensor& sums = (*results)[0];
    ASSERT_EQ(sums.shape(), (Shape{kSizes[s]}));
    for (int64_t i = 0; i < kSizes[s]; ++i) {
      float expected = value_of(0, step, i);
      for (int rank = 1; rank < group.size(); ++rank) expected += value_of(rank, step, i);
      ASSERT_EQ(sums.data<float>()[i], expected) << "element " << i << " of " << kSizes[s];
    }
  }
}

TEST(WorkerGroup, SumsAreTakenInTheOrderOfTheRanksWhateverTheTiming) {
  for (const int workers : {1, 2, 3, 5}) {
    const std::vector<Group> groups = joined_groups(options_of(workers));
    ASSERT_EQ(groups.size(), static_cast<size_t>(workers));
    on_threads(workers, [&](int rank) {
      for (int step = 0; step < 6; ++step) {
        if ((rank + step) % 3 == 0) std::this_thread::sleep_for(milliseconds(2));
        check_step(*groups[static_cast<size_t>(rank)], step);
      }
      EXPECT_TRUE(groups[static_cast<size_t>(rank)]->leave().ok());
    });
  }
}

TEST(WorkerGroup, WhoIsNotPresentHasNoPartInAMean) {
  const std::vector<Group> groups = joined_groups(options_of(3));
  ASSERT_EQ(groups.size(), 3u);
  for (const int64_t size : {4, 9'000}) {
    for (const int absent : {0, 2}) {
      on_threads(3, [&](int rank) {
        const Ref<Communicator> place = groups[static_cast<size_t>(rank)]->communicator("m");
        auto started =
            place->start("mean", Reduction::kMean, rank != absent, {floats(rank, 0, size)});
        ASSERT_TRUE(started.ok()) << started.status();
        const auto results = (*started)->wait();
        ASSERT_TRUE(results.ok()) << results.status();
        const int a = absent == 0 ? 1 : 0, b = absent == 2 ? 1 : 2;
        for (int64_t i = 0; i < size; ++i) {
          ASSERT_EQ((*results)[0].data<float>()[i], (value_of(a, 0, i) + value_of(b, 0, i)) / 2);
        }
      });
    }
  }
}

TEST(WorkerGroup, ALostWorkerIsNamedToAllOthers) {
  std::vector<Group> groups = joined_groups(options_of(3));
  ASSERT_EQ(groups.size(), 3u);
  const std::string name = groups[0]->cluster().name_of(1);
  on_threads(3, [&](int rank) {
    Group& own = groups[static_cast<size_t>(rank)];
    if (rank == 1) return own.reset();  // as a process that ends
    auto started = own->communicator("g")->start("x", Reduction::kSum, true, {floats(rank, 0, 9)});
    const Status status = started.ok() ? (*started)->wait().status() : started.status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    expect_mentions(status, name);
    EXPECT_EQ(own->lost(), status);
  });
}

TEST(WorkerGroup, AWorkerThatCannotGoOnTellsTheOthersWhy) {
  std::vector<Group> groups = joined_groups(options_of(2));
  ASSERT_EQ(groups.size(), 2u);
  groups[1]->fail(resource_exhausted("the disk is full"));
  const Status status = groups[0]->leave();
  expect_mentions(status, "the disk is full");
  expect_mentions(status, groups[0]->cluster().name_of(1));
  EXPECT_TRUE(groups[1]->lost().ok());
}

TEST(WorkerGroup, AProcessThatHangsWhenAWorkerIsLostIsTold) {
  std::vector<WorkerGroupOptions> options = options_of(2);
  std::atomic<int> calls{0};
  options[0].health_timeout = milliseconds(500);
  options[0].abandon = [&](const Status& why) {
    EXPECT_TRUE(absl::IsUnavailable(why)) << why;
    ++calls;
  };
  std::vector<Group> groups = joined_groups(options);
  ASSERT_EQ(groups.size(), 2u);
  groups[1].reset();
  while (calls == 0) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(groups[0]->lost().ok());
}

TEST(WorkerGroup, WhoLeavesEarlyDoesNotKeepOthersWaiting) {
  const std::vector<Group> groups = joined_groups(options_of(2));
  ASSERT_EQ(groups.size(), 2u);
  on_threads(2, [&](int rank) {
    const Group& own = groups[static_cast<size_t>(rank)];
    if (rank == 1) {
      EXPECT_TRUE(absl::IsUnavailable(own->leave()));
      return;
    }
    auto started = own->communicator("g")->start("x", Reduction::kSum, true, {floats(0, 0, 9)});
    const Status status = started.ok() ? (*started)->wait().status() : started.status();
    expect_mentions(status, "has come to its end");
  });
}

TEST(WorkerGroup, ValuesOfOtherShapesAreRefused) {
  const std::vector<Group> groups = joined_groups(options_of(2));
  ASSERT_EQ(groups.size(), 2u);
  std::vector<Status> statuses(2);
  on_threads(2, [&](int rank) {
    auto started = groups[static_cast<size_t>(rank)]->communicator("g")->start(
        "x", Reduction::kSum, true, {floats(0, 0, 6).reshaped(rank == 0 ? Shape{6} : Shape{2, 3})});
    statuses[static_cast<size_t>(rank)] =
        started.ok() ? (*started)->wait().status() : started.status();
  });
  EXPECT_FALSE(statuses[0].ok());
  EXPECT_FALSE(statuses[1].ok());
}

TEST(WorkerGroup, WhatIsNotDoneAlikeIsNamed) {
  const std::vector<Group> groups = joined_groups(options_of(2));
  ASSERT_EQ(groups.size(), 2u);
  on_threads(2, [&](int rank) {
    const Group& own = groups[static_cast<size_t>(rank)];
    EXPECT_TRUE(own->agree("flags", "--epochs=3\n--seed=1").ok());
    const Status status = own->agree("flags", cat("--epochs=3\n--seed=", rank + 1));
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    expect_mentions(status, "has --seed=2, the chief has --seed=1");
    EXPECT_EQ(*own->exchange("names", cat("w", rank)), (std::vector<std::string>{"w0", "w1"}));
  });
}

// --- who may join ---

// What worker 1 is told when it joins with these options, while the chief waits for another one.
Status refusal(const std::function<void(WorkerGroupOptions& chief, WorkerGroupOptions& own)>& set) {
  std::vector<WorkerGroupOptions> options = options_of(2);
  options[0].join_timeout = milliseconds(1'500);
  set(options[0], options[1]);
  const auto joined = join_all(options);
  EXPECT_TRUE(absl::IsUnavailable(joined[0].status())) << joined[0].status();
  expect_mentions(joined[0].status(), options[0].cluster.name_of(1));
  return joined[1].status();
}

TEST(WorkerGroup, WorkersWithOneSecretMeet) {
  std::vector<WorkerGroupOptions> options = options_of(3);
  for (WorkerGroupOptions& own : options) own.secret = "oak";
  EXPECT_EQ(joined_groups(options).size(), 3u);
}

TEST(WorkerGroup, WithoutTheSecretNobodyJoins) {
  expect_mentions(refusal([](auto& chief, auto& own) { chief.secret = "oak", own.secret = "elm"; }),
                  "secret");
  expect_mentions(refusal([](auto& chief, auto&) { chief.secret = "oak"; }),
                  "this process has none");
  expect_mentions(refusal([](auto&, auto& own) { own.secret = "oak"; }), "this process has one");
}

TEST(WorkerGroup, AnotherBuildIsRefusedAndBothAreNamed) {
  const Status status = refusal([](auto&, auto& own) { own.build = "2.0"; });
  expect_mentions(status, "worker 1 is tenon 2.0, ");
  expect_mentions(status, "worker 0 is tenon 1.0;");
}

TEST(WorkerGroup, AnotherListOfWorkersIsRefused) {
  const Status status =
      refusal([](auto&, auto& own) { own.cluster.workers.push_back("127.0.0.1:9"); });
  expect_mentions(status, "another list of workers");
}

TEST(WorkerGroup, OfTwoWithOneIndexTheSecondIsRefused) {
  std::vector<WorkerGroupOptions> options = options_of(3);
  options[0].join_timeout = milliseconds(2'500);
  options[2].cluster.rank = 1;
  options[2].join_timeout = milliseconds(2'500);
  options[1].join_timeout = milliseconds(2'500);
  const auto joined = join_all(options);
  const int refused =
      absl::IsAlreadyExists(joined[1].status()) + absl::IsAlreadyExists(joined[2].status());
  EXPECT_EQ(refused, 1) << joined[1].status() << joined[2].status();
}

// The same of a process on another machine, which can listen where it likes.
TEST(WorkerGroup, TheChiefSeatsEachIndexOnce) {
  std::vector<WorkerGroupOptions> options = options_of(3);
  options[0].join_timeout = milliseconds(2'500);
  std::vector<Status> told(2);
  std::thread chief([&] { EXPECT_FALSE(WorkerGroup::join(options[0]).ok()); });
  Identity identity;
  identity.rank = 1;
  identity.workers = join(options[0].cluster.workers, ",");
  identity.build = options[0].build;
  std::vector<Socket> held;
  for (Status& status : told) {
    for (int attempt = 0; attempt < 500; ++attempt) {
      StatusOr<Socket> socket =
          connect_to(options[0].cluster.workers[0], after(milliseconds(2'000)));
      status = socket.ok() ? introduce(*socket, identity, 0, after(milliseconds(2'000)))
                           : socket.status();
      if (absl::IsUnavailable(status)) {
        std::this_thread::sleep_for(milliseconds(10));
        continue;
      }
      if (status.ok()) held.push_back(*std::move(socket));
      break;
    }
  }
  EXPECT_TRUE(told[0].ok()) << told[0];
  EXPECT_TRUE(absl::IsAlreadyExists(told[1])) << told[1];
  expect_mentions(told[1], "two workers with index 1");
  chief.join();
}

TEST(WorkerGroup, StrangersHoldUpNobody) {
  std::vector<WorkerGroupOptions> options = options_of(2);
  std::vector<StatusOr<Group>> joined(2, unknown_error("not yet"));
  std::thread chief([&] { joined[0] = WorkerGroup::join(options[0]); });
  std::vector<Socket> strangers;
  const std::string texts[] = {"", "GET / HTTP/1.1\r\n\r\n", std::string(4, '\0'),
                               std::string("\x08\0\0\0\xff\xff\xff\xff\0\0\0\0", 12),
                               std::string(100'000, '\xff')};
  for (const std::string& text : texts) {
    StatusOr<Socket> socket = unknown_error("not yet");
    for (int attempt = 0; attempt < 2000 && !socket.ok(); ++attempt) {
      std::this_thread::sleep_for(milliseconds(5));
      socket = connect_to(options[0].cluster.workers[0], after(milliseconds(2'000)));
    }
    ASSERT_TRUE(socket.ok()) << socket.status();
    (void)send_all(*socket, text, after(milliseconds(100)));
    strangers.push_back(*std::move(socket));
  }
  joined[1] = WorkerGroup::join(options[1]);
  chief.join();
  EXPECT_TRUE(joined[0].ok()) << joined[0].status();
  EXPECT_TRUE(joined[1].ok()) << joined[1].status();
}

}  // namespace
}  // namespace tenon::dist
