#include "tenon/serving/status/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "tenon/base/files.h"

namespace tenon::serving {
namespace {

void append_line(std::string& page, std::string_view name, std::string_view kind, double value) {
  char number[64];
  std::snprintf(number, sizeof(number), "%.15g", value);
  page += cat("# TYPE ", name, " ", kind, "\n", name, "{} ", number, "\n");
}

double processor_seconds() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// proc(5): /proc/self/stat, from the third field on, which follows the program's name.
struct ProcessStat {
  int64_t threads = 0, start_ticks = 0, virtual_bytes = 0;
};

bool read_stat(ProcessStat& stat) {
  constexpr int kThreads = 20, kStart = 22, kVirtual = 23;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return false;
  const std::string_view rest = trim(std::string_view(line).substr(name_end + 1));
  int number = 3;
  for (const std::string_view field : split(rest, ' ')) {
    if (number == kThreads) (void)parse_number(field, stat.threads);
    if (number == kStart) (void)parse_number(field, stat.start_ticks);
    if (number == kVirtual) (void)parse_number(field, stat.virtual_bytes);
    ++number;
  }
  return number > kVirtual;
}

// Seconds since 1970 at which the system started; 0 where it does not say.
int64_t boot_time() {
  std::ifstream file("/proc/stat");
  std::string line;
  int64_t seconds = 0;
  while (std::getline(file, line)) {
    constexpr std::string_view kName = "btime ";
    if (line.starts_with(kName)) (void)parse_number(std::string_view(line).substr(6), seconds);
  }
  return seconds;
}

}  // namespace

int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::string process_metrics_text() {
  std::string page;
  append_line(page, "process_cpu_seconds_total", "counter", processor_seconds());
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    append_line(page, "process_max_fds", "gauge", static_cast<double>(limit.rlim_cur));
  }
  if (const auto open = list_directory("/proc/self/fd"); open.ok()) {
    append_line(page, "process_open_fds", "gauge", static_cast<double>(open->size()));
  }
  append_line(page, "process_resident_memory_bytes", "gauge",
              static_cast<double>(resident_bytes()));
  ProcessStat stat;
  if (read_stat(stat)) {
    static const int64_t booted = boot_time();
    const double since_boot =
        static_cast<double>(stat.start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    append_line(page, "process_start_time_seconds", "gauge",
                static_cast<double>(booted) + since_boot);
    append_line(page, "process_threads", "gauge", static_cast<double>(stat.threads));
    append_line(page, "process_virtual_memory_bytes", "gauge",
                static_cast<double>(stat.virtual_bytes));
  }
  return page;
}

}  // namespace tenon::serving
