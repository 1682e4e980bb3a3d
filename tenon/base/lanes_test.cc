#include "tenon/base/lanes.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tenon/base/parallel.h"

namespace tenon {
namespace {

using Form = Lanes::Form;

// Jobs of every form from several threads at once: what overlaps is what the header says.
TEST(Lanes, ATeamIsAloneAndSinglesAreAtMostAsManyAsThreads) {
  constexpr int kThreads = 3, kCallers = 6, kJobs = 200;
  Lanes lanes(kThreads);
  std::atomic<int> teams{0}, singles{0}, most_singles{0}, done{0}, wrong{0};
  const auto job = [&](Form form, std::thread::id caller) {
    const bool single = form == Form::kSingle;
    const int beside = ++(single ? singles : teams);
    wrong += !Lanes::on_lane();
    wrong += team_size() != (single ? 1 : kThreads);
    wrong += single ? teams > 0 : singles > 0 || beside > 1;
    wrong += (std::this_thread::get_id() == caller) != (form == Form::kCallersTeam);
    if (single && beside > most_singles) most_singles = beside;
    lanes.run(Form::kTeam, [&] { ++done; });  // on the lane itself, at once
    --(single ? singles : teams);
  };
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      constexpr Form kForms[] = {Form::kTeam, Form::kSingle, Form::kCallersTeam};
      for (int i = 0; i < kJobs; ++i) {
        const Form form = kForms[(caller + i) % 3];
        lanes.run(form, [&, id = std::this_thread::get_id()] { job(form, id); });
        wrong += Lanes::on_lane() || team_size() != 1;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, kCallers * kJobs);
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(most_singles, kThreads);
}

}  // namespace
}  // namespace tenon
