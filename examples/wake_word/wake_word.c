/* Listens to a WAV file as to a microphone, 20 ms at a time, and says when the wake word was heard:
 *
 *   wake_word MODEL.tflite FILE.wav|- [--features]
 *
 * A line a detection: its time in seconds and the score. What a hop took stands on stderr.
 * --features writes the bands of all hops to stdout instead, as floats. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "features.h"
#include "tenon/lite.h"
#include "wav.h"

enum {
  kFrames = 64,
  kSmoothed = 5,
  kRest = 50
}; /* a window; hops of the mean score; and after a detection */
static const float kThreshold = 0.9f;

typedef struct Listener {
  Features features;
  float samples[kWindow];        /* the last 30 ms */
  float window[kFrames][kBands]; /* what the network hears, the newest frame last */
  float scores[kSmoothed];
  long hop, heard; /* frames so far; and at the last detection */
} Listener;

static int fail(const char* what, const char* why) {
  fprintf(stderr, "wake_word: %s: %s\n", what, why);
  return 1;
}

static double seconds(void) {
  struct timespec now;
  timespec_get(&now, TIME_UTC);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Does the interpreter take a window and give the scores of two classes? */
static int fits(TenonLiteInterpreter* interpreter) {
  TenonLiteTensor x, y;
  return interpreter && tenon_lite_input_count(interpreter) == 1 &&
         tenon_lite_input(interpreter, 0, &x) == TENON_LITE_OK && x.type == TENON_LITE_FLOAT32 &&
         x.bytes == sizeof(((Listener*)0)->window) &&
         tenon_lite_invoke(interpreter) == TENON_LITE_OK &&
         tenon_lite_output(interpreter, 0, &y) == TENON_LITE_OK && y.type == TENON_LITE_FLOAT32 &&
         y.bytes == 2 * sizeof(float);
}

/* The score that the wake word ends with the newest frame. */
static TenonLiteStatus score(TenonLiteInterpreter* interpreter, const Listener* listener,
                             float* score) {
  float classes[2];
  TenonLiteStatus status =
      tenon_lite_set_input(interpreter, 0, listener->window, sizeof(listener->window));
  if (status == TENON_LITE_OK) status = tenon_lite_invoke(interpreter);
  if (status == TENON_LITE_OK)
    status = tenon_lite_get_output(interpreter, 0, classes, sizeof(classes));
  *score = classes[1];
  return status;
}

/* The newest score joins the others; their mean decides, once for a while. */
static void decide(Listener* listener, float newest) {
  memmove(listener->scores, listener->scores + 1, sizeof(float) * (kSmoothed - 1));
  listener->scores[kSmoothed - 1] = newest;
  float mean = 0;
  for (int i = 0; i < kSmoothed; ++i) mean += listener->scores[i] / kSmoothed;
  if (mean < kThreshold || (listener->heard && listener->hop - listener->heard < kRest)) return;
  listener->heard = listener->hop;
  printf("%.2f %.3f\n", (double)((listener->hop - 1) * kHop + kWindow) / kRate, (double)mean);
  fflush(stdout);
}

static int listen(Wav* wav, TenonLiteInterpreter* interpreter, Listener* listener, int features) {
  const int overlap = kWindow - kHop;
  const double from = seconds();
  if (wav_read(wav, listener->samples, overlap) == overlap) {
    while (wav_read(wav, listener->samples + overlap, kHop) == kHop) {
      memmove(listener->window, listener->window[1],
              sizeof(listener->window) - sizeof(listener->window[0]));
      float* newest = listener->window[kFrames - 1];
      features_of(&listener->features, listener->samples, newest);
      memmove(listener->samples, listener->samples + kHop, sizeof(float) * (size_t)overlap);
      ++listener->hop;
      if (features) {
        fwrite(newest, sizeof(float), kBands, stdout);
      } else {
        float newest_score;
        if (score(interpreter, listener, &newest_score) != TENON_LITE_OK)
          return fail("model", tenon_lite_error());
        decide(listener, newest_score);
      }
    }
  }
  if (listener->hop > 0) {
    const double hop = 1e3 * (seconds() - from) / (double)listener->hop;
    fprintf(stderr, "%ld hops of 20 ms, %.3f ms each\n", listener->hop, hop);
  }
  return 0;
}

int main(int argc, char** argv) {
  static Listener listener;
  const int features = argc == 4 && strcmp(argv[3], "--features") == 0;
  if (argc != 3 && !features)
    return fail("usage", "wake_word MODEL.tflite FILE.wav|- [--features]");
  Wav wav;
  FILE* file = strcmp(argv[2], "-") == 0 ? stdin : fopen(argv[2], "rb");
  if (!file) return fail(argv[2], "it cannot be opened");
  if (!wav_open(&wav, file)) return fail(argv[2], wav.error);
  if (wav.rate != kRate) {
    snprintf(wav.error, sizeof(wav.error), "%d samples a second; %d are needed", wav.rate, kRate);
    return fail(argv[2], wav.error);
  }
  tenon_lite_set_threads(1);
  features_init(&listener.features);
  for (int frame = 0; frame < kFrames; ++frame) { /* silence */
    for (int band = 0; band < kBands; ++band) listener.window[frame][band] = logf(1e-6f);
  }
  TenonLiteModel* model = tenon_lite_model_from_file(argv[1]);
  TenonLiteInterpreter* interpreter = model ? tenon_lite_interpreter_new(model) : NULL;
  if (!interpreter) return fail(argv[1], tenon_lite_error());
  if (!fits(interpreter))
    return fail(argv[1], "it does not take windows of 64 x 40 floats and give two scores");
  int failed = listen(&wav, interpreter, &listener, features);
  if (wav.error[0]) failed = fail(argv[2], wav.error);
  tenon_lite_interpreter_free(interpreter);
  tenon_lite_model_free(model);
  fclose(file);
  return failed;
}
