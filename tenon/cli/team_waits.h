// How long the threads of a team spin while they wait for each other.
#pragma once

namespace tenon::cli {

// A program that calls this first in main() has bounded the spinning while it was loaded; the call
// puts the environment back as it was. GOMP_SPINCOUNT and OMP_WAIT_POLICY, where set, decide.
void finish_bounding_team_waits();

}  // namespace tenon::cli
