#include "tenon/keras/callbacks/progress_bar.h"

#include <chrono>
#include <cmath>
#include <cstdio>

namespace tenon::keras {

namespace {

constexpr int kBarWidth = 20;
constexpr double kMinInterval = 0.05;

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[128];
  std::snprintf(text, sizeof(text), pattern, args...);
  return text;
}

std::string repeat(std::string_view piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

std::string step_time(double seconds) {
  if (seconds >= 1 || seconds == 0) return format(" %.0fs/step", seconds);
  if (seconds >= 1e-3) return format(" %.0fms/step", seconds * 1e3);
  return format(" %.0fus/step", seconds * 1e6);
}

std::string remaining(double eta) {
  const auto s = static_cast<int64_t>(eta);
  const auto part = [](int64_t value) { return static_cast<long long>(value); };
  if (eta > 3600) {
    return format("%lld:%02lld:%02lld", part(s / 3600), part(s % 3600 / 60), part(s % 60));
  }
  if (eta > 60) return format("%lld:%02lld", part(s / 60), part(s % 60));
  return format("%llds", part(s));
}

// "12/60", the first number as wide as the second.
std::string progress_count(int64_t current, int64_t target) {
  const std::string total = cat(target), done = cat(current);
  return cat(std::string(total.size() - std::min(total.size(), done.size()), ' '), done, "/",
             total);
}

// Python's "%.4f" and "%.4e" of what counts as small; nan and inf as Python spells them.
std::string metric_text(double value, bool large) {
  if (std::isnan(value)) return "nan";
  return format(large ? "%.4f" : "%.4e", value);
}

// Characters as a terminal counts them: UTF-8 continuation bytes have no width.
size_t visible_length(std::string_view text) {
  size_t length = 0;
  for (char c : text) length += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return length;
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void write_stdout(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

ProgressBar::ProgressBar(int64_t target, int verbose, Output output, Clock clock, bool dynamic)
    : target_(target),
      verbose_(verbose),
      dynamic_(dynamic),
      output_(std::move(output)),
      clock_(std::move(clock)),
      start_(clock_()) {}

double ProgressBar::seconds_per_step(int64_t current, double now) {
  if (current == 0) return 0;
  const double elapsed = after_first_step_ && current > 1
                             ? (now - *after_first_step_) / static_cast<double>(current - 1)
                             : (now - start_) / static_cast<double>(current);
  if (current == 1) after_first_step_ = now;
  return elapsed;
}

std::string ProgressBar::bar(int64_t current, const Logs& values, bool finalize, double now,
                             double per_step) {
  std::string bar;
  size_t unseen = 8;  // bytes of escape sequences, which take no width
  if (target_ > 0) {
    const int done =
        static_cast<int>(kBarWidth * (static_cast<double>(current) / static_cast<double>(target_)));
    bar = cat("\x1b[1m", progress_count(current, target_), "\x1b[0m ");
    if (done > 0) bar += cat("\x1b[32m", repeat("━", done), "\x1b[0m");
    bar += cat("\x1b[37m", repeat("━", kBarWidth - done), "\x1b[0m");
    unseen += 8 + 9 + (done > 0 ? 9 : 0);
  } else {
    bar = format("%7lld/Unknown", static_cast<long long>(current));
  }
  std::string info = target_ > 0 && !finalize
                         ? remaining(per_step * static_cast<double>(target_ - current))
                         : format("%.0fs", now - start_);
  info = cat(" \x1b[1m", info, "\x1b[0m", step_time(per_step));
  for (const auto& [name, value] : values) {
    info += cat(" - ", name, ": ", metric_text(value, std::abs(static_cast<double>(value)) > 1e-3));
  }
  std::string message = dynamic_ ? cat(std::string(width_before_, '\b'), "\r") : "\n";
  message += bar + info;
  const size_t width = visible_length(bar) + visible_length(info) - unseen;
  if (width_before_ > width) message += std::string(width_before_ - width, ' ');
  if (finalize) message += "\n";
  width_before_ = width;
  return message;
}

std::string ProgressBar::line(int64_t current, const Logs& values, double now,
                              double per_step) const {
  std::string text = cat(progress_count(current, target_), format(" - %.0fs -", now - start_),
                         step_time(per_step));
  // Keras leaves out abs() here.
  for (const auto& [name, value] : values) {
    text += cat(" - ", name, ": ", metric_text(value, value > 1e-3));
  }
  return text + "\n";
}

void ProgressBar::update(int64_t current, const Logs& values, bool finalize) {
  const double now = clock_();
  const double per_step = seconds_per_step(current, now);
  if (verbose_ == 1) {
    if (shown_before_ && now - last_update_ < kMinInterval && !finalize) return;
    output_(bar(current, values, finalize, now, per_step));
  } else if (verbose_ == 2 && finalize && target_ > 0) {
    output_(line(current, values, now, per_step));
  }
  last_update_ = now;
  shown_before_ = true;
}

bool ProgressBar::is_due() const {
  return verbose_ == 1 && (!shown_before_ || clock_() - last_update_ >= kMinInterval);
}

void ProgressBar::finish(int64_t steps, const Logs& values) {
  if (target_ < 0) target_ = steps;
  update(target_, values, true);
}

}  // namespace tenon::keras
