#include "tenon/cli/team_waits.h"

#include <cstring>
#include <initializer_list>

// libgomp lets a thread spin 300,000 times before it sleeps: many milliseconds at each of a step's
// joins as soon as another program has the processor that the last thread wants (docs/kernels.md
// has figures). It reads its settings in a constructor, which runs before main(), and has no
// function to change them; .preinit_array runs before that constructor, but also before libc has
// taken over the environment, so that setenv() would be lost there. What works then is to lend one
// entry of the array that libc is about to take over.
namespace tenon::cli {
namespace {

char spin_count[] = "GOMP_SPINCOUNT=10000";  // some 0.24 ms
char** lent = nullptr;
char* original = nullptr;

bool starts_with(const char* text, const char* prefix) {
  return std::strncmp(text, prefix, std::strlen(prefix)) == 0;
}

[[maybe_unused]] void bound_team_waits(int, char**, char** environment) {
  for (char** entry = environment; *entry; ++entry) {
    if (starts_with(*entry, "GOMP_SPINCOUNT=") || starts_with(*entry, "OMP_WAIT_POLICY=")) return;
  }
  // Nothing that a library's constructor reads.
  for (const char* name : {"_=", "OLDPWD=", "PWD=", "SHLVL=", "TERM=", "HOSTNAME=", "PATH="}) {
    for (char** entry = environment; *entry; ++entry) {
      if (!starts_with(*entry, name)) continue;
      lent = entry;
      original = *entry;
      *entry = spin_count;
      return;
    }
  }
}

// A sanitizer's memory map does not stand yet when this would run.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
[[gnu::section(".preinit_array"),
  gnu::used]] void (*const kBeforeConstructors)(int, char**, char**) = bound_team_waits;
#endif

}  // namespace

void finish_bounding_team_waits() {
  if (lent) *lent = original;
  lent = nullptr;
}

}  // namespace tenon::cli
